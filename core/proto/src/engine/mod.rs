//! The only door: one call in, plain values out.
//!
//! The engine owns every room and has no rules of its own. A frame or a command goes to the room it
//! concerns; what rooms have to tell each other passes here, as values, in readable lines:
//! `membership` says that a member came, and the queue hears of a peer. `links` holds that part.

mod command;
mod effect;
mod frame;
mod input;
mod links;
mod tell;
mod watch;

pub use command::{
    Answer, Command, EnqueueOptions, Event, EventKind, Glimpse, Member, NewMessage, Reply,
};
pub use effect::{Effect, Lane};
pub use frame::{HEADER_BYTES, KIND_HELLO, KIND_REFUSAL, Message, Writer, cut, decode};
pub use input::{Config, Input};

pub use crate::queue::{Handle, Headers, Leased, OnShort, Receipt};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::base::{Chance, Instant, LinkId, MemberId, MessageId, Now, QueueKey, Result, Ticket};
use crate::copies::Holder;
use crate::membership::{Dialler, Hello, MemberInfo, View};
use crate::metadata::Board;
use crate::queue::{Out, Queues, Settings};
use links::{Departure, Link};

/// A planted bug, chosen at run time in builds with the feature `canary`: the simulator must catch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Canary {
    /// None.
    #[default]
    None,
    /// Receipts are given before the copies are confirmed.
    AckBeforeW,
}

/// What happened so far on the links.
#[derive(Debug, Default, Clone, Copy)]
struct LinkCounters {
    links_up: u64,
    links_down: u64,
    links_refused: u64,
    meta_syncs: u64,
    stock_asks: u64,
}

/// One member's whole protocol state. A value: several may live in one process.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    me: MemberId,
    chance: Chance,
    view: View,
    dialler: Dialler,
    board: Board,
    queues: Queues,
    links: BTreeMap<LinkId, Link>,
    by_member: BTreeMap<MemberId, LinkId>,
    /// Addresses that have led to a member, so that seeds of one that left can be struck out.
    led_to: BTreeMap<MemberId, Vec<String>>,
    /// Members without a link: since when, and whether there ever was one.
    silent: BTreeMap<MemberId, (Instant, bool)>,
    unreachable: alloc::collections::BTreeSet<MemberId>,
    /// Joins that wait for a link, with their deadlines.
    joins: BTreeMap<Ticket, (String, Instant)>,
    /// Callers of `Joined`, with their deadlines.
    joined: Vec<(Ticket, Instant)>,
    /// After a leave: the word of it, and the members that have not heard.
    departure: Option<Departure>,
    /// Links of former members, until it is known whether they have heard.
    held_links: BTreeMap<LinkId, (Link, Hello)>,
    counters: LinkCounters,
    /// When links, dials or stock edges want [`Input::Wake`].
    link_wake: Instant,
    out: Vec<Effect>,
    /// Kept for its memory: what the queue room wants done passes through it.
    wishes: Vec<Out>,
}

impl Engine {
    /// An engine for `config`; call [`Engine::handle`] with [`Input::Wake`] once to start it.
    #[must_use]
    pub fn new(config: Config, now: Now) -> Self {
        let mut chance = Chance::new(config.seed);
        let view = View::new(config.member, own_info(&config));
        let queue_chance = Chance::new(chance.bits());
        let queues = Queues::new(settings(&config), now, queue_chance);
        let mut dialler = Dialler::default();
        for seed in &config.seeds {
            dialler.seed(now.mono, seed);
        }
        Self {
            me: config.member,
            chance,
            view,
            dialler,
            board: Board::default(),
            queues,
            links: BTreeMap::new(),
            by_member: BTreeMap::new(),
            led_to: BTreeMap::new(),
            silent: BTreeMap::new(),
            unreachable: alloc::collections::BTreeSet::new(),
            joins: BTreeMap::new(),
            joined: Vec::new(),
            departure: None,
            held_links: BTreeMap::new(),
            counters: LinkCounters::default(),
            link_wake: now.mono,
            out: Vec::new(),
            wishes: Vec::new(),
            config,
        }
    }

