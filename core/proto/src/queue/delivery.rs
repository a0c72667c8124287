//! The values that pass between the queue and its users.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::base::{MessageId, Millis, QueueKey, SessionId, Stamp};
use crate::copies::{Holders, Own};

/// A message's headers, in the producer's order; shared, never copied.
pub type Headers = Arc<Vec<(String, String)>>;

/// What to do when fewer members than wanted can take a copy in time (protocol.md 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnShort {
    /// Accept with fewer; the receipt says how many.
    #[default]
    Degrade,
    /// 301, or 202 when surely nothing was sent.
    Fail,
    /// As fail, but wait until the deadline for members to come.
    Wait,
}

/// An enqueue's honest answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The message's identity.
    pub id: MessageId,
    /// Stores that hold it, this member's included.
    pub copies: u16,
    /// How many of them have it on disk; 0 while persistence is off.
    pub durable_copies: u16,
    /// Copies that were asked for.
    pub wanted: u16,
}

/// What settles a delivery: which message, whose lease, and every store that must hear of its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    /// The queue at this member.
    pub queue: QueueKey,
    /// The message.
    pub id: MessageId,
    /// Who gave the lease.
    pub own: Own,
    /// Which lease of that owner.
    pub lease: u32,
    /// The subscription it came by, if any.
    pub session: Option<SessionId>,
    /// Every store that may hold the message.
    pub holders: Holders,
}

/// A message on lease.
#[derive(Debug, Clone)]
pub struct Leased {
    /// For settling it.
    pub handle: Handle,
    /// The producer's bytes.
    pub body: Bytes,
    /// The producer's headers.
    pub headers: Option<Headers>,
    /// How often it was given out, this time included.
    pub attempts: u32,
    /// When it was accepted; for order only.
    pub stamp: Stamp,
    /// How long the lease lasts, from now.
    pub lease: Millis,
}
