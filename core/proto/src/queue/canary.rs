//! Planted bugs, chosen at run time in builds with the feature `canary`: the simulator must catch each
//! of them (protocol.md 8.2b).

/// A mistake that a draft of the queue's rules really had, or that is easily made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueueCanary {
    /// None.
    #[default]
    None,
    /// Nothing is left of what was forgotten.
    NoFingerprint,
    /// A message that is given out at most once is not finished by that.
    AtMostOnceAgain,
    /// It is copied like any other.
    AtMostOnceCopied,
    /// Whose messages were taken over while their copies were on their way is told that nothing was sent.
    AbortedAfterTakeover,
    /// Each owner gives its dead letter an id of its own.
    FreshDeadLetter,
    /// What waits in a queue leaves it for a new group, and does not come there.
    AddedGroupLost,
    /// A purge also ends what is accepted after it.
    PurgeForgetsTime,
    /// Who asks from another member gets messages of a queue that is paused.
    PauseIgnored,
    /// What a queue at its maximum drops is no dead letter.
    OverflowLost,
    /// New messages and copies are taken whatever they cost.
    BudgetIgnored,
    /// Messages are given out without a look at their keys.
    KeyIgnored,
    /// Copies that are late go to one more member however many do.
    HedgesUnbounded,
    /// A message that is given out at most once is sent to a second taker beside a first one that may be slow.
    AtMostOnceHedged,
    /// A dedup key is at home at the first of the members that can be reached, and nowhere else.
    DedupByLiveMembers,
}

/// Which bug is planted here: never one in builds without the feature.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Planted {
    #[cfg(any(test, feature = "canary"))]
    which: QueueCanary,
}

impl Planted {
    #[cfg(any(test, feature = "canary"))]
    pub(super) fn is(self, which: QueueCanary) -> bool {
        self.which == which
    }

    #[cfg(not(any(test, feature = "canary")))]
    pub(super) fn is(self, which: QueueCanary) -> bool {
        let _ = which;
        false
    }
}

#[cfg(feature = "canary")]
impl super::Queues {
    /// Plants a bug for a test to catch.
    pub fn plant(&mut self, which: QueueCanary) {
        self.planted = Planted { which };
        self.prints.plant(self.planted);
    }
}
