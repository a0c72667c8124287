//! The values that pass between the queue and its users.

use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use super::account::Account;
use super::facts::{Facts, Finding};
use super::page::Page;
use super::redrive::Redriven;
use crate::base::{Error, MemberId, MessageId, Millis, QueueKey, SessionId, Stamp};
pub use crate::copies::Headers;
use crate::copies::{Asked, Holders, Own, Terms};

/// A message before it has an identity.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    /// Any bytes, at most the member's `body_bytes_max`.
    pub body: Bytes,
    /// Names and values; none is the common case and costs nothing.
    pub headers: Option<Headers>,
}

/// A message that somebody waits for the reply to.
#[derive(Debug, Clone)]
pub struct NewCall {
    /// Where it is put.
    pub queue: QueueKey,
    /// What.
    pub message: NewMessage,
    /// As of an enqueue; without a time to live it is the timeout.
    pub options: EnqueueOptions,
    /// How long to wait for the reply, from 1 to `limits::WAIT_MS_MAX`.
    pub timeout: Millis,
}

/// What a call is answered with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// Any bytes, at most the member's `body_bytes_max`.
    pub body: Bytes,
    /// Names and values, as a message's.
    pub headers: Option<Headers>,
}

/// How an enqueue is copied.
#[derive(Debug, Clone, Default)]
pub struct EnqueueOptions {
    /// Copies wanted, this member's included; none takes the member's default.
    pub copies: Option<u16>,
    /// What to do with fewer; none takes the member's default.
    pub on_short: Option<OnShort>,
    /// When "fewer" is decided; none takes the member's default.
    pub timeout: Option<Millis>,
    /// When, how often and in which order it is given out.
    pub terms: Asked,
    /// The same, with dates already: of a message that another member was asked for, or that was another
    /// one before. Then `terms` says nothing but whether it is given out at most once.
    pub dated: Option<Arc<Terms>>,
    /// What becomes of it where the queue has no group.
    pub if_no_group: IfNoGroup,
}

/// What becomes of a message that is put into a queue without groups (protocol.md 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfNoGroup {
    /// It waits in the queue itself, for consumers that name no group.
    #[default]
    Hold,
    /// Nobody wants it: the receipt says 0 copies.
    Drop,
    /// 102.
    Refuse,
}

/// How much a subscription is given at a time, and for how long.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Unsettled deliveries at most, 1 to `limits::CREDIT_MAX`.
    pub credit: u32,
    /// Nothing more is given while the bodies of unsettled deliveries are this many bytes or more;
    /// none for no such bound. One message is always allowed, however large.
    pub credit_bytes: Option<u64>,
    /// The lease; none takes the member's default.
    pub lease: Option<Millis>,
    /// For so long from its delivery an unsettled delivery's lease is extended by the engine itself
    /// before it ends; none leaves that to the consumer.
    pub max_run: Option<Millis>,
}

/// An engine's answer to a command.
#[derive(Debug)]
pub enum Reply {
    /// It is done.
    Done,
    /// So many.
    Count(u64),
    /// One message was accepted.
    Receipt(Receipt),
    /// A batch was accepted, in its order.
    Receipts(Vec<Receipt>),
    /// Leased messages, oldest first; empty when there was none in time.
    Deliveries(Vec<Leased>),
    /// The reply to a call.
    Response(Response),
    /// Messages that were looked at.
    Page(Page),
    /// What is known of a message, at each member.
    Accounts(Vec<Account>),
    /// What members know of a queue, what follows, and who did not answer.
    Diagnosis(Vec<Facts>, Vec<Finding>, Vec<MemberId>),
    /// What became of a redrive, and who did not answer.
    Redriven(Redriven, Vec<MemberId>),
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
    /// True while its owner gives it to nobody any more: it ends here as soon as it is safe where it went,
    /// in its groups, as a dead letter or back in its queue.
    pub is_ending: bool,
    /// True where that is because of its groups alone: its key waits for it no more.
    pub is_parting: bool,
    /// How often it was given out, as far as this member knows.
    pub attempts: u32,
    /// Who owns it.
    pub own: Own,
    /// When it was accepted, as its owner says.
    pub stamp: Stamp,
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
    /// Its dedup key was known: the message is that of an earlier enqueue.
    pub is_duplicate: bool,
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
    /// Which lease of that owner; 0 for a message that was finished when it was given out.
    pub lease: u32,
    /// The subscription it came by, if any.
    pub session: Option<SessionId>,
    /// Every store that may hold the message; none when that is the store of `own` alone, which is
    /// the common case of a lone member and costs no count of references.
    pub holders: Option<Holders>,
}

/// A message on lease.
#[derive(Debug, Clone)]
pub struct Leased {
    /// For settling it.
    pub handle: Handle,
    /// The message's identity, the same in every group.
    pub id: MessageId,
    /// The producer's bytes.
    pub body: Bytes,
    /// The producer's headers.
    pub headers: Option<Headers>,
    /// The producer's terms.
    pub terms: Option<Arc<Terms>>,
    /// How often it was given out, this time included.
    pub attempts: u32,
    /// When it was accepted; for order only.
    pub stamp: Stamp,
    /// How long the lease lasts, from now.
    pub lease: Millis,
}
