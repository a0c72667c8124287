//! The values that cross, as records: identities are text, times milliseconds.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use primer::{Error, ErrorKind};

use crate::error::PrimerError;

/// A header of a message.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Headers as records.
pub(crate) fn headers_of(headers: &[(String, String)]) -> Vec<Header> {
    headers
        .iter()
        .map(|(key, value)| Header {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}

/// What a call is answered with.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Reply {
    /// The handler's bytes.
    pub body: Vec<u8>,
    /// The handler's headers, in their order.
    pub headers: Vec<Header>,
}

impl From<primer::Reply> for Reply {
    fn from(reply: primer::Reply) -> Self {
        Self {
            headers: headers_of(&reply.headers),
            body: reply.body.into(),
        }
    }
}

impl From<Reply> for primer::Reply {
    fn from(reply: Reply) -> Self {
        let headers = reply.headers.into_iter();
        Self {
            body: reply.body.into(),
            headers: headers.map(|header| (header.key, header.value)).collect(),
        }
    }
}

/// What to do when fewer members than wanted can take a copy in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum OnShort {
    /// Accept with fewer; the receipt says how many.
    Degrade,
    /// 301, or 202 when surely nothing was sent.
    Fail,
    /// As fail, but wait until the deadline for members to come.
    Wait,
}

impl From<OnShort> for primer::OnShort {
    fn from(on_short: OnShort) -> Self {
        match on_short {
            OnShort::Degrade => Self::Degrade,
            OnShort::Fail => Self::Fail,
            OnShort::Wait => Self::Wait,
        }
    }
}

/// What becomes of a message where its queue has no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum IfNoGroup {
    /// It waits in the queue itself, for consumers without a group.
    Hold,
    /// It is let go of; the receipt says 0 copies.
    Drop,
    /// 102.
    Refuse,
}

impl From<IfNoGroup> for primer::IfNoGroup {
    fn from(choice: IfNoGroup) -> Self {
        match choice {
            IfNoGroup::Hold => Self::Hold,
            IfNoGroup::Drop => Self::Drop,
            IfNoGroup::Refuse => Self::Refuse,
        }
    }
}

/// Options of one enqueue; what is absent is the member's.
#[derive(Clone, Debug, Default, uniffi::Record)]
pub struct EnqueueOptions {
    /// Copies wanted, this member's included.
    #[uniffi(default = None)]
    pub copies: Option<u16>,
    /// What to do with fewer.
    #[uniffi(default = None)]
    pub on_short: Option<OnShort>,
    /// When "fewer" is decided, in milliseconds.
    #[uniffi(default = None)]
    pub timeout_ms: Option<u64>,
    /// Names and values, in this order.
    #[uniffi(default = [])]
    pub headers: Vec<Header>,
    /// In which order it is given out, 0 (last) to 9 (first); absent: 4.
    #[uniffi(default = None)]
    pub priority: Option<u8>,
    /// Given out only after so many milliseconds, a year at most.
    #[uniffi(default = None)]
    pub delay_ms: Option<u64>,
    /// Given out only from then on, in milliseconds since 1970; instead of `delay_ms`. A past date is now.
    #[uniffi(default = None)]
    pub at_ms: Option<u64>,
    /// Not given out after so many milliseconds: it expires. Absent: never.
    #[uniffi(default = None)]
    pub ttl_ms: Option<u64>,
    /// Given out this often it is a dead letter, in the queue `<queue>.dead`; absent: the owner's.
    #[uniffi(default = None)]
    pub max_attempts: Option<u32>,
    /// Finished when it is given out: one copy, never repeated, lost with its member.
    #[uniffi(default = false)]
    pub at_most_once: bool,
    /// What becomes of it where the queue has no group; absent: it waits there.
    #[uniffi(default = None)]
    pub if_no_group: Option<IfNoGroup>,
    /// Messages of one key are given out in line, one at a time: 1 to 255 bytes.
    #[uniffi(default = None)]
    pub key: Option<String>,
    /// Within `dedup_window_ms` messages with the same are one, and the receipt says so: 1 to 255 bytes.
    /// 101 for more than one message, for `call`, and with `at_most_once`.
    #[uniffi(default = None)]
    pub dedup: Option<String>,
    /// How long that is, from the first one on, a week at most; absent: 300,000. 101 without `dedup`.
    /// Another window is another key.
    #[uniffi(default = None)]
    pub dedup_window_ms: Option<u64>,
}

