//! [`BroadcastHandler`]: what a host does with what members tell each other.
//!
//! A broadcast comes once or not at all. Who needs more brings an exchange with it: a member says
//! what it has, another one answers with what that lacks, so that what was missed comes in the end
//! (core/docs/handlers.md).

use bytes::Bytes;

use crate::MemberId;

/// A kind of news of the host's own, known to the cluster by a number: see [`crate::Primer::handle`].
///
/// All calls come one at a time on the thread `primer-handlers`, which all handlers of a member
/// share: one should be back within 50 ms. While one blocks, only handlers wait; what comes
/// meanwhile is kept up to 1,024 bodies and 8 MiB and then dropped, for the exchange to bring again.
/// One that panics is counted and traced, and called again for the next body. A handler that holds
/// a clone of its member keeps it open until [`crate::Primer::close`].
pub trait BroadcastHandler: Send + Sync + 'static {
    /// Takes a body in: `from` broadcast it, or sent it as an answer. True when it was new, that is
    /// when it changed something here; false for one that is known already, or malformed: it may
    /// come from any member of the cluster. Bodies come in any order, and perhaps more than once.
    fn merge(&self, from: MemberId, body: &[u8]) -> bool;

    /// What this member has, said so that another one can tell what it lacks: up to 64 KiB. None
    /// asks nobody at this time, or ever: a handler without an exchange.
    fn digest(&self) -> Option<Bytes> {
        None
    }

    /// What the member that said `digest` lacks, up to 64 KiB each; it merges them. The first 64 are
    /// sent; a member to which the last of them were new asks again at once.
    fn answer(&self, digest: &[u8]) -> Vec<Bytes> {
        let _ = digest;
        Vec::new()
    }
}
