//! The only door: one call in, plain values out.
//!
//! The engine owns every room and has no rules of its own. A frame or a command goes to the room it
//! concerns; what rooms have to tell each other passes here, as values, in readable lines:
//! `membership` says that a member came, and the queue hears of a peer. `links` holds that part.

mod command;
mod configs;
mod effect;
mod frame;
mod gossip;
mod groups;
mod held;
mod hosts;
mod identity;
mod input;
mod joins;
mod links;
mod look;
mod remember;
mod set;
mod tell;
mod watch;

pub use command::{
    Account, Answer, Broadcast, Change, Code, Command, Configure, EnqueueOptions, Entry, Event,
    EventKind, Facts, Finding, Flow, Glimpse, InGroup, Known, Member, NewBrowse, NewCall,
    NewMessage, NewRedrive, Page, Redriven, Reply, ReplyTo, Response, Shown, Spot, State,
};
pub use effect::{Effect, Lane};
pub use frame::{HEADER_BYTES, KIND_HELLO, KIND_REFUSAL, Message, Writer, cut, decode};
pub use hosts::{HOST_BODIES_MAX, HostCall, HostExchange};
pub use input::{Config, Input};
pub use remember::Memo;

pub use crate::copies::Placing;
pub use crate::copies::{Asked, Terms};
pub use crate::metadata::GroupEntry;
pub use crate::queue::{Handle, Headers, IfNoGroup, Leased, OnShort, REPLY_TO, Receipt};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use crate::base::{
    BootId, Chance, Error, ErrorKind, Instant, LinkId, MemberId, MessageId, Millis, Now, QueueKey,
    Result, StoreId, Ticket,
};
use crate::broadcast::Plumtree;
use crate::copies::{Holder, Zone};
use crate::membership::{Cards, Dialler, Hello, View, Watch};
use crate::metadata::{Board, Exchanges, News, Table};
use crate::queue::{Out, Queues, Settings};
use held::Held;
use hosts::HostCounters;
use identity::{Departure, Parting, own_info};
use links::Link;

/// A planted bug, chosen at run time in builds with the feature `canary`: the simulator must catch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Canary {
    /// None.
    #[default]
    None,
    /// Receipts are given before the copies are confirmed.
    AckBeforeW,
    /// Who is retired is fenced as if it had been evicted.
    FenceOnRetire,
    /// One of the metadata's.
    #[cfg(any(test, feature = "canary"))]
    Meta(crate::metadata::MetaCanary),
    /// One of the queue's.
    #[cfg(any(test, feature = "canary"))]
    Queue(crate::queue::QueueCanary),
}

/// What happened so far on the links.
#[derive(Debug, Default, Clone, Copy)]
struct LinkCounters {
    links_up: u64,
    links_down: u64,
    links_refused: u64,
    meta_syncs: u64,
    meta_unsent: u64,
    meta_malformed: u64,
    stock_asks: u64,
    probes: u64,
    stalls: u64,
    splits: u64,
    rivals: u64,
    evicted: u64,
    retired: u64,
    returned: u64,
    refused_evicted: u64,
    metadata_damaged: u64,
    metadata_salvaged: u64,
}

