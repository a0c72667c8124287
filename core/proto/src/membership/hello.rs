//! The first frame on every connection, both ways, before anything else is read.
//!
//! It states which cluster, which member, which life, and which lane this connection is to be. It
//! is at most `limits::HELLO_BYTES_MAX` long and a stranger must send it within `limits::HELLO_MS`.

use alloc::string::String;
use alloc::vec::Vec;
use prost::Message as _;

use super::view::MemberInfo;

use crate::base::{BootId, ClusterId, Error, ErrorKind, MemberId, Result, StoreId, limits};

/// Peers of another major version are refused.
pub const WIRE_MAJOR: u32 = 1;
/// Peers of another minor version are served by what both know. 1: a member takes enqueues for others.
/// 2: it knows dedup keys.
pub const WIRE_MINOR: u32 = 2;
/// The first minor version whose members take enqueues for others.
pub const MINOR_TAKES: u32 = 1;
/// The first minor version whose members know dedup keys.
pub const MINOR_DEDUP: u32 = 2;

/// What a member says of itself.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Hello {
    /// See [`WIRE_MAJOR`].
    #[prost(uint32, tag = "1")]
    pub major: u32,
    /// See [`WIRE_MINOR`].
    #[prost(uint32, tag = "2")]
    pub minor: u32,
    /// The cluster, 16 bytes.
    #[prost(bytes = "vec", tag = "3")]
    cluster: Vec<u8>,
    /// The member, 16 bytes.
    #[prost(bytes = "vec", tag = "4")]
    member: Vec<u8>,
    /// Orders lives of one member.
    #[prost(uint64, tag = "5")]
    pub incarnation: u64,
    /// This life of the process.
    #[prost(fixed64, tag = "6")]
    boot: u64,
    /// This life of its copies.
    #[prost(fixed64, tag = "7")]
    store: u64,
    /// Its name; may be empty.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Where it listens; empty when it does not.
    #[prost(string, tag = "9")]
    pub address: String,
    /// 0 control, 1 bulk.
    #[prost(uint32, tag = "10")]
    pub lane: u32,
    /// Chosen by the dialler at random: the two connections with one number are one link.
    #[prost(fixed64, tag = "11")]
    pub pair: u64,
    /// Chance, [`NONCE_BYTES`] of it, where the secret is proven without TLS; else empty.
    #[prost(bytes = "vec", tag = "12")]
    pub nonce: Vec<u8>,
    /// Members in its set, itself included: more than one tells a twin from a newcomer. Two at least
    /// for one that has had others beside it.
    #[prost(uint32, tag = "13")]
    pub members: u32,
    /// The version of its row (see `membership::Card`).
    #[prost(uint64, tag = "14")]
    pub version: u64,
    /// It has neither a name nor a data directory.
    #[prost(bool, tag = "15")]
    pub is_ephemeral: bool,
    /// Former lives of copies that its store serves.
    #[prost(fixed64, repeated, tag = "16")]
    pub kept: Vec<u64>,
    /// Digest of the rows it knows: who has the same need not be told them.
    #[prost(fixed64, tag = "17")]
    pub cards: u64,
    /// It left its cluster and is alone since: who dials it as a member has not heard of that yet.
    #[prost(bool, tag = "18")]
    pub is_apart: bool,
    /// The zone that it is in; may be empty.
    #[prost(string, tag = "19")]
    pub zone: String,
}

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 32;

/// Sent instead of a [`Hello`] (or after it) when the peer is not welcome; the connection closes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Refusal {
    /// An [`ErrorKind`]'s number.
    #[prost(uint32, tag = "1")]
    pub number: u32,
    /// Why.
    #[prost(string, tag = "2")]
    pub reason: String,
}

impl Hello {
    /// A hello of this version for one lane of one link.
    #[must_use]
    pub fn new(cluster: ClusterId, member: MemberId, boot: BootId, store: StoreId) -> Self {
        Self {
            major: WIRE_MAJOR,
            minor: WIRE_MINOR,
            cluster: cluster.0.to_le_bytes().to_vec(),
            member: member.0.to_le_bytes().to_vec(),
            boot: boot.0,
            store: store.0,
            ..Self::default()
        }
    }

