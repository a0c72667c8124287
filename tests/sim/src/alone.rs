//! One member of a large idle cluster, alone with players of the others: what it sends, and what it
//! takes.
//!
//! A thousand engines in a full mesh send two million frames a second to each other. What one of them
//! does is the same when the others only say what they would say: they take up the links that it
//! dials, send heartbeats and answer its own by the same [`Pulse`] as an engine does, broadcast once
//! each, and their side of an exchange is spoken by a real engine with the same metadata.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use primer_proto::base::{
    BootId, Error, ErrorKind, Instant as Moment, LinkId, MemberId, Now, StoreId, Ticket,
};
use primer_proto::broadcast::Message as Gossip;
use primer_proto::engine::{Command, Config, Message, Writer};
use primer_proto::membership::{Heartbeat, Hello, Pulse};
use primer_proto::{Effect, Engine, Input};

use crate::dice::Dice;
use crate::scale::resident;
use crate::world::{CLUSTER, WALL_MS};

/// The others come within the first second.
const COME_MS: u64 = 1_000;
/// So far apart they broadcast, one after the other.
const WRITE_MS: u64 = 10;
/// When everything that this led to is over: payloads are kept for 30 s.
const QUIET_MS: u64 = 60_000;
/// How long it is listened to.
const LISTEN_MS: u64 = 60_000;
/// Copies of the member over which memory is averaged.
const COPIES: usize = 20;

/// What one member costs.
pub(crate) struct Cost {
    /// Frames and bytes that it sends in a second.
    pub frames: f64,
    pub bytes: f64,
    /// KiB that its engine takes.
    pub memory: u64,
    /// Time that its engine works in a second, in ms of this machine.
    pub work: f64,
}

/// The others, as the one member meets them.
struct Others {
    hellos: Vec<Hello>,
    /// By address: who answers there.
    places: BTreeMap<String, usize>,
    /// When each of them takes up a link and speaks.
    comes_at: Vec<u64>,
    /// A broadcast of each.
    news: Vec<Message>,
    /// Who speaks for all of them in exchanges.
    speaker: Engine,
}

/// The one member, and its links.
struct Alone {
    engine: Engine,
    /// By link number - 1, once it is up.
    pulses: Vec<Option<Pulse>>,
    dialled: BTreeMap<usize, String>,
    /// What comes in the next millisecond.
    inbox: Vec<Input>,
    sent: (u64, u64),
    /// Time that the engine took.
    work: Duration,
}

/// Measures one size.
pub(crate) fn alone(members: usize, seed: u64) -> Cost {
    let mut dice = Dice::new(seed, 6);
    let member =
        |dice: &mut Dice, seat| MemberId(u128::from(dice.bits()) << 64 | (seat as u128 + 1));
    let configs = (0..members).map(|seat| config(member(&mut dice, seat), seat, &mut dice));
    let configs: Vec<Config> = configs.collect();
    let (mut others, own) = Others::new(&configs, &mut dice);
    let before = resident();
    let mut copies: Vec<Alone> = (0..COPIES).map(|_| Alone::new(&own, members)).collect();
    let mut memory = 0;
    for ms in 0..QUIET_MS + LISTEN_MS {
        if ms == QUIET_MS {
            let pulses = copies.iter().map(|copy| copy.pulses.capacity());
            let books = pulses.sum::<usize>() * size_of::<Option<Pulse>>();
            memory = resident().saturating_sub(before + books as u64);
            (copies[0].sent, copies[0].work) = Default::default();
        }
        // One is enough to listen to.
        let count = if ms < QUIET_MS { COPIES } else { 1 };
        for copy in copies.iter_mut().take(count) {
            copy.pass(ms, &mut others);
        }
    }
    let seconds = (LISTEN_MS / 1_000) as f64;
    Cost {
        frames: copies[0].sent.0 as f64 / seconds,
        bytes: copies[0].sent.1 as f64 / seconds,
        memory: memory / COPIES as u64 / 1_024,
        work: copies[0].work.as_secs_f64() * 1_000.0 / seconds,
    }
}