    /// Takes one input in and appends what is to be done to `out`. Never blocks; bounded work.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        // Queue traffic changes nothing about links, so it does not pay for looking at them.
        let is_hot = match &input {
            Input::Command { command, .. } => !command.is_about_links(),
            Input::Message { message, .. } => matches!(message, Message::Queue(_)),
            Input::Cancel(_) => true,
            _ => false,
        };
        match input {
            Input::Command { ticket, command } => self.command(now, ticket, command),
            Input::Cancel(ticket) => self.queues.cancel(ticket),
            Input::Linked {
                link,
                hello,
                dialled,
            } => self.linked(now, link, &hello, dialled),
            Input::Unlinked(link) => self.unlinked(now, link),
            Input::DialFailed { address, error } => self.dial_failed(now, &address, &error),
            Input::Message { link, message } => self.hear(now, link, message),
            Input::Pressure { link, is_full } => self.pressure(now, link, is_full),
            Input::Wake => self.wake(now),
        }
        self.tell(now);
        if !is_hot || self.board.has_news() {
            self.tell_links(now);
            self.link_wake = self.next_link_wake();
        }
        if out.is_empty() {
            core::mem::swap(out, &mut self.out);
        } else {
            out.append(&mut self.out);
        }
    }

    fn command(&mut self, now: Now, ticket: Ticket, command: Command) {
        let queues = &mut self.queues;
        match command {
            Command::Enqueue {
                queue,
                message,
                options,
            } => queues.enqueue(now, ticket, queue, message, options),
            Command::EnqueueMany {
                queue,
                messages,
                options,
            } => queues.enqueue_many(now, ticket, queue, messages, options),
            Command::Receive {
                queue,
                max,
                wait,
                lease,
            } => queues.receive(now, ticket, queue, max, wait, lease),
            Command::Ack(handle) => queues.ack(now, ticket, &handle),
            Command::AckMany(handles) => queues.ack_many(now, ticket, &handles),
            Command::Nack(handle, delay) => queues.nack(now, ticket, &handle, delay),
            Command::Release(handle) => queues.release(now, ticket, &handle),
            Command::Extend(handle, lease) => queues.extend(now, ticket, &handle, lease),
            Command::Subscribe {
                queue,
                credit,
                lease,
            } => queues.subscribe(now, ticket, queue, credit, lease),
            Command::Credit(session, more) => queues.credit(now, ticket, session, more),
            Command::Unsubscribe { session, abandon } => {
                queues.unsubscribe(now, ticket, session, abandon);
            }
            Command::Join(address) => self.join(now, ticket, address),
            Command::Joined => self.wait_for_seed(now, ticket),
            Command::Leave { drain, force } => queues.leave(now, ticket, drain, force),
        }
    }

    fn wake(&mut self, now: Now) {
        self.queues.wake(now);
        self.wake_links(now);
    }

    /// When [`Input::Wake`] is due: never late, perhaps early.
    #[must_use]
    pub fn next_wake(&self) -> Instant {
        self.queues.next_wake().min(self.link_wake)
    }

    /// What this member says in a handshake; lane and pair are filled in by the link.
    #[must_use]
    pub fn hello(&self) -> Hello {
        let config = &self.config;
        let mut hello = Hello::new(config.cluster, config.member, config.boot, config.store);
        hello.incarnation = config.incarnation;
        hello.name.clone_from(&config.name);
        hello.address = config.address.clone().unwrap_or_default();
        hello
    }

    /// The queue of that name, made if it is new. Errors: 101, 201.
    pub fn queue(&mut self, name: &str) -> Result<QueueKey> {
        self.queues.queue(name)
    }

    /// The member set as this member sees it, in the order of ids.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let members = self.view.members().iter().map(|(id, info)| Member {
            id: *id,
            name: info.name.clone(),
            address: info.address.clone(),
            boot: info.boot(),
            is_self: *id == self.me,
            is_reachable: *id == self.me || self.is_reachable(*id),
        });
        members.collect()
    }

    /// Counters and gauges by stable names.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<&'static str, u64> {
        let mut stats = BTreeMap::new();
        self.queues.stats(&mut stats);
        let counters = self.counters;
        stats.insert("links", self.links.len() as u64);
        stats.insert("links_up", counters.links_up);
        stats.insert("links_down", counters.links_down);
        stats.insert("links_refused", counters.links_refused);
        stats.insert("meta_syncs", counters.meta_syncs);
        stats.insert("stock_asks", counters.stock_asks);
        stats.insert("members", self.view.members().len() as u64);
        stats.insert("members_unreachable", self.unreachable.len() as u64);
        stats
    }

    /// Where a message is; none when it is not held here.
    #[must_use]
    pub fn glimpse(&self, id: MessageId) -> Option<Glimpse> {
        self.queues.glimpse(id)
    }

    /// True when this store holds a live copy of the message.
    #[must_use]
    pub fn holds(&self, id: MessageId) -> bool {
        self.queues.glimpse(id).is_some()
    }

    /// True when this store knows that the message is finished.
    #[must_use]
    pub fn is_done(&self, id: MessageId) -> bool {
        self.queues.is_finished(id)
    }

    /// Checks that the engine agrees with itself, for tests; the text says what does not.
    pub fn audit(&self) -> core::result::Result<(), String> {
        for (member, link) in &self.by_member {
            if self
                .links
                .get(link)
                .is_none_or(|known| known.member != *member)
            {
                return Err(alloc::format!(
                    "{member} is linked by a link that is not its"
                ));
            }
        }
        self.queues.audit()
    }
}

fn own_info(config: &Config) -> MemberInfo {
    let address = config.address.clone().unwrap_or_default();
    MemberInfo::new(
        config.incarnation,
        config.store,
        config.boot,
        config.name.clone(),
        address,
    )
}

fn settings(config: &Config) -> Settings {
    #[cfg(feature = "canary")]
    let acks_before_w = config.canary == Canary::AckBeforeW;
    #[cfg(not(feature = "canary"))]
    let acks_before_w = false;
    Settings {
        me: Holder {
            member: config.member,
            store: config.store,
        },
        boot: config.boot,
        copies: config.copies,
        on_short: config.on_short,
        enqueue_timeout: config.enqueue_timeout,
        lease: config.lease,
        takeover_after: config.takeover_after,
        memory_bytes_max: config.memory_bytes_max,
        body_bytes_max: config.body_bytes_max,
        acks_before_w,
    }
}

#[cfg(test)]
mod tests;