    /// The cluster it belongs to; zero when malformed, which [`Hello::check`] refuses.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        ClusterId(wide(&self.cluster).unwrap_or_default())
    }

    /// Who it is; zero when malformed, which [`Hello::check`] refuses.
    #[must_use]
    pub fn member(&self) -> MemberId {
        MemberId(wide(&self.member).unwrap_or_default())
    }

    /// What the set is to say of it.
    #[must_use]
    pub fn info(&self) -> MemberInfo {
        let kept = self.kept.iter().copied().map(StoreId);
        MemberInfo::new(self.incarnation, self.store(), self.is_ephemeral).keeping(kept)
    }

    /// Its boot.
    #[must_use]
    pub fn boot(&self) -> BootId {
        BootId(self.boot)
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> StoreId {
        StoreId(self.store)
    }

    /// Whether `self` (the peer's) may talk to `own`.
    ///
    /// Errors: those of [`Hello::check_cluster`], then those of [`Hello::check_identity`].
    pub fn check(&self, own: &Hello) -> Result<()> {
        self.check_cluster(own)?;
        self.check_identity(own)
    }

    /// Whether `self` (the peer's) is a hello of `own`'s cluster: all that is asked of a stranger
    /// before it has proven anything.
    ///
    /// Errors: 106 for another major version, 107 for another cluster, 503 for a malformed hello.
    pub fn check_cluster(&self, own: &Hello) -> Result<()> {
        let is_whole = wide(&self.cluster).is_some()
            && wide(&self.member).is_some_and(|member| member != 0)
            && self.name.len() <= limits::NAME_BYTES_MAX
            && self.address.len() <= limits::NAME_BYTES_MAX
            && [0, NONCE_BYTES].contains(&self.nonce.len())
            && self.lane <= 1;
        if !is_whole {
            return Err(Error::new(ErrorKind::Corrupt).because("malformed hello"));
        }
        if self.major != own.major {
            return Err(Error::new(ErrorKind::Unsupported)
                .because("the peer speaks another wire version")
                .with("theirs", self.major)
                .with("ours", own.major));
        }
        if self.cluster != own.cluster {
            return Err(Error::new(ErrorKind::ClusterMismatch)
                .because("the peer belongs to another cluster")
                .with("theirs", self.cluster())
                .with("ours", own.cluster()));
        }
        Ok(())
    }

    /// Whether `self` (the peer's) is somebody else than `own`.
    ///
    /// Two that have each other members beside them come from across a split: those are judged by
    /// the engine, which lets one of them go on under another identity.
    ///
    /// Errors: 101 when we dialled ourselves, 108 for our own identity in another process.
    pub fn check_identity(&self, own: &Hello) -> Result<()> {
        if self.member != own.member {
            return Ok(());
        }
        if self.boot == own.boot {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("that address is this member itself"));
        }
        if self.members > 1 && own.members > 1 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::IdentityConflict)
            .because("another live process has this member's identity")
            .with("member", self.member()))
    }

    /// Its bytes, without a frame header.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// From bytes. Errors: 503.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > limits::HELLO_BYTES_MAX {
            return Err(Error::new(ErrorKind::TooLarge).because("hello is too long"));
        }
        Self::decode(bytes).map_err(|_| Error::new(ErrorKind::Corrupt).because("malformed hello"))
    }
}

impl Refusal {
    /// What `error` looks like to the peer: number and reason, never our context.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        Self {
            number: u32::from(error.number()),
            reason: error.reason().into(),
        }
    }

    /// The error that the peer told.
    #[must_use]
    pub fn to_error(&self) -> Error {
        let kind = u16::try_from(self.number)
            .ok()
            .and_then(ErrorKind::from_number)
            .unwrap_or(ErrorKind::Unreachable);
        let reason: String = self.reason.chars().take(200).collect();
        Error::new(kind).because(reason)
    }

    /// Its bytes, without a frame header.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// From bytes. Errors: 503.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes).map_err(|_| Error::new(ErrorKind::Corrupt).because("malformed refusal"))
    }
}

fn wide(bytes: &[u8]) -> Option<u128> {
    bytes.try_into().ok().map(u128::from_le_bytes)
}
