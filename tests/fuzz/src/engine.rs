//! A live engine among hostile peers: whatever they say, in whatever order, it never panics, keeps
//! the rules of its door, agrees with itself, and serves its own users.

use std::collections::BTreeSet;

use bytes::BytesMut;
use primer_proto::base::{
    BootId, Chance, ClusterId, Error, ErrorKind, Instant, LinkId, MemberId, MessageId, Now,
    QueueKey, SessionId, StoreId, Ticket, limits,
};
use primer_proto::copies::Holder;
use primer_proto::engine::{
    Asked, Command, Config, Configure, Effect, EnqueueOptions, Flow, Handle, IfNoGroup, InGroup,
    Message, NewBrowse, NewCall, NewMessage, NewRedrive, Reply, ReplyTo, Response, Spot, State,
    Writer, cut, decode,
};
use primer_proto::membership::Hello;
use primer_proto::queue::{Message as Queue, SETTINGS};
use primer_proto::{Engine, Input};

use crate::make::{self, Pool};
use crate::tell;

const CLUSTER: ClusterId = ClusterId(1);
const STEPS_MAX: u64 = 120;
/// Effects of one call: bounded work has bounded results.
const EFFECTS_MAX: usize = 100_000;

struct Bench {
    engine: Engine,
    pool: Pool,
    now: u64,
    next_link: u64,
    links: Vec<LinkId>,
    next_ticket: u64,
    open: BTreeSet<Ticket>,
    cancelled: BTreeSet<Ticket>,
    key: QueueKey,
    handles: Vec<Handle>,
    sessions: Vec<SessionId>,
    dialled: Vec<String>,
}

pub(crate) fn run(chance: &mut Chance) {
    let mut bench = Bench::new(chance);
    bench.feed(Input::Wake);
    for _ in 0..chance.below(STEPS_MAX) {
        bench.step(chance);
    }
    bench.engine.audit().unwrap();
    bench.part_and_serve();
    bench.engine.audit().unwrap();
}

impl Bench {
    fn new(chance: &mut Chance) -> Self {
        let (boot, store) = (BootId(chance.bits() >> 1), StoreId(chance.bits()));
        let member = MemberId(u128::from(chance.bits()));
        let mut pool = Pool::new(chance);
        pool.add(boot, Holder { member, store });
        let mut config = Config::new(CLUSTER, member, boot, store);
        config.name = "victim".into();
        config.address = chance.percent(50).then(|| "victim:1".into());
        config.seeds = vec!["seed:1".into()];
        config.takeover_after = chance.below(5_000);
        let now = Now {
            mono: Instant(0),
            wall_ms: 1_000_000,
        };
        let mut engine = Engine::new(config, now);
        let key = engine.queue("jobs").unwrap();
        Self {
            engine,
            pool,
            now: 0,
            next_link: 0,
            links: Vec::new(),
            next_ticket: 0,
            open: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            key,
            handles: Vec::new(),
            sessions: Vec::new(),
            dialled: Vec::new(),
        }
    }

    fn step(&mut self, chance: &mut Chance) {
        match chance.below(20) {
            0 | 1 => self.link(chance),
            2 => {
                let link = self.some_link(chance);
                self.links.retain(|open| *open != link);
                self.feed(Input::Unlinked(link));
            }
            3 => {
                self.now += make::number(chance).min(100_000);
                self.feed(Input::Wake);
            }
            4 => {
                let link = self.some_link(chance);
                let is_full = chance.percent(50);
                self.feed(Input::Pressure { link, is_full });
            }
            5 => self.fail_dial(chance),
            6..=9 => self.user(chance),
            _ => self.hostile(chance),
        }
    }

    /// A link that is there, was there, or never was.
    fn some_link(&self, chance: &mut Chance) -> LinkId {
        LinkId(chance.below(self.next_link + 2))
    }

    fn link(&mut self, chance: &mut Chance) {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        let at = chance.below(self.pool.holders.len() as u64) as usize;
        let Holder { member, store } = self.pool.holders[at];
        let boot = self.pool.boots[chance.below(3) as usize];
        let mut hello = Hello::new(CLUSTER, member, boot, store);
        hello.incarnation = make::number(chance);
        hello.name = "peer".into();
        hello.address = if chance.percent(50) {
            "peer:1".into()
        } else {
            String::new()
        };
        // The driver hands on only who passes the check.
        if hello.check(&self.engine.hello()).is_err() {
            return;
        }
        self.links.push(link);
        let dialled = if chance.percent(50) {
            self.dialled.pop()
        } else {
            None
        };
        self.feed(Input::Linked {
            link,
            hello: Box::new(hello),
            dialled,
        });
    }

