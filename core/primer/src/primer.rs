//! [`Primer`]: this process's place in a cluster.

use std::time::Duration;

use crate::{Completions, Events, Member, Options, Pending, Queue, Result, Stats};

/// This process's place in a cluster. Clones share it; the last one dropped closes it.
#[derive(Clone)]
pub struct Primer {}

impl Primer {
    /// Starts a member: binds, starts its one thread, begins to dial the seeds, and returns. The
    /// member works at once, also alone; await [`Primer::joined`] to give a seed the time to answer.
    ///
    /// Errors: 101 for a bad option, 106 for a non-loopback address, 502 when it cannot bind.
    pub fn start(options: Options) -> Result<Primer> {
        unimplemented!()
    }

    /// Waits until a seed answered, or none is configured, or two seconds passed. Never fails for
    /// an absent seed: an AP member serves alone.
    pub fn joined(&self) -> Pending<()> {
        unimplemented!()
    }

    /// Dials `address` ("host:port") and joins its cluster.
    /// Errors: 101, 107, 108, 202 (nobody answers there), 302, 501.
    pub fn join(&self, address: &str) -> Pending<()> {
        unimplemented!()
    }

    /// Hands every copy over to other members and leaves the cluster; the member stays open, alone.
    /// Errors: 205 with the number of copies after `drain` (none: 30 s); `force` leaves anyway. 501.
    pub fn leave(&self, drain: Option<Duration>, force: bool) -> Pending<()> {
        unimplemented!()
    }

    /// Closes this member: new work is refused, waiters answer 501, what is queued for peers is
    /// flushed for at most a second. Idempotent, from any thread. It does not leave the cluster.
    pub fn close(&self) -> Pending<()> {
        unimplemented!()
    }

    /// True once `close` was called or the member failed.
    pub fn is_closed(&self) -> bool {
        unimplemented!()
    }

    /// Where this member listens, "127.0.0.1:port"; none when it does not.
    pub fn address(&self) -> Option<String> {
        unimplemented!()
    }

    /// The member set, this member included, in the order of their ids. Errors: 501.
    pub fn members(&self) -> Result<Vec<Member>> {
        unimplemented!()
    }

    /// Counters and gauges by stable names. Errors: 501.
    pub fn stats(&self) -> Result<Stats> {
        unimplemented!()
    }

    /// A reader of events from now on.
    pub fn events(&self) -> Events {
        unimplemented!()
    }

    /// The queue of that name; it need not exist, first use makes it. Errors: 101, 201, 501.
    pub fn queue(&self, name: &str) -> Result<Queue> {
        unimplemented!()
    }
}
