//! The only door: one call in, plain values out.

mod command;
mod effect;
mod frame;
mod input;

pub use command::{
    Answer, Command, EnqueueOptions, Event, EventKind, Glimpse, Member, NewMessage, Reply,
};
pub use effect::{Effect, Lane};
pub use frame::{HEADER_BYTES, Message, Writer, cut, decode};
pub use input::{Config, Input};

pub use crate::queue::{Handle, Headers, Leased, OnShort, Receipt};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::base::{Instant, Now, QueueKey, Result};
use crate::membership::Hello;

/// A planted bug, chosen at run time in builds with the feature `canary`: the simulator must catch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Canary {
    /// None.
    #[default]
    None,
    /// Receipts are given before the copies are confirmed.
    AckBeforeW,
}

/// One member's whole protocol state. A value: several may live in one process.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// An engine for `config`; call [`Engine::handle`] with [`Input::Wake`] once to start it.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let _ = (config, now);
        Self {}
    }

    /// Takes one input in and appends what is to be done to `out`. Never blocks; bounded work.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        let _ = (now, input, out);
    }

    /// When [`Input::Wake`] is due: never late, perhaps early.
    #[must_use]
    pub fn next_wake(&self) -> Instant {
        Instant::NEVER
    }

    /// What this member says in a handshake; lane and pair are filled in by the link.
    #[must_use]
    pub fn hello(&self) -> Hello {
        Hello::default()
    }

    /// The queue of that name, made if it is new. Errors: 101, 201.
    pub fn queue(&mut self, name: &str) -> Result<QueueKey> {
        let _ = name;
        Ok(QueueKey(0))
    }

    /// The member set as this member sees it, in the order of ids.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        Vec::new()
    }

    /// Counters and gauges by stable names.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }
}
