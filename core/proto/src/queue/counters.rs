//! What happened so far, by the names that `stats` has (core/docs/stats.md).

use alloc::collections::BTreeMap;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What happened so far at this member.
        #[derive(Debug, Default, Clone)]
        pub(crate) struct Counters { $($(#[$doc])* pub(crate) $name: u64,)* }
        impl Counters {
            pub(super) fn write(&self, stats: &mut BTreeMap<&'static str, u64>) {
                $(stats.insert(stringify!($name), self.$name);)*
            }
        }
    };
}

counters! {
    /// Messages accepted here.
    enqueued,
    /// Enqueues refused or failed.
    enqueues_failed,
    /// Receipts with fewer copies than wanted.
    enqueues_short,
    /// Messages that another member was asked to accept.
    enqueues_forwarded,
    /// Messages accepted here for another member's users.
    enqueues_taken,
    /// Enqueues that failed after a copy, or they themselves, were sent.
    indeterminate_outcomes,
    /// Frames of copies sent with enqueues.
    copy_frames,
    /// Enqueues whose copies were late at a member, and went to one more.
    hedges,
    /// Such that did not, because too many had just done so.
    hedges_skipped,
    /// Receipts that said that the message was there already, by its dedup key.
    dedup_duplicates,
    /// Messages that were finished here because another member had finished the same, by their dedup key.
    dedup_merged,
    /// Copies sent to members that are to know a dedup key.
    dedup_brought_home,
    /// Copies stored for other owners.
    copies_stored,
    /// Copies refused.
    copies_refused,
    /// Queues forgotten because nobody used them.
    queues_forgotten,
    /// Times that this member came nearer to its memory budget, or further from it, by a level.
    memory_levels,
    /// Leases given by this owner.
    delivered,
    /// Deliveries that came from other members.
    fetched,
    /// Deliveries that nobody here wanted any more, given back.
    returned,
    /// Acks given here.
    acked,
    /// Acks of messages that were finished already.
    acks_late,
    /// Leases that were extended here for consumers.
    leases_kept,
    /// Leases that should have been, and were lost all the same.
    leases_kept_lost,
    /// Leases that ran out.
    redeliveries_lease,
    /// Messages that a consumer gave back as failed.
    redeliveries_nack,
    /// Messages that became ready again because their owner went.
    redeliveries_takeover,
    /// Messages given out again by a member that had been evicted.
    redeliveries_evicted,
    /// Messages given back untried.
    released,
    /// Holders that were told of a lease or of a delivery to come, in messages.
    lease_hints,
    /// Leases that no holder was told of, because too many began at once: possible duplicates.
    lease_hints_skipped,
    /// Deliveries, other than first ones, that a holder was told of before.
    announced,
    /// Messages taken over while a consumer had them: they waited for it.
    takeovers_leased,
    /// Takeovers of a lost owner's messages, in messages.
    takeovers,
    /// Ownerships given up to a higher claim.
    owner_conflicts,
    /// Finished ids dropped for want of memory: possible duplicates.
    tombstones_evicted,
    /// Fingerprints dropped early for want of memory: possible duplicates.
    fingerprints_evicted,
    /// Inventories sent: what is counted together with another member.
    inventories,
    /// Buckets of other members' inventories that were counted otherwise here.
    inventory_differences,
    /// Messages handed to others by a leave.
    handed_over,
    /// Copies sent to make up for lost ones.
    repaired,
    /// Messages whose time to live was over, at their owner.
    expired,
    /// Messages that went on as dead letters.
    dead_letters,
    /// Dead letters, or other messages, that went back.
    redriven,
    /// Messages that went to a group which their owner had not heard of.
    joined_groups,
    /// Messages of groups that were removed.
    dropped_with_group,
    /// Messages that no group wanted, as their producer asked.
    dropped_ungrouped,
    /// Messages that were purged, at their owner.
    purged,
    /// Messages of queues at their maximum that were dropped for good.
    dropped_overflow,
    /// Messages given out at most once that came to nobody.
    at_most_once_lost,
    /// Calls made here.
    calls_made,
    /// Calls whose reply did not come in time.
    calls_unanswered,
    /// Replies given here.
    replies,
    /// Replies whose caller was gone, had given up or had one, seen here.
    replies_dropped,
    /// Pages asked for here.
    browses,
    /// Pages that some member did not answer in time for.
    browse_timeouts,
    /// Other members' browses and redrives refused here, where too many were under way.
    browses_refused,
    /// Explanations asked for here.
    explains,
    /// Diagnoses of a queue asked for here.
    doctors,
    /// Redrives asked for here.
    redrives,
    /// Times that some member did not answer a redrive in time.
    redrive_timeouts,
    /// Answers to browses, explanations, diagnoses and redrives that nobody waited for, or that did not keep to what was asked.
    browses_dropped,
}
