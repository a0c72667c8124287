//! The user's verbs as data.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::base::{BootId, MemberId, MessageId, Millis, QueueKey, SessionId};
pub use crate::metadata::Entry;
pub use crate::queue::{
    Account, Answer, Code, EnqueueOptions, Facts, Finding, Flow, Glimpse, Handle, Known, NewBrowse,
    NewCall, NewMessage, NewRedrive, Page, Redriven, Reply, ReplyTo, Response, Shown, Spot, State,
};

/// What a user asks of the engine.
#[derive(Debug)]
pub enum Command {
    /// Put one message into a queue. Answers [`Reply::Receipt`].
    Enqueue {
        /// Where.
        queue: QueueKey,
        /// What.
        message: NewMessage,
        /// How many copies, and what if there are fewer.
        options: EnqueueOptions,
    },
    /// Put several messages into a queue; all or none are accepted. Answers [`Reply::Receipts`].
    EnqueueMany {
        /// Where.
        queue: QueueKey,
        /// What, in order.
        messages: Vec<NewMessage>,
        /// How many copies, and what if there are fewer.
        options: EnqueueOptions,
    },
    /// Put one message into a queue and wait for the reply of whoever handles it. Answers
    /// [`Reply::Response`], 302 when none came in time, or as enqueue.
    Call(NewCall),
    /// Reply to the caller of a message (none is 101), and finish it. Answers as ack, and 101, 104, 203.
    Respond(Handle, Option<ReplyTo>, Response),
    /// Lease up to `max` messages, waiting for the first. Answers [`Reply::Deliveries`].
    Receive {
        /// Where from.
        queue: QueueKey,
        /// At most this many, 1 to `limits::BATCH_MAX`.
        max: u32,
        /// How long to wait for the first one; 0 answers at once with what this member knows
        /// or can fetch in one round trip.
        wait: Millis,
        /// The lease; none takes the member's default.
        lease: Option<Millis>,
        /// Of which group; none for the queue itself.
        group: Option<InGroup>,
    },
    /// Show messages of every member without taking them. Answers [`Reply::Page`], 101, 203.
    Browse(NewBrowse),
    /// Tell what every member knows of a message. Answers [`Reply::Accounts`], 203.
    Explain(MessageId),
    /// Tell why a queue delivers nothing. Answers [`Reply::Diagnosis`], 203.
    Doctor(QueueKey),
    /// Move dead letters of every member to where they came from. Answers [`Reply::Redriven`], 101, 203.
    Redrive(NewRedrive),
    /// A message is finished. Answers [`Reply::Done`], or 402.
    Ack(Handle),
    /// Several are finished. Answers [`Reply::Codes`], one a handle: 0 or an error's number.
    AckMany(Vec<Handle>),
    /// A message failed: again after `delay`, none for the back-off. Answers [`Reply::Done`], 401, 402.
    Nack(Handle, Option<Millis>),
    /// A message was not tried: again at once, the attempt not counted. As nack.
    Release(Handle),
    /// It can never succeed: a dead letter at once, with the reason. Answers [`Reply::Done`].
    Reject(Handle, String),
    /// A message needs this long from now; none for the default. As nack.
    Extend(Handle, Option<Millis>),
    /// Push deliveries, at most `credit` of them unsettled. Answers [`Reply::Session`].
    Subscribe {
        /// Where from.
        queue: QueueKey,
        /// How much at a time, and for how long.
        flow: Flow,
        /// Of which group; none for the queue itself.
        group: Option<InGroup>,
    },
    /// Create a group of a queue; one that exists stays as it is. Answers [`Reply::Done`], 101, 201, 203.
    CreateGroup(QueueKey, InGroup),
    /// Remove a group of a queue, and what it was owed. Answers [`Reply::Done`], 203.
    RemoveGroup(QueueKey, Arc<str>),
    /// Tell queues what to do where messages and calls do not say. Answers [`Reply::Done`], 101, 104,
    /// 201, 203.
    Configure(Configure),
    /// Raise a session's credit. Answers [`Reply::Done`], or 501 when it is closed.
    Credit(SessionId, u32),
    /// End a session. With `abandon` every unsettled delivery of it is released, also those that
    /// the consumer took (it died); else they stay leased, and kept where the session keeps leases.
    /// Answers [`Reply::Done`].
    Unsubscribe {
        /// Which.
        session: SessionId,
        /// Release what the consumer took, too.
        abandon: bool,
    },
    /// Take a member out of the set for good: this life of it and every one before. Answers
    /// [`Reply::Done`], 101 for this member itself, 102 for none of the set.
    Evict(MemberId),
    /// What an evicted member set aside is given out again, or dropped. Answers [`Reply::Count`].
    Reclaim(bool),
    /// Tell everyone who listens to a topic. Answers [`Reply::Done`], 101, 104, 203.
    Broadcast {
        /// Which topic.
        topic: String,
        /// What.
        body: Bytes,
    },
    /// Tell the handlers of that number at every other member. Answers [`Reply::Done`], 101, 104,
    /// 203.
    Spread {
        /// Which handler, from `handler::HOST_MIN`.
        handler: u16,
        /// What.
        body: Bytes,
    },
    /// A handler asks a member, or answers it; what is over one answer's limit is not sent, and
    /// the asker is told so. Answers [`Reply::Done`], 101, 104, 202, 203.
    HostExchange {
        /// Whom.
        to: MemberId,
        /// Which handler.
        handler: u16,
        /// False for a question.
        is_answer: bool,
        /// Of a question the digest, of an answer what the other one lacks.
        bodies: Vec<Bytes>,
    },
    /// The host has a new handler: some members are to be asked at once. Answers [`Reply::Done`].
    HostReady,
    /// Write a key for the whole cluster. Answers [`Reply::Done`], 101, 104, 201, 203.
    Put {
        /// Where.
        key: String,
        /// What.
        value: Bytes,
    },
    /// Remove a key for the whole cluster. Answers [`Reply::Done`], 101, 203.
    Delete(String),
    /// Dial an address and become a member of its cluster. Answers [`Reply::Done`].
    Join(String),
    /// Wait until some seed is linked, none is configured, or `limits::SEED_WAIT_MS` passed.
    /// Always answers [`Reply::Done`].
    Joined,
    /// Hand every copy over and leave the cluster. Answers [`Reply::Done`], or 205.
    Leave {
        /// How long the hand-over may take; none takes `limits::DRAIN_MS`.
        drain: Option<Millis>,
        /// Leave even with copies left behind.
        force: bool,
    },
}

