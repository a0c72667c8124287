//! The best-effort queue (protocol.md 4): one owner a message, copies at its holders, leases from
//! delivery, acks that only grow.
//!
//! The room's own door is [`Queues`]; its methods stand in one file a concern: `enqueue` and `batch`
//! (admission, copies), `hedge` (copies that are late), `forward`, `taker`, `stead` and `parts` (what another member is to take),
//! `dedup`, `later`, `once`, `recall` and `remembered` (equal keys are one message), `keep` (copies of others), `give` (leases),
//! `fetch` (demands between members), `session` (subscriptions),
//! `kept` (their leases, extended), `hint` (what holders know of leases),
//! `life` (this store under another name),
//! `groups` and `joins` (who gets a message, and who gets it late),
//! `calls` (replies),
//! `browse` and `page` (looking without taking), `explain` and `account` (what is known of one), `doctor` and `facts` (why
//! nothing is delivered),
//! `settle` (nack, release, extend, reject), `terms` and `dead` (dates, limits, dead letters), `redrive`, `letters`
//! and `onward` (their way back), `ack` and `round` (the end of a message), `takeover` and
//! `handover` (owners that went or go), `repair` (copies that went), `rules` (what a queue is told to do),
//! `keyed`, `lines` and `ready` (what goes next, and keys in turn),
//! `alarm` (what is due), `length` and `purge` (too much of it, and all of it), `memory` (too much of all of them), `idle` (queues that nobody uses). It knows members only as [`Peer`]s that the engine tells it
//! of, and says what it wants as [`Out`]s.

mod account;
mod ack;
mod alarm;
mod batch;
mod browse;
mod caller;
mod calls;
mod canary;
mod counters;
mod dead;
mod dedup;
mod delivery;
mod doctor;
mod done;
mod enqueue;
mod explain;
mod facts;
mod fanout;
mod fetch;
mod forward;
mod give;
mod groups;
mod handover;
mod hedge;
mod hint;
mod idle;
mod inspect;
mod inventory;
mod joins;
mod keep;
mod kept;
mod keyed;
mod later;
mod length;
mod letters;
mod life;
mod lines;
mod memory;
mod message;
mod once;
mod onward;
mod page;
mod parts;
mod peers;
mod purge;
mod ready;
mod recall;
mod redrive;
mod remembered;
mod repair;
mod round;
mod rules;
mod send;
mod session;
mod settings;
mod settle;
mod shelf;
mod slot;
mod span;
mod stead;
mod takeover;
mod taker;
mod terms;
#[cfg(test)]
mod test_room;

pub use account::{Account, Explain, Explained, Known};
pub use calls::{REPLY_TO, ReplyTo};
#[cfg(any(test, feature = "canary"))]
pub use canary::QueueCanary;
pub use delivery::{
    Answer, EnqueueOptions, Flow, Glimpse, Handle, Headers, IfNoGroup, Leased, NewCall, NewMessage,
    OnShort, Receipt, Reply, Response,
};
pub use facts::{Code, Examine, Examined, Facts, Finding};
pub use groups::Group;
pub use hint::{HintOk, LeaseHint};
pub use inventory::{Differ, Inventory};
pub use message::{
    Claim, Deliver, Demand, Done, Ending, Forget, Header, Message, Replied, Settle, Settled,
};
pub use page::{After, Browse, Browsed, NewBrowse, Page, Shown, Spot, State};
pub use peers::Peer;
pub use recall::{Memento, Recall, Recalled, Recollection, Remember};
pub use redrive::{Letter, NewRedrive, Redrive, Redriven};
pub use rules::{SETTINGS, check_setting};
pub use settings::Settings;
pub use stead::{EnqueueFor, EnqueuePart, Taken};

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::base::{
    Alarms, Birth, Chance, Clock, Instant, MemberId, MessageId, Now, QueueKey, Result, SessionId,
    Stamp, StoreId, Ticket, Wheel, id, limits,
};
use crate::copies::{Holder, Holders, Own, Placement};
use alarm::{Alarm, first_alarms};
use batch::Batch;
use counters::Counters;
use dead::Cause;
use done::{Prints, Tombs};
use handover::Leaving;
use shelf::{Asked, Session, Shelf, Waiter};
use slot::{Index, Slab};
use takeover::Sweep;