/// Errors: 101 for a date that this machine cannot name.
impl TryFrom<EnqueueOptions> for primer::EnqueueOptions {
    type Error = PrimerError;

    fn try_from(options: EnqueueOptions) -> Result<Self, PrimerError> {
        let headers = options
            .headers
            .into_iter()
            .map(|header| (header.key, header.value));
        Ok(Self {
            copies: options.copies,
            on_short: options.on_short.map(Into::into),
            timeout: options.timeout_ms.map(Duration::from_millis),
            headers: headers.collect(),
            priority: options.priority,
            delay: options.delay_ms.map(Duration::from_millis),
            at: options.at_ms.map(date).transpose()?,
            ttl: options.ttl_ms.map(Duration::from_millis),
            max_attempts: options.max_attempts,
            at_most_once: options.at_most_once,
            if_no_group: options.if_no_group.map(Into::into).unwrap_or_default(),
            key: options.key,
            dedup: options.dedup,
            dedup_window: options.dedup_window_ms.map(Duration::from_millis),
        })
    }
}

fn date(ms: u64) -> Result<SystemTime, PrimerError> {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    let wrong = || {
        Error::new(ErrorKind::InvalidArgument)
            .because("an option is out of its range")
            .with("at_ms", ms)
    };
    Ok(at.ok_or_else(wrong)?)
}

/// Options of one receive.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ReceiveOptions {
    /// At most this many.
    #[uniffi(default = 1)]
    pub max: u32,
    /// How long to wait for the first, in milliseconds.
    #[uniffi(default = 0)]
    pub wait_ms: u64,
    /// The lease in milliseconds; absent: the member's.
    #[uniffi(default = None)]
    pub lease_ms: Option<u64>,
    /// In which group; absent: the queue itself. One that does not exist is created.
    #[uniffi(default = None)]
    pub group: Option<String>,
    /// A group that is created gets what waits in the queue, too.
    #[uniffi(default = false)]
    pub backlog: bool,
}

impl From<ReceiveOptions> for primer::ReceiveOptions {
    fn from(options: ReceiveOptions) -> Self {
        Self {
            max: usize::try_from(options.max).unwrap_or(usize::MAX),
            wait: Duration::from_millis(options.wait_ms),
            lease: options.lease_ms.map(Duration::from_millis),
            group: options.group,
            backlog: options.backlog,
        }
    }
}

/// Options of one subscription.
#[derive(Clone, Debug, uniffi::Record)]
pub struct SubscribeOptions {
    /// Unsettled deliveries at most.
    #[uniffi(default = 64)]
    pub credit: u32,
    /// The lease in milliseconds; absent: the member's.
    #[uniffi(default = None)]
    pub lease_ms: Option<u64>,
    /// Nothing more while the bodies of unsettled deliveries are so many bytes together; one message
    /// is always allowed. Absent: no such bound.
    #[uniffi(default = None)]
    pub credit_bytes: Option<u64>,
    /// For so many milliseconds Primer itself extends the lease of an unsettled delivery; absent: not
    /// at all.
    #[uniffi(default = None)]
    pub max_run_ms: Option<u64>,
    /// In which group; absent: the queue itself. One that does not exist is created.
    #[uniffi(default = None)]
    pub group: Option<String>,
    /// A group that is created gets what waits in the queue, too.
    #[uniffi(default = false)]
    pub backlog: bool,
}