/// One member's whole protocol state. A value: several may live in one process.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    me: MemberId,
    chance: Chance,
    table: Table,
    news: News,
    exchanges: Exchanges,
    plumtree: Plumtree,
    view: View,
    cards: Cards,
    card_version: u64,
    watch: Watch,
    dialler: Dialler,
    board: Board,
    queues: Queues,
    links: BTreeMap<LinkId, Link>,
    by_member: BTreeMap<MemberId, LinkId>,
    /// Addresses that have led to a member, so that seeds of one that left can be struck out.
    led_to: BTreeMap<MemberId, Vec<String>>,
    /// Joins that wait for a link, with their deadlines.
    joins: BTreeMap<Ticket, (String, Instant)>,
    /// Callers of `Joined`, with their deadlines.
    joined: Vec<(Ticket, Instant)>,
    /// A leave that waits for its echo.
    parting: Option<Parting>,
    /// The map has held an entry of this member's present life.
    has_entry: bool,
    /// Another store that the map named in this member's entry, and its incarnation.
    own_entry_rival: Option<(StoreId, u64)>,
    /// Others have been in the set beside this member since it began: it is no newcomer, also where
    /// it has taken all of them for gone since.
    has_had_company: bool,
    /// Another boot that had a row of this identity, and its incarnation.
    own_card_rival: Option<(BootId, u64)>,
    /// Processes that showed an identity which an older one has, and when they first did.
    newcomers: VecDeque<((MemberId, BootId), Instant)>,
    /// When this member last let everyone hear that it is back.
    heal_told: Instant,
    /// When the next periodic exchange is due.
    exchange_at: Instant,
    /// After a leave: the word of it, and the members that have not heard.
    departure: Option<Departure>,
    /// Handshakes that are not taken up before their peer has said what it knows.
    held_links: BTreeMap<LinkId, Held>,
    counters: LinkCounters,
    hosts: HostCounters,
    /// When links, dials or stock edges want [`Input::Wake`].
    link_wake: Instant,
    /// When that was asked for.
    wake_asked: Instant,
    out: Vec<Effect>,
    /// Kept for its memory: what the queue room wants done passes through it.
    wishes: Vec<Out>,
    /// The same for the broadcast room.
    news_out: Vec<crate::broadcast::Out>,
}

impl Engine {
    /// An engine for `config`; call [`Engine::handle`] with [`Input::Wake`] once to start it.
    #[must_use]
    pub fn new(mut config: Config, now: Now) -> Self {
        let mut chance = Chance::new(config.seed);
        let view = View::new(config.member, own_info(&config));
        let table = Table::new(config.member, config.boot);
        let metadata = config.metadata.take();
        let plumtree = Plumtree::new(config.member, config.incarnation);
        let queue_chance = Chance::new(chance.bits());
        let queues = Queues::new(settings(&config), now, queue_chance);
        let mut dialler = Dialler::default();
        for seed in &config.seeds {
            dialler.seed(now.mono, seed);
        }
        dialler.expect(config.sources);
        let mut engine = Self {
            me: config.member,
            chance,
            table,
            news: News::default(),
            exchanges: Exchanges::default(),
            plumtree,
            view,
            cards: Cards::default(),
            card_version: 0,
            watch: Watch::default(),
            dialler,
            board: Board::default(),
            queues,
            links: BTreeMap::new(),
            by_member: BTreeMap::new(),
            led_to: BTreeMap::new(),
            joins: BTreeMap::new(),
            joined: Vec::new(),
            parting: None,
            has_entry: false,
            has_had_company: false,
            own_entry_rival: None,
            own_card_rival: None,
            newcomers: VecDeque::new(),
            heal_told: Instant(0),
            exchange_at: now.mono,
            departure: None,
            held_links: BTreeMap::new(),
            counters: LinkCounters::default(),
            hosts: HostCounters::default(),
            link_wake: now.mono,
            wake_asked: now.mono,
            out: Vec::new(),
            wishes: Vec::new(),
            news_out: Vec::new(),
            config,
        };
        let alone = [engine.me];
        engine.plumtree.set_members(now.mono, &alone);
        #[cfg(any(test, feature = "canary"))]
        engine.plant();
        if let Some(metadata) = metadata {
            engine.recall(now, &metadata);
        }
        engine.write_card(now);
        engine.out.clear();
        engine
    }

    #[cfg(any(test, feature = "canary"))]
    fn plant(&mut self) {
        let canary = self.config.meta_canary;
        self.table.plant(canary);
        self.news.plant(canary);
        self.exchanges.plant(canary);
        #[cfg(feature = "canary")]
        if let Canary::Queue(canary) = self.config.canary {
            self.queues.plant(canary);
        }
    }

