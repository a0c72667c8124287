//! What members tell each other about membership.

use alloc::vec::Vec;

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
}

/// A change of the metadata, or all of it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Meta {
    /// True for the whole state, which also judges the keys it lacks.
    #[prost(bool, tag = "1")]
    pub is_whole: bool,
    /// A `crdt::Delta`.
    #[prost(bytes = "vec", tag = "2")]
    pub delta: Vec<u8>,
    /// True when the sender would like the receiver's whole state in return.
    #[prost(bool, tag = "3")]
    pub asks: bool,
}