/// What the room wants done.
#[derive(Debug)]
pub enum Out {
    /// Answer a command.
    Reply(Ticket, Answer),
    /// Hand messages to a subscription.
    Deliver(SessionId, Vec<Leased>),
    /// Send to a member, if it is linked.
    Send(MemberId, Box<Message>),
    /// A queue that has a maximum has so many messages and bytes of bodies here.
    Length(Arc<str>, u64, u64),
    /// Tell one member that this queue has stock again.
    Hint(MemberId, Arc<str>),
    /// The stock of a queue changed between empty and not.
    Stock(Arc<str>, bool),
    /// So many messages of a lost owner are owned here now.
    TookOver(MemberId, u64),
    /// Copies are held for a group that is not known here: is it gone?
    Birth(Birth),
    /// Every copy is handed over (or given up, if forced): this member may leave the set.
    Left(Ticket),
    /// A leave failed: this member stays in the set.
    Stayed,
}

/// The room.
#[derive(Debug)]
pub struct Queues {
    settings: Settings,
    me: Holder,
    /// The holders of a message that is only here.
    alone: Holders,
    clock: Clock,
    chance: Chance,
    names: BTreeMap<Arc<str>, QueueKey>,
    shelves: Vec<Shelf>,
    slab: Slab,
    index: Index,
    /// Deadlines of slots: leases and delays.
    wheel: Wheel,
    batches: Vec<Option<Batch>>,
    free_batches: Vec<u32>,
    batch_wheel: Wheel,
    /// What may be sent where copies are late.
    hedges: hedge::Budget,
    next_sequence: u64,
    /// The first ownership of the block of ids that is being given out.
    block_own: (u64, Own),
    placement: Placement,
    peers: BTreeMap<MemberId, Peer>,
    /// Members that left the set: their stores are lost.
    gone: BTreeSet<MemberId>,
    tombs: Tombs,
    prints: Prints,
    recheck_from: MessageId,
    waiters: BTreeMap<Ticket, Waiter>,
    /// Calls without a reply yet, and how long each waits.
    calls: calls::Calls,
    /// Pages and answers under way.
    browses: browse::Browses,
    inquiries: explain::Inquiries,
    redrives: redrive::Redrives,
    doctor: doctor::Doctor,
    asked: BTreeMap<u64, Asked>,
    /// Demands that were not answered in time.
    given_up: BTreeSet<u64>,
    /// What other members take for this one, and this one for others.
    forwards: forward::Forwards,
    /// Enqueues with dedup keys under way.
    dedups: dedup::Dedups,
    /// What is left of messages that had dedup keys.
    remembered: remembered::Remembered,
    settles: BTreeMap<u64, (Ticket, MemberId)>,
    sessions: BTreeMap<SessionId, Session>,
    /// When leases of subscriptions are to be extended.
    keeping: Alarms<SessionId>,
    /// Leases that holders are told of.
    hints: hint::Hints,
    inventories: inventory::Inventories,
    /// Other owners that were asked to extend one.
    kept: BTreeMap<u64, kept::Kept>,
    /// Messages whose dead letters could not be made yet, and why they died.
    dying: BTreeMap<MessageId, Cause>,
    next_number: u64,
    alarms: Alarms<Alarm>,
    sweeps: BTreeMap<StoreId, Sweep>,
    /// Where the repair of copies stands.
    pass: repair::Pass,
    /// When this room began, or its life since this member last left: before, others gave messages to
    /// groups that are forgotten here, or this store did.
    began: Stamp,
    /// What there is to do about groups that came or went.
    groups: groups::Pass,
    /// The settings of all queues.
    book: rules::Book,
    /// Where the look for purged messages stands.
    purge_cursor: u32,
    /// Shelves where the next of a key may be given.
    freed: BTreeSet<QueueKey>,
    /// How long queues are that have a maximum.
    lengths: length::Lengths,
    /// Some message here may have fewer copies than were asked for.
    has_short: bool,
    /// What is held, against the budget.
    memory: memory::Memory,
    /// Queues that nobody uses.
    idle: idle::Idle,
    leaving: Option<Leaving>,
    /// Everything is handed over: nothing is taken until [`Queues::reset`], or it would be lost.
    is_parting: bool,
    /// A leave was in vain, and [`Queues::resume`] is still to come: nothing is given before.
    is_resuming: bool,
    /// What this member held when it was evicted.
    aside: Vec<life::Aside>,
    /// It is given out again as soon as this member has left.
    reclaims: bool,
    /// Some peer is linked, so stock edges are told.
    is_announcing: bool,
    out: Vec<Out>,
    planted: canary::Planted,
    pub(crate) counters: Counters,
}