    fn fail_dial(&mut self, chance: &mut Chance) {
        let kinds = [
            ErrorKind::Unreachable,
            ErrorKind::ClusterMismatch,
            ErrorKind::IdentityConflict,
        ];
        let error = Error::new(kinds[chance.below(3) as usize]);
        let address = self.dialled.pop().unwrap_or_else(|| "nobody:1".into());
        self.feed(Input::DialFailed { address, error });
    }

    /// A message through the codec, mostly on a link that is up: a driver drops the others.
    fn hostile(&mut self, chance: &mut Chance) {
        let Some(link) = self.links.last().copied() else {
            return self.link(chance);
        };
        let link = if chance.percent(95) {
            link
        } else {
            self.some_link(chance)
        };
        let message = make::message(&self.pool, chance);
        let mut out = BytesMut::new();
        let mut writer = Writer::default();
        writer.push(&message, &mut out);
        writer.finish(&mut out);
        let mut bytes = out.to_vec();
        if chance.percent(30) {
            let mut body = bytes.split_off(4);
            make::damage(&mut body, chance);
            bytes = (body.len() as u32).to_le_bytes().to_vec();
            bytes.extend(body);
        }
        let mut buffer = BytesMut::from(bytes.as_slice());
        if let Ok(Some(frame)) = cut(&mut buffer, limits::FRAME_BYTES_MAX)
            && let Ok(Some(message)) = decode(frame)
        {
            self.feed(Input::Message { link, message });
        }
    }

    fn user(&mut self, chance: &mut Chance) {
        let queue = self.key;
        let options = EnqueueOptions {
            copies: chance.percent(80).then(|| 1 + chance.below(4) as u16),
            terms: asked(chance),
            if_no_group: *make::pick(
                &[IfNoGroup::Hold, IfNoGroup::Drop, IfNoGroup::Refuse],
                chance,
            ),
            ..EnqueueOptions::default()
        };
        let body = "body".into();
        let message = NewMessage {
            body,
            headers: None,
        };
        let span = chance.percent(50).then(|| make::number(chance));
        let command = match chance.below(18) {
            0 | 1 => Command::Enqueue {
                queue,
                message,
                options,
            },
            2 => Command::EnqueueMany {
                queue,
                messages: vec![message; chance.below(5) as usize],
                options,
            },
            3 | 4 => Command::Receive {
                queue,
                max: make::number(chance) as u32,
                wait: make::number(chance),
                lease: span,
                group: in_group(chance),
            },
            5 => Command::Subscribe {
                queue,
                flow: flow(chance, span),
                group: in_group(chance),
            },
            6 => return self.cancel(chance),
            7 => match self.sessions.last() {
                Some(session) if chance.percent(50) => Command::Credit(*session, 7),
                Some(session) => Command::Unsubscribe {
                    session: *session,
                    abandon: chance.percent(50),
                },
                None => Command::Joined,
            },
            8 => Command::Join("somebody:1".into()),
            15 => Command::Call(NewCall {
                queue,
                message,
                options,
                timeout: make::number(chance) % 5_000,
            }),
            16 => match self.draw_handle(chance) {
                Some(handle) => {
                    let to = self.draw_caller(chance);
                    Command::Respond(handle, to, Response::default())
                }
                None => Command::Joined,
            },
            17 => look(queue, &self.pool, chance),
            9 => change_group(queue, chance),
            _ => match self.draw_handle(chance) {
                Some(handle) => settle(handle, span, chance),
                None => Command::Joined,
            },
        };
        self.ask(command);
    }

    /// Who a handler believes to wait: often a caller here, sometimes nobody.
    fn draw_caller(&mut self, chance: &mut Chance) -> Option<ReplyTo> {
        let to = ReplyTo {
            member: make::pick(&self.pool.holders, chance).member,
            boot: *make::pick(&self.pool.boots, chance),
            number: chance.below(60),
        };
        chance.percent(90).then_some(to)
    }

    fn draw_handle(&mut self, chance: &mut Chance) -> Option<Handle> {
        let at = chance.below(self.handles.len().max(1) as u64) as usize;
        let mut handle = self.handles.get(at)?.clone();
        if chance.percent(20) {
            handle.lease = make::number(chance) as u32;
            handle.id.sequence = make::number(chance);
        }
        Some(handle)
    }

    fn cancel(&mut self, chance: &mut Chance) {
        let ticket = Ticket(1 + chance.below(self.next_ticket + 1));
        if self.open.remove(&ticket) {
            self.cancelled.insert(ticket);
        }
        self.feed(Input::Cancel(ticket));
    }

    fn ask(&mut self, command: Command) -> Vec<Reply> {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.open.insert(ticket);
        self.feed(Input::Command { ticket, command })
    }