fn now(ms: u64) -> Now {
    Now {
        mono: Moment(ms),
        wall_ms: WALL_MS + ms,
    }
}

/// A member that never was before.
pub(crate) fn config(member: MemberId, seat: usize, dice: &mut Dice) -> Config {
    let boot = BootId(dice.bits() >> 2 | 1);
    let mut config = Config::new(CLUSTER, member, boot, StoreId(dice.bits() | 1));
    config.name = format!("m{seat}");
    config.incarnation = WALL_MS;
    config.address = Some(format!("10.0.0.{seat}:7000"));
    config.seed = dice.bits();
    config
}

/// What a member remembers of an earlier life in which it was dialled by all of `hellos`.
pub(crate) fn met(config: &Config, hellos: &[Hello]) -> Vec<u8> {
    let mut config = config.clone();
    // The life that is to come numbers its writes afresh.
    config.boot = BootId(config.boot.0 ^ 1 << 62);
    let mut engine = Engine::new(config, now(0));
    let mut effects = Vec::new();
    for (link, hello) in (1..).map(LinkId).zip(hellos) {
        let (hello, dialled) = (Box::new(hello.clone()), None);
        engine.handle(
            now(0),
            Input::Linked {
                link,
                hello,
                dialled,
            },
            &mut effects,
        );
        effects.clear();
    }
    engine.metadata()
}

impl Others {
    /// The others, and the configuration of the one: all know each other.
    fn new(configs: &[Config], dice: &mut Dice) -> (Self, Config) {
        let hello = |config: &Config| Engine::new(config.clone(), now(0)).hello();
        let hellos: Vec<Hello> = configs[1..].iter().map(hello).collect();
        let mut own = configs[0].clone();
        own.metadata = Some(met(&own, &hellos));
        // The first of the others remembers the same, and the one beside it.
        let mut first = configs[1].clone();
        first.metadata.clone_from(&own.metadata);
        first.metadata = Some(met(&first, &[hello(&configs[0])]));
        let addresses = hellos.iter().map(|hello| hello.address.clone());
        let mut others = Self {
            places: addresses.zip(0..).collect(),
            comes_at: hellos.iter().map(|_| dice.below(COME_MS)).collect(),
            news: Vec::new(),
            speaker: Engine::new(first, now(0)),
            hellos,
        };
        others.write(hello(&configs[0]));
        (others, own)
    }

    /// Makes a broadcast for each of them: a key that it writes.
    fn write(&mut self, to: Hello) {
        let link = Input::Linked {
            link: LinkId(1),
            hello: Box::new(to),
            dialled: None,
        };
        let mut effects = Vec::new();
        self.speaker.handle(now(0), link, &mut effects);
        for (place, hello) in (1..).zip(&self.hellos) {
            effects.clear();
            let command = Command::Put {
                key: format!("own/{place}"),
                value: Bytes::from_static(b"x"),
            };
            let (at, ticket) = (now(place * WRITE_MS), Ticket(place));
            self.speaker
                .handle(at, Input::Command { ticket, command }, &mut effects);
            let push = effects.iter().find_map(|effect| match effect {
                Effect::Send(_, _, Message::Broadcast(message)) => match message.as_ref() {
                    Gossip::Push(push) => Some(push.clone()),
                    _ => None,
                },
                _ => None,
            });
            let Some(mut push) = push else { continue };
            (push.origin, push.incarnation) = (hello.member(), hello.incarnation);
            push.sequence = 1;
            self.news
                .push(Message::Broadcast(Box::new(Gossip::Push(push))));
        }
    }

    /// Their part of an exchange that the one began.
    fn exchange(&mut self, ms: u64, link: LinkId, message: Message) -> Vec<Input> {
        let mut effects = Vec::new();
        let asked = Input::Message {
            link: LinkId(1),
            message,
        };
        self.speaker.handle(now(ms), asked, &mut effects);
        let answers = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send(_, _, message @ Message::Exchange(_)) => Some(message),
            _ => None,
        });
        answers
            .map(|message| Input::Message { link, message })
            .collect()
    }
}

