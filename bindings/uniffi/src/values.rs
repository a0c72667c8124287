//! The values that cross, as records: identities are text, times milliseconds.

use std::time::Duration;

/// A header of a message.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
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
}

impl From<EnqueueOptions> for primer::EnqueueOptions {
    fn from(options: EnqueueOptions) -> Self {
        let headers = options
            .headers
            .into_iter()
            .map(|header| (header.key, header.value));
        Self {
            copies: options.copies,
            on_short: options.on_short.map(Into::into),
            timeout: options.timeout_ms.map(Duration::from_millis),
            headers: headers.collect(),
        }
    }
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
}

impl From<ReceiveOptions> for primer::ReceiveOptions {
    fn from(options: ReceiveOptions) -> Self {
        Self {
            max: usize::try_from(options.max).unwrap_or(usize::MAX),
            wait: Duration::from_millis(options.wait_ms),
            lease: options.lease_ms.map(Duration::from_millis),
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
}

impl From<SubscribeOptions> for primer::SubscribeOptions {
    fn from(options: SubscribeOptions) -> Self {
        Self {
            credit: options.credit,
            lease: options.lease_ms.map(Duration::from_millis),
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
}

impl From<primer::Receipt> for Receipt {
    fn from(receipt: primer::Receipt) -> Self {
        Self {
            id: receipt.id.to_string(),
            copies: receipt.copies,
            durable_copies: receipt.durable_copies,
            wanted: receipt.wanted,
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
}

impl From<primer::Member> for Member {
    fn from(member: primer::Member) -> Self {
        Self {
            id: member.id.to_string(),
            name: member.name,
            address: member.address,
            is_self: member.is_self,
            is_reachable: member.is_reachable,
        }
    }
}

/// Something that happened to the cluster as this member sees it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Event {
    /// Wall-clock milliseconds since 1970.
    pub at_ms: u64,
    /// joined, left, unreachable, reachable, conflict or takeover.
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