    /// One call; everything that comes out is checked against the door's rules.
    fn feed(&mut self, input: Input) -> Vec<Reply> {
        let now = Now {
            mono: Instant(self.now),
            wall_ms: 1_000_000 + self.now,
        };
        let mut effects = Vec::new();
        tell(|| format!("{} {input:?}", self.now));
        self.engine.handle(now, input, &mut effects);
        for effect in &effects {
            tell(|| format!("    {effect:?}"));
        }
        tell(|| format!("    audit {:?}", self.engine.audit()));
        assert!(effects.len() <= EFFECTS_MAX, "{} effects", effects.len());
        let mut replies = Vec::new();
        for effect in effects {
            self.take(effect, &mut replies);
        }
        replies
    }

    fn take(&mut self, effect: Effect, replies: &mut Vec<Reply>) {
        match effect {
            Effect::Reply(ticket, answer) => {
                let is_asked = self.open.remove(&ticket) || self.cancelled.remove(&ticket);
                assert!(is_asked, "{ticket:?} is answered again");
                if let Ok(reply) = answer {
                    self.learn(&reply);
                    replies.push(reply);
                }
            }
            Effect::Deliver(session, leased) => {
                assert!(self.sessions.contains(&session));
                let handles = leased.into_iter().map(|leased| leased.handle);
                self.handles.extend(handles);
            }
            Effect::Send(link, _, message) => {
                assert!(self.links.contains(&link), "sent on {link:?}");
                assert!(message.weight() <= limits::FRAME_BYTES_MAX + 4_096);
            }
            Effect::Hangup(link, _) => assert!(self.links.contains(&link), "closed {link:?}"),
            Effect::Dial(address) => self.dialled.push(address),
            Effect::Event(_) | Effect::Change(_) | Effect::Topic(_) | Effect::Host(_) => {}
        }
    }

    fn learn(&mut self, reply: &Reply) {
        match reply {
            Reply::Deliveries(leased) => {
                let handles = leased.iter().map(|leased| leased.handle.clone());
                self.handles.extend(handles);
            }
            Reply::Session(session) => self.sessions.push(*session),
            _ => {}
        }
    }

    /// The peers are gone; a user of this member notices nothing of what they did.
    fn part_and_serve(&mut self) {
        while let Some(link) = self.links.pop() {
            self.feed(Input::Unlinked(link));
        }
        self.key = self.engine.queue("of our own").unwrap();
        let queue = self.key;
        let message = NewMessage {
            body: "ours".into(),
            headers: None,
        };
        let options = EnqueueOptions {
            copies: Some(1),
            ..EnqueueOptions::default()
        };
        let replies = self.ask(Command::Enqueue {
            queue,
            message,
            options,
        });
        let [Reply::Receipt(receipt)] = replies.as_slice() else {
            panic!("no receipt: {replies:?}");
        };
        let id = receipt.id;
        let replies = self.ask(Command::Receive {
            queue,
            max: 1,
            wait: 0,
            lease: None,
            group: None,
        });
        let [Reply::Deliveries(leased)] = replies.as_slice() else {
            panic!("no delivery: {replies:?}");
        };
        assert_eq!(leased[0].handle.id, id);
        assert_eq!(leased[0].body, "ours");
        let replies = self.ask(Command::Ack(leased[0].handle.clone()));
        assert!(matches!(replies.as_slice(), [Reply::Done]), "{replies:?}");
    }
}

/// A change of groups, or of what queues are told.
fn change_group(queue: QueueKey, chance: &mut Chance) -> Command {
    match in_group(chance) {
        Some(group) if chance.percent(50) => Command::CreateGroup(queue, group),
        Some(group) => Command::RemoveGroup(queue, group.name),
        None => Command::Configure(configure(queue, chance)),
    }
}

fn configure(queue: QueueKey, chance: &mut Chance) -> Configure {
    let settings = (0..chance.below(3)).map(|_| setting(chance)).collect();
    match chance.below(6) {
        0 => Configure::Purge(queue),
        1 => Configure::Policy("jo".into(), settings),
        _ => Configure::Queue(queue, settings),
    }
}

/// Mostly one that is there, with a value that it may have, or none.
fn setting(chance: &mut Chance) -> (String, String) {
    let key = *make::pick(SETTINGS, chance);
    let words = [
        "drop_oldest",
        "refuse",
        "in",
        "out",
        "both",
        "none",
        "fail",
        "",
        "1",
        "3",
    ];
    let value = match chance.below(4) {
        0 => make::number(chance).to_string(),
        _ => make::pick(&words, chance).to_string(),
    };
    (key.into(), value)
}

