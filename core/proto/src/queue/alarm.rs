//! What the room of queues has to do at a time, but for messages and batches, which are in wheels.

use super::{Queues, Settings, inventory, limits};
use crate::base::{Alarms, MemberId, Now, QueueKey, SessionId, StoreId, Ticket};

/// Deadlines that are few; those of messages and batches are in wheels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// A receive's wait is over.
    Waiter(Ticket),
    /// A call's wait is over.
    Call(Ticket),
    /// A page's wait is over.
    Browse(Ticket),
    /// An explanation's wait is over.
    Explain(Ticket),
    /// What is held here is looked through for pages.
    Scan,
    /// A diagnosis' wait is over.
    Doctor(Ticket),
    /// What is held here is looked through for diagnoses.
    Exam,
    /// A redrive's wait is over, or its time for counting.
    Redrive(Ticket),
    /// What is held here is looked through for letters that go back.
    Letters,
    /// A demand was not answered.
    Demand(u64),
    /// An enqueue that another member was to take was not answered.
    Forward(u64),
    /// Who may know a dedup key did not answer.
    Dedup(u64),
    /// Enqueues waited for one with the same dedup key, which has ended.
    Later,
    /// The next step of telling a member what is known of the dedup keys that it is the home of.
    Home(MemberId),
    /// A nack, release or extend was not answered.
    Settle(u64),
    /// Deliveries of a subscription may have outlived their leases.
    Session(SessionId),
    /// Somebody still wants messages of this queue: ask those that list it again.
    Look(QueueKey),
    /// Holders of finished messages have not confirmed.
    Retry(MemberId),
    /// Holders of finished messages were lost for good.
    Recheck,
    /// An owner has been gone for long enough.
    Sweep(StoreId),
    /// A peer is back: tell it what it may have missed.
    Resync(MemberId),
    /// Fingerprints age.
    Age,
    /// The next step of a hand-over.
    Handover,
    /// The next step of making copies again.
    Repair,
    /// The next look for messages of groups that came or went.
    Groups,
    /// The next look for messages that end when their groups have them.
    Joins,
    /// The next shelves hear of changed policies.
    Rules,
    /// The next look for messages of queues that were purged.
    Purge,
    /// A shelf has more than it may, still.
    Trim(QueueKey),
    /// Lines of keys hear of another bound.
    Lines(QueueKey),
    /// Leases that began a little while ago are told of.
    Hint,
    /// What is held here is summed up for those who count it, too.
    Inventory,
    /// The next step of comparing another's inventory; what it owns, or what it holds.
    Compare(MemberId, bool),
    /// The next step of telling a member all of what it counts otherwise.
    Tell(MemberId),
    /// A member was late with copies a while ago.
    Shunned(MemberId),
    /// Memory is short: the next queues give back what they do not use.
    Spare,
}

/// What comes round in each room.
pub(super) fn first_alarms(settings: &Settings, now: Now) -> Alarms<Alarm> {
    let mut alarms = Alarms::default();
    alarms.set(Alarm::Age, now.mono + limits::FORGET_GRACE_MS);
    alarms.set(Alarm::Inventory, inventory::next_look(settings, now));
    alarms
}

impl Queues {
    pub(super) fn ring(&mut self, now: Now, alarm: Alarm) {
        match alarm {
            Alarm::Waiter(ticket) => self.waiter_is_due(ticket),
            Alarm::Call(ticket) => self.call_is_due(ticket),
            Alarm::Browse(ticket) => self.browse_is_due(ticket),
            Alarm::Explain(ticket) => self.explain_is_due(ticket),
            Alarm::Scan => self.scan_step(now),
            Alarm::Redrive(ticket) => self.redrive_is_due(now, ticket),
            Alarm::Letters => self.redrive_step(now),
            Alarm::Doctor(ticket) => self.doctor_is_due(ticket),
            Alarm::Exam => self.doctor_step(now),
            Alarm::Demand(number) => self.demand_is_late(now, number),
            Alarm::Forward(number) => self.forward_is_late(number),
            Alarm::Dedup(number) => self.dedup_is_late(number),
            Alarm::Later => self.take_later(now),
            Alarm::Home(member) => self.home_step(now, member),
            Alarm::Settle(number) => self.settle_is_late(number),
            Alarm::Session(session) => self.session_is_due(now, session),
            Alarm::Look(queue) => self.look_again(now, queue),
            Alarm::Retry(member) => self.retry_acks(now, member),
            Alarm::Recheck => self.recheck_tombs(now),
            Alarm::Sweep(store) => self.sweep(now, store),
            Alarm::Resync(member) => self.resync(now, member),
            Alarm::Age => self.age(now),
            Alarm::Handover => self.handover_step(now),
            Alarm::Repair => self.repair(now),
            Alarm::Groups => self.groups_step(now),
            Alarm::Joins => self.partings_step(now),
            Alarm::Rules => self.rules_step(now),
            Alarm::Purge => self.purge_step(now),
            Alarm::Trim(queue) => self.trim(now, queue),
            Alarm::Lines(queue) => self.rebound(now, queue),
            Alarm::Hint => self.hint_step(now),
            Alarm::Inventory => self.inventory_step(now),
            Alarm::Compare(member, is_owners) => self.compare_step(now, member, is_owners),
            Alarm::Tell(member) => self.tell_step(now, member),
            Alarm::Shunned(member) => self.spare_late(now, member),
            Alarm::Spare => self.spare_step(now),
        }
    }
}
