//! What members tell each other about membership.

use alloc::vec::Vec;

use crate::base::{BootId, MemberId};

/// "I am here, and I heard you." Every `limits::HEARTBEAT_MS` on an idle control lane.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Heartbeat {
    /// Counts this sender's heartbeats on this link.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The last number heard from the receiver, so that a one-way link is down on both sides.
    #[prost(uint64, tag = "2")]
    pub heard: u64,
    /// True when this one answers another; it is not answered.
    #[prost(bool, tag = "3")]
    pub is_answer: bool,
    /// Digest of the sender's metadata: one that stays different asks for the whole.
    #[prost(fixed64, tag = "4")]
    pub digest: u64,
    /// Version of the sender's stock row.
    #[prost(uint64, tag = "5")]
    pub stock: u64,
    /// Digest of the rows the sender knows: one that stays different is told all of the other's.
    #[prost(fixed64, tag = "6")]
    pub cards: u64,
}

/// A change of the metadata that is told to one member directly: the word of a leave.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Meta {
    /// A `crdt::Delta`.
    #[prost(bytes = "vec", tag = "2")]
    pub delta: Vec<u8>,
    /// True when the sender wants to hear whether the receiver knew; the answer is an empty one.
    #[prost(bool, tag = "3")]
    pub asks: bool,
}

/// "Do you hear that member?", or the answer (SWIM's ping-req, without the ping: in a full mesh the
/// one who is asked knows already).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Probe {
    /// Who is in doubt, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    member: Vec<u8>,
    /// True for an answer.
    #[prost(bool, tag = "2")]
    pub is_answer: bool,
    /// In an answer: milliseconds since its last sign; none when it is not heard here either.
    #[prost(uint64, optional, tag = "3")]
    pub age_ms: Option<u64>,
}

impl Probe {
    /// A question about `member`.
    #[must_use]
    pub fn of(member: MemberId) -> Self {
        Self {
            member: member.0.to_le_bytes().to_vec(),
            is_answer: false,
            age_ms: None,
        }
    }

    /// The answer to it.
    #[must_use]
    pub fn answer(&self, age_ms: Option<u64>) -> Self {
        Self {
            member: self.member.clone(),
            is_answer: true,
            age_ms,
        }
    }

    /// Who is in doubt; zero when malformed.
    #[must_use]
    pub fn member(&self) -> MemberId {
        let wide = self.member.as_slice().try_into();
        MemberId(wide.map_or(0, u128::from_le_bytes))
    }
}

/// "Another live process has your identity": who, so that the lower of the two goes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Rival {
    /// Its incarnation.
    #[prost(uint64, tag = "1")]
    pub incarnation: u64,
    #[prost(fixed64, tag = "2")]
    boot: u64,
    /// The identity, 16 bytes: a link that was made under a former one speaks of that.
    #[prost(bytes = "vec", tag = "3")]
    member: Vec<u8>,
}

impl Rival {
    /// A process that has the identity of `member`.
    #[must_use]
    pub fn of(member: MemberId, incarnation: u64, boot: BootId) -> Self {
        Self {
            incarnation,
            boot: boot.0,
            member: member.0.to_le_bytes().to_vec(),
        }
    }

    /// Whose identity it has; zero when malformed.
    #[must_use]
    pub fn member(&self) -> MemberId {
        let wide = self.member.as_slice().try_into();
        MemberId(wide.map_or(0, u128::from_le_bytes))
    }

    /// Its boot.
    #[must_use]
    pub fn boot(&self) -> BootId {
        BootId(self.boot)
    }
}
