//! What the room of queues is made from.

use super::delivery::OnShort;
use crate::base::{BootId, Millis};
use crate::copies::{Holder, Placing, Zone};

/// What the room is made from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This member and its store.
    pub me: Holder,
    /// This boot: the origin of the messages accepted here.
    pub boot: BootId,
    /// Copies by default.
    pub copies: Option<u16>,
    /// What to do with fewer.
    pub on_short: OnShort,
    /// When "fewer" is decided.
    pub enqueue_timeout: Millis,
    /// Default lease.
    pub lease: Millis,
    /// Patience with an unreachable owner.
    pub takeover_after: Millis,
    /// A holder away for this long is no copy any more.
    pub repair_after: Millis,
    /// So often what is held is compared with others.
    pub inventory_after: Millis,
    /// Where this member is: copies go elsewhere first.
    pub zone: Zone,
    /// How it chooses who gets copies.
    pub placing: Placing,
    /// Budget for held messages.
    pub memory_bytes_max: u64,
    /// Given out this often, a message is a dead letter.
    pub max_attempts: u32,
    /// Largest body.
    pub body_bytes_max: usize,
    /// The planted bug "ack before W"; false but in the simulator.
    pub acks_before_w: bool,
}