impl Alone {
    fn new(config: &Config, members: usize) -> Self {
        Self {
            engine: Engine::new(config.clone(), now(0)),
            pulses: (1..members).map(|_| None).collect(),
            dialled: BTreeMap::new(),
            inbox: vec![Input::Wake],
            sent: (0, 0),
            work: Duration::ZERO,
        }
    }

    /// One millisecond.
    fn pass(&mut self, ms: u64, others: &mut Others) {
        self.hear_others(ms, others);
        if self.engine.next_wake() <= Moment(ms) {
            self.inbox.push(Input::Wake);
        }
        let mut effects = Vec::new();
        let began = Instant::now();
        for input in std::mem::take(&mut self.inbox) {
            self.engine.handle(now(ms), input, &mut effects);
        }
        self.work += began.elapsed();
        for effect in effects {
            self.apply(ms, effect, others);
        }
    }

    /// What the others do by themselves.
    fn hear_others(&mut self, ms: u64, others: &Others) {
        let digests = (self.engine.meta_digest(), self.engine.hello().cards);
        for place in 0..self.pulses.len() {
            let link = LinkId(place as u64 + 1);
            if ms == others.comes_at[place] {
                self.pulses[place] = Some(Pulse::new(Moment(ms)));
                self.inbox.push(Input::Linked {
                    link,
                    hello: Box::new(others.hellos[place].clone()),
                    dialled: self.dialled.remove(&place),
                });
            }
            if ms == 2 * COME_MS + (place as u64 + 1) * WRITE_MS {
                let message = others.news[place].clone();
                self.inbox.push(Input::Message { link, message });
            }
            if let Some(pulse) = &mut self.pulses[place]
                && pulse.next() <= Moment(ms)
            {
                let message = heartbeat(pulse.beat(Moment(ms), false), digests);
                self.inbox.push(Input::Message { link, message });
            }
        }
    }

    fn apply(&mut self, ms: u64, effect: Effect, others: &mut Others) {
        match effect {
            Effect::Dial(address) => {
                let place = others.places.get(&address).copied();
                let open = place.filter(|place| self.pulses[*place].is_none());
                match open {
                    Some(place) => drop(self.dialled.insert(place, address)),
                    None => self.inbox.push(Input::DialFailed {
                        address,
                        error: Error::new(ErrorKind::Unreachable),
                    }),
                }
            }
            Effect::Send(link, _, message) => {
                let mut bytes = BytesMut::new();
                let mut writer = Writer::default();
                writer.push(&message, &mut bytes);
                writer.finish(&mut bytes);
                self.sent = (self.sent.0 + 1, self.sent.1 + bytes.len() as u64);
                self.answer(ms, link, message, others);
            }
            _ => {}
        }
    }

    fn answer(&mut self, ms: u64, link: LinkId, message: Message, others: &mut Others) {
        match message {
            Message::Heartbeat(heard) => {
                let digests = (self.engine.meta_digest(), self.engine.hello().cards);
                let pulse = self.pulses.get_mut(link.0 as usize - 1);
                let Some(pulse) = pulse.and_then(Option::as_mut) else {
                    return;
                };
                pulse.hear(Moment(ms), &heard);
                if !heard.is_answer {
                    let message = heartbeat(pulse.beat(Moment(ms), true), digests);
                    self.inbox.push(Input::Message { link, message });
                }
            }
            Message::Exchange(_) => self.inbox.extend(others.exchange(ms, link, message)),
            _ => {}
        }
    }
}

/// A heartbeat of one that knows what the one member knows.
fn heartbeat(mut heartbeat: Heartbeat, digests: (u64, u64)) -> Message {
    (heartbeat.digest, heartbeat.cards) = digests;
    Message::Heartbeat(heartbeat)
}