    /// Takes one input in and appends what is to be done to `out`. Never blocks; bounded work.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        // Queue traffic changes nothing about links, so it does not pay for looking at them. Nor does
        // what links carry, which comes from everyone: where it changes something, that is said.
        let is_hot = match &input {
            Input::Command { command, .. } => !command.is_about_links(),
            Input::Message { message, .. } => {
                !matches!(message, Message::Meta(_) | Message::Rival(_))
            }
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
            Input::Found { source, addresses } => self.found(now, source, &addresses),
            Input::Message { link, message } => self.hear(now, link, message),
            Input::Pressure { link, is_full } => self.pressure(now, link, is_full),
            Input::Wake => self.wake(now),
        }
        self.tell(now);
        if !is_hot || self.board.has_news() {
            self.tell_links(now);
            self.link_wake = self.next_link_wake();
            self.wake_asked = now.mono;
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
            Command::Call(call) => queues.call(now, ticket, call),
            Command::Respond(handle, to, response) => {
                queues.respond(now, ticket, (&handle, to), response);
            }
            Command::Receive {
                queue,
                max,
                wait,
                lease,
                group,
            } => match self.served_by(now, queue, group) {
                Ok(queue) => self.queues.receive(now, ticket, queue, max, wait, lease),
                Err(error) => self.out.push(Effect::Reply(ticket, Err(error))),
            },
            Command::Explain(id) => queues.explain(now, ticket, id),
            Command::Browse(browse) => queues.browse(now, ticket, browse),
            Command::Doctor(queue) => queues.doctor(now, ticket, queue),
            Command::Redrive(redrive) => queues.redrive(now, ticket, redrive),
            Command::Ack(handle) => queues.ack(now, ticket, &handle),
            Command::AckMany(handles) => queues.ack_many(now, ticket, &handles),
            Command::Nack(handle, delay) => queues.nack(now, ticket, &handle, delay),
            Command::Release(handle) => queues.release(now, ticket, &handle),
            Command::Reject(handle, reason) => queues.reject(now, ticket, &handle, &reason),
            Command::Extend(handle, lease) => queues.extend(now, ticket, &handle, lease),
            Command::Subscribe { queue, flow, group } => match self.served_by(now, queue, group) {
                Ok(queue) => self.queues.subscribe(now, ticket, queue, &flow),
                Err(error) => self.out.push(Effect::Reply(ticket, Err(error))),
            },
            Command::CreateGroup(queue, group) => self.create_group(now, ticket, queue, &group),
            Command::RemoveGroup(queue, group) => self.remove_group(now, ticket, queue, &group),
            Command::Configure(what) => self.configure(now, ticket, what),
            Command::Credit(session, more) => queues.credit(now, ticket, session, more),
            Command::Unsubscribe { session, abandon } => {
                queues.unsubscribe(now, ticket, session, abandon);
            }
            Command::Evict(member) => self.evict(now, ticket, member),
            Command::Reclaim(keeps) => {
                let count = self.queues.reclaim(now, keeps);
                self.out
                    .push(Effect::Reply(ticket, Ok(Reply::Count(count))));
            }
            Command::Broadcast { topic, body } => self.broadcast(now, ticket, &topic, body),
            Command::Spread { handler, body } => self.spread(now, ticket, handler, body),
            Command::HostExchange {
                to,
                handler,
                is_answer,
                bodies,
            } => self.tell_host(ticket, to, handler, is_answer, bodies),
            Command::HostReady => self.ask_some_hosts(ticket),
            Command::Put { key, value } => self.put(now, ticket, &key, value),
            Command::Delete(key) => self.delete(now, ticket, &key),
            Command::Join(address) => self.join(now, ticket, address),
            Command::Joined => self.wait_for_seed(now, ticket),
            Command::Leave { drain, force } => self.leave(now, ticket, drain, force),
        }
    }

    fn leave(&mut self, now: Now, ticket: Ticket, drain: Option<Millis>, force: bool) {
        if self.parting.is_none() {
            return self.queues.leave(now, ticket, drain, force);
        }
        let error = Error::new(ErrorKind::AlreadyExists).because("this member is leaving already");
        self.out.push(Effect::Reply(ticket, Err(error)));
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
        hello.minor = config.minor;
        hello.incarnation = config.incarnation;
        hello.members = self.view.members().len() as u32;
        hello.version = self.card_version;
        hello.is_apart = self.departure.is_some() && hello.members <= 1;
        if self.has_had_company {
            hello.members = hello.members.max(2);
        }
        hello.cards = self.cards.digest();
        hello.is_ephemeral = config.is_ephemeral;
        hello.kept = self.view.own().kept().map(|store| store.0).collect();
        hello.name.clone_from(&config.name);
        hello.zone.clone_from(&config.zone);
        hello.address = config.address.clone().unwrap_or_default();
        hello
    }

    /// False once this member left: it looks for nobody and is not to be found.
    #[must_use]
    pub fn is_seeking(&self) -> bool {
        self.dialler.is_seeking()
    }

    /// This life of its copies.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.config.store
    }

    /// Writes of the metadata that are known here while earlier ones of their boots are not.
    #[must_use]
    pub fn meta_cloud(&self) -> usize {
        self.table.map().context().cloud_len()
    }

    /// Differs when the metadata differs: entries or what was seen.
    #[must_use]
    pub fn meta_digest(&self) -> u64 {
        self.table.digest()
    }

    /// The queue of that name, made if it is new. Its key is good until it is released as often as it was
    /// asked for. Errors: 101, 201.
    pub fn queue(&mut self, name: &str) -> Result<QueueKey> {
        let key = self.queues.queue(name)?;
        self.queues.hold_queue(key);
        Ok(key)
    }

    /// A host needs the key of a queue no more.
    pub fn release(&mut self, queue: QueueKey) {
        self.queues.release_queue(queue);
    }

    /// The member set as this member sees it, in the order of ids.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let members = self.view.members().keys().map(|id| {
            let card = self.cards.get(*id).cloned().unwrap_or_default();
            Member {
                id: *id,
                boot: card.boot(),
                name: card.name,
                address: card.address,
                zone: card.zone,
                is_self: *id == self.me,
                is_reachable: *id == self.me || self.watch.is_reachable(*id),
                memory_level: self.queues.level_of(*id),
            }
        });
        members.collect()
    }

    /// How many messages owned here have too few copies although some member could take one; for the
    /// simulator.
    #[must_use]
    pub fn repairable(&self) -> usize {
        self.queues.repairable()
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
        stats.insert("links_refused_evicted", counters.refused_evicted);
        stats.insert("identity_conflicts", counters.rivals);
        stats.insert("meta_syncs", counters.meta_syncs);
        stats.insert("meta_unsent", counters.meta_unsent);
        stats.insert("meta_malformed", counters.meta_malformed);
        stats.insert("metadata_damaged", counters.metadata_damaged);
        stats.insert("metadata_salvaged", counters.metadata_salvaged);
        stats.insert("stock_asks", counters.stock_asks);
        stats.insert("probes", counters.probes);
        stats.insert("stalls", counters.stalls);
        stats.insert("splits", counters.splits);
        stats.insert("members", self.view.members().len() as u64);
        stats.insert("members_unreachable", self.watch.unreachable() as u64);
        stats.insert("members_evicted", counters.evicted);
        stats.insert("members_retired", counters.retired);
        stats.insert("returned_members", counters.returned);
        stats.insert("messages_aside", self.queues.aside() as u64);
        self.plumtree.stats(&mut stats);
        self.hosts.stats(&mut stats);
        let meta = self.table.stats();
        stats.insert("meta_keys", meta.keys as u64);
        stats.insert("meta_actors", meta.actors as u64);
        stats.insert("meta_cloud", meta.cloud as u64);
        stats.insert("meta_drifted", meta.drifted);
        let exchanges = self.exchanges.stats();
        stats.insert("exchanges", exchanges.started);
        stats.insert("exchanges_finished", exchanges.finished);
        stats.insert("exchanges_abandoned", exchanges.abandoned);
        stats.insert("exchange_repairs", exchanges.repaired);
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
        repair_after: config.repair_after,
        inventory_after: config.inventory_after,
        zone: Zone::of(&config.zone),
        placing: config.placing,
        max_attempts: config.max_attempts,
        memory_bytes_max: config.memory_bytes_max,
        body_bytes_max: config.body_bytes_max,
        acks_before_w,
    }
}

#[cfg(test)]
mod browse_tests;
#[cfg(test)]
mod calls_tests;
#[cfg(test)]
mod configs_tests;
#[cfg(test)]
mod dedup_tests;
#[cfg(test)]
mod doctor_tests;
#[cfg(test)]
mod explain_tests;
#[cfg(test)]
mod forward_tests;
#[cfg(test)]
mod groups_tests;
#[cfg(test)]
mod keyed_tests;
#[cfg(test)]
mod redrive_tests;
#[cfg(test)]
mod terms_tests;
#[cfg(test)]
mod test_ring;
#[cfg(test)]
mod tests;
