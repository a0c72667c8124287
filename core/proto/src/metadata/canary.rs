//! Planted bugs, chosen at run time in builds with the feature `canary`: the model and the
//! simulator must catch each of them (protocol.md 8.2b).

/// A mistake that a draft of the metadata rules really had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetaCanary {
    /// None.
    #[default]
    None,
    /// An exchange joins the peer's context before it has the entries.
    JoinContextEarly,
    /// An exchange judges and joins by a context that is younger than the entries.
    YoungContext,
    /// An exchange joins the peer's context only when the roots were equal.
    JoinOnlyOnEqualRoots,
    /// A stamp from too far ahead is stored altered.
    ClampStamp,
    /// Changes of one key are coalesced without the dots of the earlier ones.
    CoalesceWithoutContexts,
    /// A table that starts anew counts the same actor's dots from the beginning.
    ReuseDot,
    /// What was seen is believed from saved metadata that is damaged.
    KeepContextOfDamaged,
}

/// Which bug is planted here: never one in builds without the feature.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Planted {
    #[cfg(any(test, feature = "canary"))]
    which: MetaCanary,
}

impl Planted {
    #[cfg(any(test, feature = "canary"))]
    pub(super) fn new(which: MetaCanary) -> Self {
        Self { which }
    }

    #[cfg(any(test, feature = "canary"))]
    pub(super) fn is(self, which: MetaCanary) -> bool {
        self.which == which
    }

    #[cfg(not(any(test, feature = "canary")))]
    pub(super) fn is(self, which: MetaCanary) -> bool {
        let _ = which;
        false
    }
}