impl Queues {
    /// An empty room.
    #[must_use]
    pub fn new(settings: Settings, now: Now, mut chance: Chance) -> Self {
        let me = settings.me;
        let mut clock = Clock::default();
        let began = clock.next(now);
        let (zone, placing) = (settings.zone, settings.placing);
        let placement = Placement::new(me, zone, placing, Chance::new(chance.bits()));
        Self {
            me,
            alone: [me].into(),
            clock,
            chance,
            names: BTreeMap::new(),
            shelves: Vec::new(),
            slab: Slab::default(),
            index: Index::new(settings.boot),
            wheel: Wheel::new(now.mono),
            batches: Vec::new(),
            free_batches: Vec::new(),
            batch_wheel: Wheel::new(now.mono),
            hedges: hedge::Budget::default(),
            next_sequence: 1,
            block_own: (u64::MAX, Own::default()),
            placement,
            peers: BTreeMap::new(),
            gone: BTreeSet::new(),
            tombs: Tombs::default(),
            prints: Prints::default(),
            recheck_from: MessageId::default(),
            waiters: BTreeMap::new(),
            calls: calls::Calls::new(),
            browses: browse::Browses::default(),
            inquiries: explain::Inquiries::new(),
            redrives: redrive::Redrives::default(),
            doctor: doctor::Doctor::default(),
            asked: BTreeMap::new(),
            given_up: BTreeSet::new(),
            forwards: forward::Forwards::new(settings.boot),
            dedups: dedup::Dedups::new(settings.boot),
            remembered: remembered::Remembered::default(),
            settles: BTreeMap::new(),
            sessions: BTreeMap::new(),
            keeping: Alarms::default(),
            hints: hint::Hints::default(),
            inventories: inventory::Inventories::default(),
            kept: BTreeMap::new(),
            dying: BTreeMap::new(),
            next_number: 1,
            alarms: first_alarms(&settings, now),
            sweeps: BTreeMap::new(),
            pass: repair::Pass::default(),
            began,
            groups: groups::Pass::default(),
            book: rules::Book::default(),
            purge_cursor: 0,
            freed: BTreeSet::new(),
            lengths: length::Lengths::default(),
            has_short: false,
            memory: memory::Memory::new(settings.memory_bytes_max),
            idle: idle::Idle::default(),
            leaving: None,
            is_parting: false,
            is_resuming: false,
            aside: Vec::new(),
            reclaims: false,
            is_announcing: false,
            out: Vec::new(),
            planted: canary::Planted::default(),
            counters: Counters::default(),
            settings,
        }
    }

    /// The queue of that name, made if it is new. Errors: 101, 201.
    pub fn queue(&mut self, name: &str) -> Result<QueueKey> {
        // A group's shelf is no queue: its name is none that a user may give.
        if let Some(key) = self.names.get(name)
            && !name.contains(groups::SEPARATOR)
        {
            return Ok(*key);
        }
        id::check_name("queue", name, limits::NAME_BYTES_MAX)?;
        self.add_shelf(name, None)
    }

    /// Swaps what the room wants done since the last call for `empty`, so that two buffers serve
    /// for ever.
    pub fn swap_out(&mut self, empty: &mut Vec<Out>) {
        core::mem::swap(&mut self.out, empty);
    }

    /// True when [`Queues::swap_out`] has something.
    #[must_use]
    pub fn has_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// When [`Queues::wake`] is due.
    #[must_use]
    pub fn next_wake(&self) -> Instant {
        let messages = self.wheel.next().min(self.batch_wheel.next());
        messages.min(self.alarms.next()).min(self.keeping.next())
    }

    /// Does what is due, a bounded part of it: the rest is due at once.
    pub fn wake(&mut self, now: Now) {
        // First: after a time in which nothing ran, no consumer was given anything either.
        self.keep_leases(now);
        self.wake_slots(now);
        self.wake_batches(now);
        for _ in 0..limits::STEP_MESSAGES_MAX {
            let Some(alarm) = self.alarms.due(now.mono) else {
                break;
            };
            self.ring(now, alarm);
        }
    }