/// A look at a queue, or at what became of a message; or what is in the queue goes back, or elsewhere.
fn look(queue: QueueKey, pool: &Pool, chance: &mut Chance) -> Command {
    if chance.percent(70) {
        return Command::Browse(browse(queue, chance));
    }
    let id = MessageId {
        origin: *make::pick(&pool.boots, chance),
        sequence: chance.below(24),
    };
    match chance.below(4) {
        0 | 1 => return Command::Explain(id),
        2 => return Command::Doctor(queue),
        _ => {}
    }
    Command::Redrive(NewRedrive {
        queue,
        to: chance.percent(70).then(|| "other".into()),
        max: make::number(chance),
        headers: vec![("n".into(), "v".into()); chance.below(2) as usize],
        ids: vec![id; chance.below(2) as usize],
        is_dry_run: chance.percent(20),
        timeout: make::number(chance) % 5_000,
    })
}

/// A look, often at more than may be asked for.
fn browse(queue: QueueKey, chance: &mut Chance) -> NewBrowse {
    NewBrowse {
        queue,
        group: in_group(chance).map(|group| group.name),
        max: make::number(chance) as u32,
        after: chance.percent(20).then(Spot::default),
        states: vec![State::Ready; chance.below(2) as usize],
        headers: vec![("n".into(), "v".into()); chance.below(2) as usize],
        body_bytes_max: make::number(chance) as u32,
        timeout: make::number(chance) % 5_000,
    }
}

/// One way to settle a delivery.
fn settle(handle: Handle, span: Option<u64>, chance: &mut Chance) -> Command {
    match chance.below(6) {
        0 => Command::Ack(handle),
        1 => Command::AckMany(vec![handle.clone(), handle]),
        2 => Command::Nack(handle, span),
        3 => Command::Release(handle),
        4 => Command::Reject(handle, "no".into()),
        _ => Command::Extend(handle, span),
    }
}

/// So that a message of the queue room cannot be forgotten here when one is added.
#[allow(dead_code, reason = "it only has to compile")]
fn known(message: &Message) -> bool {
    match message {
        Message::Heartbeat(_) | Message::Meta(_) | Message::Stock(_) | Message::StockAsk => true,
        Message::Exchange(_) | Message::Broadcast(_) | Message::Cards(_) => true,
        Message::Probe(_) | Message::Rival(_) | Message::Host(_) => true,
        Message::Queue(queue) => match queue.as_ref() {
            Queue::Repl(_) | Queue::ReplOk(_) | Queue::ReplNo(_) | Queue::Demand(_) => true,
            Queue::Deliver(_) | Queue::SetDone(_) | Queue::DoneOk(_) | Queue::Forget(_) => true,
            Queue::Claim(_) | Queue::Settle(_) | Queue::Settled(_) | Queue::Replied(_) => true,
            Queue::Browse(_) | Queue::Browsed(_) | Queue::Explain(_) | Queue::Explained(_) => true,
            Queue::LeaseHint(_) | Queue::HintOk(_) => true,
            Queue::Inventory(_) | Queue::Differ(_) => true,
            Queue::Redrive(_) | Queue::Redriven(_) => true,
            Queue::Examine(_) | Queue::Examined(_) => true,
            Queue::EnqueueFor(_) | Queue::EnqueuePart(_) | Queue::Taken(_) => true,
            Queue::Recall(_) | Queue::Recalled(_) | Queue::Remember(_) => true,
        },
    }
}

fn flow(chance: &mut Chance, lease: Option<u64>) -> Flow {
    Flow {
        credit: make::number(chance) as u32,
        credit_bytes: chance.percent(30).then(|| make::number(chance)),
        lease,
        max_run: chance.percent(50).then(|| make::number(chance)),
    }
}

/// A group that somebody consumes in; mostly none.
fn in_group(chance: &mut Chance) -> Option<InGroup> {
    let name = (*make::pick(&["g", "h", "", "no\ngroup"], chance)).into();
    let takes_backlog = chance.percent(30);
    chance.percent(30).then_some(InGroup {
        name,
        takes_backlog,
    })
}

/// What a producer asks for beside copies; most ask for nothing.
fn asked(chance: &mut Chance) -> Asked {
    if chance.percent(60) {
        return Asked::default();
    }
    let mut some = |percent, most: u64| chance.percent(percent).then(|| chance.below(most));
    Asked {
        priority: some(50, 11).map(|priority| priority as u8),
        delay: some(30, 3_000),
        at: some(10, 1 << 42),
        ttl: some(30, 3_000),
        max_attempts: some(40, 3).map(|attempts| attempts as u32),
        is_at_most_once: some(20, 2).is_some(),
        key: some(40, 3).map(|n| ["k", "l", ""][n as usize].into()),
        dedup: some(40, 3).map(|n| ["k", "l", ""][n as usize].into()),
        dedup_window: some(20, 3_000),
    }
}
