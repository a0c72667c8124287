//! What may come into the engine, and what an engine is made from.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::command::Command;
use super::frame::Message;
use crate::base::{BootId, ClusterId, Error, LinkId, MemberId, Millis, StoreId, Ticket, limits};
use crate::copies::Placing;
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
        /// What the peer said of itself; checked by [`Hello::check`]. In a box, because a link is
        /// rare and every command pays for the size of this type.
        hello: Box<Hello>,
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
    /// Where members may be, as one way of looking for them says: all it knows at this time.
    Found {
        /// Which way, from 0; [`Config::sources`] is how many there are.
        source: u32,
        /// "host:port" each; this member's own may be among them.
        addresses: Vec<String>,
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
    /// The zone that it is in: what fails together. Copies go to other zones first. May be empty.
    pub zone: String,
    /// How it chooses who gets copies.
    pub placing: Placing,
    /// Addresses dialled for ever.
    pub seeds: Vec<String>,
    /// Ways of looking for members whose first [`Input::Found`] a member waits for before it counts
    /// as joined; they are numbered from 0.
    pub sources: u32,
    /// It has neither a name nor a data directory: unreachable for `retire_after`, it is retired.
    pub is_ephemeral: bool,
    /// Ephemeral members unreachable for this long are taken out of the set.
    pub retire_after: Millis,
    /// The minor wire version it speaks; another one than this version's own in tests only.
    pub minor: u32,
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
    /// A holder away for this long is no copy any more: another is made.
    pub repair_after: Millis,
    /// So often members compare what they count of each other's copies; another time than the default in
    /// tests only.
    pub inventory_after: Millis,
    /// Given out this often, a message is a dead letter.
    pub max_attempts: u32,
    /// Budget for held messages.
    pub memory_bytes_max: u64,
    /// Largest body.
    pub body_bytes_max: usize,
    /// What [`super::Engine::metadata`] said before a restart: the cluster as it was known then. Whatever
    /// is wrong with it, the engine starts: it takes what is right.
    pub metadata: Option<Vec<u8>>,
    /// `metadata` was found damaged by whoever kept it: not to be believed as a whole, whatever its
    /// own sums say.
    pub is_metadata_doubtful: bool,
    /// A planted bug of the metadata for the simulator to catch.
    #[cfg(any(test, feature = "canary"))]
    pub meta_canary: crate::metadata::MetaCanary,
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
            zone: String::new(),
            placing: Placing::Sticky,
            boot,
            store,
            incarnation: 1,
            address: None,
            seeds: Vec::new(),
            sources: 0,
            is_ephemeral: true,
            retire_after: limits::RETIRE_AFTER_MS,
            minor: crate::membership::WIRE_MINOR,
            seed: boot.0,
            copies: None,
            on_short: OnShort::Degrade,
            enqueue_timeout: limits::ENQUEUE_TIMEOUT_MS,
            lease: limits::LEASE_MS,
            takeover_after: limits::TAKEOVER_AFTER_MS,
            repair_after: limits::REPAIR_AFTER_MS,
            inventory_after: limits::INVENTORY_MS,
            max_attempts: limits::ATTEMPTS_MAX,
            memory_bytes_max: limits::MEMORY_BYTES_MAX,
            body_bytes_max: limits::BODY_BYTES_MAX,
            metadata: None,
            is_metadata_doubtful: false,
            #[cfg(any(test, feature = "canary"))]
            meta_canary: crate::metadata::MetaCanary::None,
            #[cfg(feature = "canary")]
            canary: super::Canary::None,
        }
    }
}
