//! [`Primer`]: this process's place in a cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use primer_proto::base::{id, limits};
use primer_proto::engine::{Command, Engine};
use tokio::sync::mpsc;

use crate::options::Plan;
use crate::queue::done;
use crate::run::address;
use crate::run::clock::millis;
use crate::run::driver::{Driver, Manner, closed};
use crate::run::runtime;
use crate::{Events, Member, Options, Pending, Queue, Result, Stats};

/// This process's place in a cluster. Clones share it; the last one dropped closes it, whatever
/// queues, subscriptions and deliveries are still about.
#[derive(Clone)]
pub struct Primer {
    place: Arc<Place>,
}

/// What the clones share; its drop closes the member.
struct Place {
    driver: Arc<Driver>,
    address: Option<String>,
}

impl Primer {
    /// Starts a member: binds, starts its one thread, begins to dial the seeds, and returns. The
    /// member works at once, also alone; await [`Primer::joined`] to give a seed the time to answer.
    ///
    /// Errors: 101 for a bad option, 106 for a non-loopback address, 502 when it cannot bind.
    pub fn start(options: Options) -> Result<Primer> {
        let Plan { config, listener } = options.plan()?;
        let address = config.address.clone();
        tracing::info!(
            cluster = %config.cluster,
            member = %config.member,
            name = %config.name,
            boot = %config.boot,
            address = address.as_deref(),
            seeds = config.seeds.len(),
            "member opening"
        );
        let (orders, receiver) = mpsc::unbounded_channel();
        let driver = Driver::new(|now| Engine::new(config, now), orders);
        let primer = Primer {
            place: Arc::new(Place { driver, address }),
        };
        runtime::start(primer.driver(), listener, receiver)?;
        primer.driver().start();
        Ok(primer)
    }

    fn driver(&self) -> &Arc<Driver> {
        &self.place.driver
    }

    fn command(&self, command: Command, manner: Manner) -> Pending<()> {
        self.driver().call(command, manner, None, done)
    }

    /// Waits until a seed answered, or none is configured, or two seconds passed. Never fails for
    /// an absent seed: an AP member serves alone.
    pub fn joined(&self) -> Pending<()> {
        self.command(Command::Joined, Manner::Patient)
    }

    /// Dials `address` ("host:port") and joins its cluster.
    /// Errors: 101, 107, 108, 202 (nobody answers there), 302, 501.
    pub fn join(&self, address: &str) -> Pending<()> {
        match address::parse_remote("address", address) {
            Ok(_) => self.command(Command::Join(address.into()), Manner::Patient),
            Err(error) => Pending::here(Err(error)),
        }
    }

    /// Hands every copy over to other members and leaves the cluster; the member stays open, alone.
    /// Errors: 205 with the number of copies after `drain` (none: 30 s); `force` leaves anyway. 501.
    pub fn leave(&self, drain: Option<Duration>, force: bool) -> Pending<()> {
        let drain = drain.map(millis);
        self.command(Command::Leave { drain, force }, Manner::Patient)
    }

    /// Closes this member: new work is refused, waiters answer 501, what is queued for peers is
    /// flushed for at most a second. Idempotent, from any thread. It does not leave the cluster.
    pub fn close(&self) -> Pending<()> {
        self.driver().close()
    }

    /// True once `close` was called or the member failed.
    pub fn is_closed(&self) -> bool {
        self.driver().is_shut()
    }

    /// Where this member listens, "127.0.0.1:port"; none when it does not.
    pub fn address(&self) -> Option<String> {
        self.place.address.clone()
    }

    /// The member set, this member included, in the order of their ids. Errors: 501.
    pub fn members(&self) -> Result<Vec<Member>> {
        self.driver().members()
    }

    /// Counters and gauges by stable names. Errors: 501.
    pub fn stats(&self) -> Result<Stats> {
        self.driver().stats()
    }

    /// A reader of events from now on.
    pub fn events(&self) -> Events {
        Events::new(self.driver().clone())
    }

    /// The queue of that name; it need not exist, first use makes it. Errors: 101, 201, 501.
    pub fn queue(&self, name: &str) -> Result<Queue> {
        id::check_name("queue", name, limits::NAME_BYTES_MAX)?;
        let key = self.driver().queue(name)?;
        Ok(Queue::new(self.driver().clone(), key, name))
    }

    /// For a child process made by fork: from now on nothing of this member takes a lock, because
    /// the threads that would open it are the parent's. Every call answers 501; every drop does
    /// nothing.
    #[doc(hidden)]
    pub fn forget(&self) {
        self.driver().forget();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // In the background: this may be any thread of the host's.
        self.driver.shut(&closed());
    }
}

impl fmt::Debug for Primer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Primer")
            .field("address", &self.place.address)
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "primer_tests.rs"]
mod tests;
