//! [`Primer`]: this process's place in a cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use primer_proto::base::{id, limits};
use primer_proto::broadcast::handler::HOST_MIN;
use primer_proto::engine::{Command, Engine, Reply};
use tokio::sync::mpsc;

use crate::options::Plan;
use crate::queue::done;
use crate::run::address;
use crate::run::clock::millis;
use crate::run::driver::{Driver, Manner, closed};
use crate::run::runtime;
use crate::run::waiter::unexpected;
use crate::trust::Secret;
use crate::{
    Broadcast, BroadcastHandler, Bytes, Change, Entry, Error, ErrorKind, Events, Member, MemberId,
    Options, Pending, Queue, Result, Stats, Topic, Watch,
};

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
    /// Starts a member: binds, starts its thread (two with a data directory), begins to dial the
    /// seeds and the members it remembers, and returns. The member works at once, also alone; await
    /// [`Primer::joined`] to give a seed the time to answer.
    ///
    /// Errors: 101 for a bad option or a directory that others can write to, 106 for an address of
    /// another machine with neither a secret nor certificates, 107 or 108 for a data directory of another cluster or in use, 502 when it cannot
    /// bind or use a directory, 503 when what lies there is damaged.
    pub fn start(options: Options) -> Result<Primer> {
        let Plan {
            config,
            listener,
            home,
            discovery,
            trust,
        } = options.plan()?;
        let address = config.address.clone();
        tracing::info!(
            cluster = %config.cluster,
            member = %config.member,
            name = %config.name,
            boot = %config.boot,
            address = address.as_deref(),
            seeds = config.seeds.len(),
            sources = config.sources,
            "member opening"
        );
        let (orders, receiver) = mpsc::unbounded_channel();
        let driver = Driver::new(|now| Engine::new(config, now), orders, home, trust);
        let primer = Primer {
            place: Arc::new(Place { driver, address }),
        };
        runtime::start(primer.driver(), listener, discovery, receiver)?;
        primer.driver().start();
        Ok(primer)
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.place.driver
    }

    fn command(&self, command: Command, manner: Manner) -> Pending<()> {
        self.driver().call(command, manner, None, done)
    }

    /// One that the engine answers at once.
    fn command_now(&self, command: Command) -> Result<()> {
        let reply = self.driver().call_now(command)?;
        done(None, reply)
    }

    /// Waits until a seed answered, or none is configured, or two seconds passed. Never fails for
    /// an absent seed: an AP member serves alone.
    pub fn joined(&self) -> Pending<()> {
        self.command(Command::Joined, Manner::Patient)
    }

    /// Dials `address` ("host:port") and joins its cluster.
    /// Errors: 101, 106 (another machine, and no secret), 107 (another cluster, or another secret),
    /// 108, 202 (nobody answers there), 302, 501.
    pub fn join(&self, address: &str) -> Pending<()> {
        let is_trusted = self.driver().is_encrypting();
        match address::parse_remote("address", address, is_trusted) {
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

    /// Takes these secrets instead of those it has, one to three, from now on; links that are up stay.
    /// All are proven and all are accepted, so a secret is changed by giving every member the old and
    /// the new one, in any order, and then every member the new one alone.
    /// Errors: 101 for none, too many or a weak one, 106 for a member that was opened without, 501.
    pub fn rotate(&self, secrets: impl IntoIterator<Item = impl Into<String>>) -> Result<()> {
        // Cut and trimmed as the option is, so that what is rotated to can be opened with.
        let secrets: Vec<Secret> = secrets
            .into_iter()
            .flat_map(|secret| Secret::list(&secret.into()))
            .collect();
        self.driver().rotate(&secrets)
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
        Events::new(self.driver().clone(), None)
    }

    /// Takes `member` out of the set for good: it is refused until it has joined afresh. It
    /// deletes nothing: what it holds is set aside there (see [`Primer::reclaim`]). For members
    /// that will not come back, so that nothing waits for them, and for those that must not.
    /// Errors: 101 for this member itself, 102 for none of the set, 501.
    pub fn evict(&self, member: MemberId) -> Result<()> {
        self.command_now(Command::Evict(member))
    }

    /// After this member was evicted (an event tells): gives the messages that it set aside out
    /// again, or drops them. Answers how many. Some may have been done elsewhere meanwhile.
    /// Errors: 501.
    pub fn reclaim(&self, keep: bool) -> Result<u64> {
        match self.driver().call_now(Command::Reclaim(keep))? {
            Reply::Count(count) => Ok(count),
            _ => Err(unexpected()),
        }
    }

    /// Tells everyone in the cluster who listens to `topic`, this member included: at once, best
    /// effort, nothing is stored and nobody answers. Body up to 64 KiB.
    /// Errors: 101, 104, 203 (too much at a time; with retry_after_ms), 501.
    pub fn broadcast(&self, topic: &str, body: impl Into<Bytes>) -> Result<()> {
        let (topic, body) = (topic.into(), body.into());
        self.command_now(Command::Broadcast { topic, body })
    }

    /// A reader of what is broadcast to `topic` from now on. Errors: 101.
    pub fn on(&self, topic: &str) -> Result<Topic> {
        id::check_name("topic", topic, limits::NAME_BYTES_MAX)?;
        let topic = topic.to_string();
        let filter = move |broadcast: &Broadcast| broadcast.topic == topic;
        Ok(Topic::new(self.driver().clone(), Some(Box::new(filter))))
    }

    /// Handles what other members [`Primer::spread`] under that number, from now on and for as long
    /// as this member is open; numbers below 64 are this library's. Three members are asked at once
    /// for what they have. Errors: 101, 103 (it has a handler), 501, 502.
    pub fn handle(&self, id: u16, handler: Arc<dyn BroadcastHandler>) -> Result<()> {
        if id < HOST_MIN {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("numbers below this are not a host's")
                .with("handler", id)
                .with("handler_min", HOST_MIN));
        }
        if self.is_closed() {
            return Err(closed());
        }
        self.driver()
            .feeds()
            .handlers
            .add(self.driver(), id, handler)?;
        self.command_now(Command::HostReady)
    }

    /// Tells the handlers of that number at every other member: at once, best effort, once; the rest
    /// is their exchange's. This member's own is not called. A member without such a handler passes
    /// it on all the same. Body up to 64 KiB.
    /// Errors: 101, 104, 203 (too much at a time; with retry_after_ms), 501.
    pub fn spread(&self, id: u16, body: impl Into<Bytes>) -> Result<()> {
        let (handler, body) = (id, body.into());
        self.command_now(Command::Spread { handler, body })
    }

    /// Writes `value` under `key` for the whole cluster: here at once, elsewhere soon. Of two
    /// writes that did not know of each other the later one is read, and the other can be listed.
    /// Errors: 101, 104 (64 KiB), 201 (100,000 keys), 203 (200 writes a second), 501.
    pub fn put(&self, key: &str, value: impl Into<Bytes>) -> Result<()> {
        let (key, value) = (key.into(), value.into());
        self.command_now(Command::Put { key, value })
    }

    /// What is under `key` as this member knows it. Errors: 501.
    pub fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let entry = self.driver().get(key)?;
        Ok(entry.map(|entry| entry.value))
    }

    /// Removes `key` for the whole cluster; one that is not there is no error. A write that did not
    /// know of it wins. Errors: 101, 203, 501.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.command_now(Command::Delete(key.into()))
    }

    /// The keys that begin with `prefix`, ascending, with their values. Errors: 501.
    pub fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        self.driver().list(prefix)
    }

    /// A reader of changes of the keys that begin with `prefix`, from now on.
    pub fn watch(&self, prefix: &str) -> Watch {
        let prefix = prefix.to_string();
        let filter = move |change: &Change| change.key.starts_with(&prefix);
        Watch::new(self.driver().clone(), Some(Box::new(filter)))
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
