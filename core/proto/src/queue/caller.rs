//! Who put messages in, and hears what becomes of them.

use super::onward::Onward;
use crate::base::{MemberId, MessageId, Ticket};

/// Who waits for copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// An enqueue of one.
    One(Ticket),
    /// An enqueue of several.
    Many(Ticket),
    /// An enqueue of another member's, by its number there.
    For(MemberId, u64),
    /// The message that this one was.
    Source(MessageId, Onward),
    /// Messages that go into groups which came late.
    Groups,
    /// Those who put one dedup key in, by its number here.
    Once(u64),
}