impl Command {
    /// True for an ack that starts no lease and sets no deadline that matters: the driver may give it
    /// the last time it told the engine, and save a look at the clock.
    #[must_use]
    pub fn is_timeless(&self) -> bool {
        match self {
            Command::Ack(handle) => handle.session.is_none(),
            _ => false,
        }
    }

    /// True for those that may dial or leave.
    pub(super) fn is_about_links(&self) -> bool {
        matches!(
            self,
            Command::Join(_)
                | Command::Joined
                | Command::Leave { .. }
                | Command::Evict(_)
                | Command::Broadcast { .. }
                | Command::Spread { .. }
                | Command::Put { .. }
                | Command::Delete(_)
                | Command::CreateGroup(..)
                | Command::RemoveGroup(..)
                | Command::Configure(..)
        )
    }
}

/// What queues are told.
#[derive(Debug)]
pub enum Configure {
    /// One queue: these settings change, and one without a value is unset.
    Queue(QueueKey, Vec<(String, String)>),
    /// All queues whose names begin like that: these settings, in place of those before. None at all
    /// removes the policy.
    Policy(String, Vec<(String, String)>),
    /// Everything that is in the queue by now is over, wherever it is.
    Purge(QueueKey),
}

/// A group that somebody consumes in, or creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InGroup {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is created: it gets what waits in the queue, too.
    pub takes_backlog: bool,
}

/// A member as this one sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its identity.
    pub id: MemberId,
    /// Its name; empty when it has none.
    pub name: String,
    /// Where it listens; empty when it does not.
    pub address: String,
    /// The zone that it is in: what fails together; empty when it was told none.
    pub zone: String,
    /// Which life of its process this member knows.
    pub boot: BootId,
    /// True for this member itself.
    pub is_self: bool,
    /// This member's own opinion, never the cluster's.
    pub is_reachable: bool,
    /// How near it is to its memory budget, 0 to 4, as it told this one; 0 while there is no link to it.
    pub memory_level: u8,
}

/// A key of the metadata has another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub key: String,
    /// What it is now; none when it was removed.
    pub value: Option<Bytes>,
}

/// What somebody told everyone who listens to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    /// Which topic.
    pub topic: String,
    /// Who.
    pub from: MemberId,
    /// What.
    pub body: Bytes,
}

/// Something that happened to the cluster as this member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Wall-clock milliseconds since 1970.
    pub at_ms: u64,
    /// What happened.
    pub kind: EventKind,
    /// To whom.
    pub member: MemberId,
    /// Its name; may be empty.
    pub name: String,
    /// Further words; may be empty.
    pub detail: String,
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A member is new in the set.
    Joined,
    /// A member left the set.
    Left,
    /// A member is silent; others are asked whether they hear it.
    Suspect,
    /// A member has not been heard for `limits::UNREACHABLE_MS`.
    Unreachable,
    /// A member is heard (again).
    Reachable,
    /// Another process with a known identity was refused.
    Conflict,
    /// Members are cut off from this one; the detail names those of its own island.
    Split,
    /// All that were cut off are heard again.
    Healed,
    /// An operator took a member out of the set; when it is this one, the detail says how many
    /// messages it set aside.
    Evicted,
    /// This member took over messages of a lost owner; the detail says how many.
    Takeover,
    /// This member was refused where it dials: another cluster, another secret, a name in use, another
    /// version. The detail says where and why. Told again while it lasts, every ten seconds at most.
    Refused,
}

impl EventKind {
    /// The stable name, as every face shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Joined => "joined",
            EventKind::Left => "left",
            EventKind::Suspect => "suspect",
            EventKind::Split => "split",
            EventKind::Healed => "healed",
            EventKind::Evicted => "evicted",
            EventKind::Unreachable => "unreachable",
            EventKind::Reachable => "reachable",
            EventKind::Conflict => "conflict",
            EventKind::Takeover => "takeover",
            EventKind::Refused => "refused",
        }
    }
}