impl From<SubscribeOptions> for primer::SubscribeOptions {
    fn from(options: SubscribeOptions) -> Self {
        Self {
            credit: options.credit,
            credit_bytes: options.credit_bytes,
            lease: options.lease_ms.map(Duration::from_millis),
            max_run: options.max_run_ms.map(Duration::from_millis),
            group: options.group,
            backlog: options.backlog,
        }
    }
}

/// An enqueue's honest answer.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Receipt {
    /// The message's identity.
    pub id: String,
    /// Members that hold it, this one included.
    pub copies: u16,
    /// How many of them have it on disk.
    pub durable_copies: u16,
    /// Copies that were asked for.
    pub wanted: u16,
    /// Its `dedup` was known: the message is that of an earlier enqueue.
    pub is_duplicate: bool,
}

impl From<primer::Receipt> for Receipt {
    fn from(receipt: primer::Receipt) -> Self {
        Self {
            id: receipt.id.to_string(),
            copies: receipt.copies,
            durable_copies: receipt.durable_copies,
            wanted: receipt.wanted,
            is_duplicate: receipt.is_duplicate,
        }
    }
}

/// A member as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Member {
    /// Its identity.
    pub id: String,
    /// Its name; empty when it has none.
    pub name: String,
    /// Where it listens; empty when it does not.
    pub address: String,
    /// True for this member itself.
    pub is_self: bool,
    /// This member's own opinion, never the cluster's.
    pub is_reachable: bool,
    /// How near it is to its memory budget, 0 to 4, as it told this member; 0 while there is no link to it.
    pub memory_level: u8,
    /// What fails together with it; empty when it was told none.
    pub zone: String,
}

impl From<primer::Member> for Member {
    fn from(member: primer::Member) -> Self {
        Self {
            id: member.id.to_string(),
            name: member.name,
            address: member.address,
            is_self: member.is_self,
            is_reachable: member.is_reachable,
            memory_level: member.memory_level,
            zone: member.zone,
        }
    }
}

/// Something that happened to the cluster as this member sees it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Event {
    /// Wall-clock milliseconds since 1970.
    pub at_ms: u64,
    /// joined, left, suspect, unreachable, reachable, split, healed, conflict, evicted, takeover or refused.
    pub kind: String,
    /// To whom.
    pub member: String,
    /// Its name; may be empty.
    pub name: String,
    /// Further words; may be empty.
    pub detail: String,
}

impl From<primer::Event> for Event {
    fn from(event: primer::Event) -> Self {
        Self {
            at_ms: event.at_ms,
            kind: event.kind.name().to_owned(),
            member: event.member.to_string(),
            name: event.name,
            detail: event.detail,
        }
    }
}

/// What a member told everyone who listens to a topic.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Broadcast {
    /// Which topic.
    pub topic: String,
    /// Who told it: a member's identity.
    pub from: String,
    /// What.
    pub body: Vec<u8>,
}

impl From<primer::Broadcast> for Broadcast {
    fn from(broadcast: primer::Broadcast) -> Self {
        Self {
            topic: broadcast.topic,
            from: broadcast.from.to_string(),
            body: broadcast.body.into(),
        }
    }
}

/// A key of the cluster's with its value.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value that is read.
    pub value: Vec<u8>,
    /// When it was written, by the writer's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// Values written at the same time that lost to it, newest first.
    pub others: Vec<Vec<u8>>,
}

impl From<primer::Entry> for Entry {
    fn from(entry: primer::Entry) -> Self {
        Self {
            key: entry.key,
            value: entry.value.into(),
            at_ms: entry.at_ms,
            others: entry.others.into_iter().map(Into::into).collect(),
        }
    }
}

/// A key has another value.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Change {
    /// Which.
    pub key: String,
    /// What it is now; absent when it was removed.
    pub value: Option<Vec<u8>>,
}

impl From<primer::Change> for Change {
    fn from(change: primer::Change) -> Self {
        Self {
            key: change.key,
            value: change.value.map(Into::into),
        }
    }
}

/// Settings of a queue or a policy.
pub(crate) fn settings(options: &primer::QueueOptions) -> HashMap<String, String> {
    let settings = options.iter();
    settings
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}