    /// Fingerprints grow old and tombstones are kept within their limit.
    fn age(&mut self, now: Now) {
        if self.prints.age(now.mono) {
            self.counters.fingerprints_evicted += 1;
        }
        self.remembered
            .purge(now.wall_ms, limits::STEP_MESSAGES_MAX);
        self.counters.tombstones_evicted += self.tombs.shrink() as u64;
        self.doubt_groups();
        self.alarms
            .set(Alarm::Age, now.mono + limits::HEARTBEAT_MS * 10);
    }

    /// Takes a peer's message in.
    pub fn hear(&mut self, now: Now, from: MemberId, message: Message) {
        match message {
            Message::Repl(repl) => self.on_repl(now, from, repl),
            Message::ReplOk(ok) => self.on_repl_ok(now, from, &ok),
            Message::ReplNo(no) => self.on_repl_no(now, from, &no),
            Message::Demand(demand) => self.on_demand(now, from, &demand),
            Message::Deliver(deliver) => self.on_deliver(now, from, deliver),
            Message::SetDone(done) => self.on_set_done(now, from, &done),
            Message::DoneOk(done) => self.on_done_ok(now, from, &done),
            Message::Forget(forget) => self.on_forget(now, from, &forget),
            Message::Claim(claim) => self.on_claim(now, from, &claim),
            Message::Settle(settle) => self.on_settle(now, from, &settle),
            Message::Settled(settled) => self.on_settled(now, &settled),
            Message::Replied(replied) => self.on_replied(replied),
            Message::LeaseHint(hint) => self.on_lease_hint(now, from, &hint),
            Message::HintOk(ok) => self.on_hint_ok(now, &ok),
            Message::Inventory(inventory) => self.on_inventory(now, from, inventory),
            Message::Differ(differ) => self.on_differ(now, from, differ),
            Message::Browse(browse) => self.on_browse(now, from, browse),
            Message::Browsed(browsed) => self.on_browsed(from, browsed),
            Message::Explain(explain) => self.on_explain(now, from, explain),
            Message::Explained(explained) => self.on_explained(from, explained),
            Message::Examine(examine) => self.on_examine(now, from, &examine),
            Message::Examined(examined) => self.on_examined(from, examined),
            Message::Redrive(redrive) => self.on_redrive(now, from, redrive),
            Message::Redriven(redriven) => self.on_redriven(now, from, &redriven),
            Message::EnqueueFor(asked) => self.on_enqueue_for(now, from, asked),
            Message::EnqueuePart(part) => self.on_enqueue_part(now, from, part),
            Message::Taken(taken) => self.on_taken(now, from, taken),
            Message::Recall(recall) => self.on_recall(from, &recall),
            Message::Recalled(recalled) => self.on_recalled(now, from, &recalled),
            Message::Remember(remember) => self.on_remember(now, from, &remember),
        }
    }

    fn send(&mut self, to: MemberId, message: Message) {
        self.out.push(Out::Send(to, Box::new(message)));
    }

    fn reply(&mut self, ticket: Ticket, answer: Answer) {
        if let Some(ticket) = self.asker_of(ticket, &answer) {
            self.out.push(Out::Reply(ticket, answer));
        }
    }

    fn shelf(&mut self, queue: QueueKey) -> Option<&mut Shelf> {
        self.shelves.get_mut(queue.0 as usize)
    }

    fn name(&self, queue: QueueKey) -> Arc<str> {
        let shelf = self.shelves.get(queue.0 as usize);
        shelf.map_or_else(|| "".into(), |shelf| shelf.name.clone())
    }

    /// The name of the queue that a shelf belongs to.
    fn base_name(&self, queue: QueueKey) -> Arc<str> {
        self.name(self.base_of(queue))
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// The bit of `holder` in a confirmation set over `holders`; 0 when it is none of them.
    fn bit(holders: &Holders, holder: Holder) -> u128 {
        crate::copies::position(holders, holder).map_or(0, |position| 1 << position)
    }

    /// Tells the cluster when a queue turned empty or stocked.
    fn note_stock(&mut self, queue: QueueKey) {
        if !self.is_announcing {
            return;
        }
        let Some(shelf) = self.shelves.get_mut(queue.0 as usize) else {
            return;
        };
        let is_stocked = shelf.ready.count() > 0 && !shelf.is_paused_out();
        if shelf.was_stocked != is_stocked {
            shelf.was_stocked = is_stocked;
            let name = shelf.name.clone();
            self.out.push(Out::Stock(name, is_stocked));
        }
    }
}
