//! The values that pass between the queue and its users.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::base::{Error, MessageId, Millis, QueueKey, SessionId, Stamp};
pub use crate::copies::Headers;
use crate::copies::{Holders, Own};

/// A message before it has an identity.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    /// Any bytes, at most the member's `body_bytes_max`.
    pub body: Bytes,
    /// Names and values; none is the common case and costs nothing.
    pub headers: Option<Headers>,
}

/// How an enqueue is copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnqueueOptions {
    /// Copies wanted, this member's included; none takes the member's default.
    pub copies: Option<u16>,
    /// What to do with fewer; none takes the member's default.
    pub on_short: Option<OnShort>,
    /// When "fewer" is decided; none takes the member's default.
    pub timeout: Option<Millis>,
}

/// An engine's answer to a command.
#[derive(Debug)]
pub enum Reply {
    /// It is done.
    Done,
    /// One message was accepted.
    Receipt(Receipt),
    /// A batch was accepted, in its order.
    Receipts(Vec<Receipt>),
    /// Leased messages, oldest first; empty when there was none in time.
    Deliveries(Vec<Leased>),
    /// One number a handle: 0 or an error's.
    Codes(Vec<u16>),
    /// A session was opened.
    Session(SessionId),
}

/// What one command ends in.
pub type Answer = Result<Reply, Error>;

/// Where a message is, for one who looks without taking: tests, the simulator, later `explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// Which message.
    pub id: MessageId,
    /// True when this member owns it.
    pub is_owned: bool,
    /// True while a consumer has it.
    pub is_leased: bool,
    /// How often it was given out, as far as this member knows.
    pub attempts: u32,
    /// Who owns it.
    pub own: Own,
}

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
