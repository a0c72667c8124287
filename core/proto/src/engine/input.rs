//! What may come into the engine, and what an engine is made from.

use alloc::string::String;
use alloc::vec::Vec;

use super::command::Command;
use super::frame::Message;
use crate::base::{BootId, ClusterId, Error, LinkId, MemberId, Millis, StoreId, Ticket, limits};
use crate::membership::Hello;
use crate::queue::OnShort;

/// One thing that happened, for [`super::Engine::handle`].
#[derive(Debug)]
pub enum Input {
    /// A user asks for something; the answer carries the ticket.
    Command {
        /// Chosen by the driver, never reused.
        ticket: Ticket,
        /// What is asked.
        command: Command,
    },
    /// Nobody waits for that ticket any more: a waiting receive retracts its demand.
    Cancel(Ticket),
    /// A handshake finished and both lanes are up.
    Linked {
        /// Chosen by the driver, never reused.
        link: LinkId,
        /// What the peer said of itself; checked by [`Hello::check`].
        hello: Hello,
        /// The address that was dialled; none when the peer dialled.
        dialled: Option<String>,
    },
    /// A link is gone, whoever closed it. Nothing is sent on it any more.
    Unlinked(LinkId),
    /// A dial did not become a link. Every [`super::Effect::Dial`] ends in this or in `Linked`.
    DialFailed {
        /// The address that was dialled.
        address: String,
        /// 202 when nobody answered, 107 or 108 when the peer refused.
        error: Error,
    },
    /// A peer's message, decoded and checked for form, in the order of its lane.
    Message {
        /// Whom it came from.
        link: LinkId,
        /// What it says.
        message: Message,
    },
    /// The link's bulk lane holds more (or again less) than `limits::BULK_BYTES_MAX`.
    Pressure {
        /// Which link.
        link: LinkId,
        /// True: choose others; false: welcome again.
        is_full: bool,
    },
    /// The time that [`super::Engine::next_wake`] named has come; harmless when early.
    Wake,
}

/// What an engine is made from; everything that it cannot invent itself.
#[derive(Debug, Clone)]
pub struct Config {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// Its place there.
    pub member: MemberId,
    /// Its name; may be empty.
    pub name: String,
    /// This life of the process.
    pub boot: BootId,
    /// This life of its copies.
    pub store: StoreId,
    /// Orders lives of one member; milliseconds at boot do.
    pub incarnation: u64,
    /// Where it listens; none for a member that only dials.
    pub address: Option<String>,
    /// Addresses dialled for ever.
    pub seeds: Vec<String>,
    /// For placement and jitter.
    pub seed: u64,
    /// Copies by default; none is `min(2, members)`.
    pub copies: Option<u16>,
    /// What to do with fewer copies by default.
    pub on_short: OnShort,
    /// Default of an enqueue's deadline.
    pub enqueue_timeout: Millis,
    /// Default lease.
    pub lease: Millis,
    /// An owner unreachable for this long loses its messages to a holder.
    pub takeover_after: Millis,
    /// Budget for held messages.
    pub memory_bytes_max: u64,
    /// Largest body.
    pub body_bytes_max: usize,
    /// A planted bug for the simulator to catch.
    #[cfg(feature = "canary")]
    pub canary: super::Canary,
}

impl Config {
    /// A member of `cluster` with the documented defaults and no address.
    #[must_use]
    pub fn new(cluster: ClusterId, member: MemberId, boot: BootId, store: StoreId) -> Self {
        Self {
            cluster,
            member,
            name: String::new(),
            boot,
            store,
            incarnation: 1,
            address: None,
            seeds: Vec::new(),
            seed: boot.0,
            copies: None,
            on_short: OnShort::Degrade,
            enqueue_timeout: limits::ENQUEUE_TIMEOUT_MS,
            lease: limits::LEASE_MS,
            takeover_after: limits::TAKEOVER_AFTER_MS,
            memory_bytes_max: limits::MEMORY_BYTES_MAX,
            body_bytes_max: limits::BODY_BYTES_MAX,
            #[cfg(feature = "canary")]
            canary: super::Canary::None,
        }
    }
}
