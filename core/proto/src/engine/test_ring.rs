//! Engines linked by hand, for tests of what several members do together.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::base::{ClusterId, limits};
use crate::copies::Asked;
use crate::queue::{Browsed, Message as Queue};

/// What a message of these tests with the largest body takes of a memory budget.
const LARGE: u64 = limits::BODY_BYTES_MAX as u64 + limits::MESSAGE_OVERHEAD_BYTES;

/// Members 1 and up, all linked to each other.
pub(super) struct Ring {
    pub(super) engines: Vec<Engine>,
    pub(super) links: BTreeMap<(usize, usize), LinkId>,
    flight: VecDeque<(usize, Input)>,
    /// Who does not hear browses and redrives: a member that is slow, or too old to know them.
    pub(super) deaf: BTreeSet<usize>,
    /// What those were sent that they did not hear, of enqueues.
    unheard: BTreeMap<usize, u64>,
    /// After so many parts of enqueues no further ones are heard.
    pub(super) deaf_after: Option<u32>,
    /// Copies are on their way for ever.
    pub(super) is_stuck: bool,
    pub(super) answers: BTreeMap<Ticket, Answer>,
    /// Browsed frames that were sent.
    pub(super) shown: Vec<Browsed>,
    /// Claims that were sent.
    pub(super) claims: usize,
    now: u64,
    ticket: u64,
    last_link: u64,
}

impl Ring {
    pub(super) fn new(count: usize) -> Self {
        let mut ring = Self::apart(count);
        for a in 0..count {
            for b in a + 1..count {
                ring.link(a, b);
            }
        }
        ring
    }

    /// The same, not linked yet.
    pub(super) fn apart(count: usize) -> Self {
        let mut ring = Self {
            engines: Vec::new(),
            links: BTreeMap::new(),
            flight: VecDeque::new(),
            deaf: BTreeSet::new(),
            unheard: BTreeMap::new(),
            deaf_after: None,
            is_stuck: false,
            answers: BTreeMap::new(),
            shown: Vec::new(),
            claims: 0,
            now: 0,
            ticket: 0,
            last_link: 100,
        };
        for n in 1..=count as u64 {
            let mut config = Config::new(ClusterId(1), MemberId(n.into()), BootId(n), StoreId(n));
            config.is_ephemeral = false;
            ring.engines.push(Engine::new(config, ring.at()));
        }
        ring
    }

    fn at(&self) -> Now {
        Now {
            mono: Instant(self.now),
            wall_ms: 1_700_000_000_000 + self.now,
        }
    }

    pub(super) fn link(&mut self, a: usize, b: usize) {
        // Never one that was there before.
        self.last_link += 1;
        let link = LinkId(self.last_link);
        self.links.insert((a, b), link);
        let address = format!("m{b}:1");
        let join = Command::Join(address.clone());
        self.tell(a, join);
        for (me, other, is_dialler) in [(a, b, true), (b, a, false)] {
            let hello = alloc::boxed::Box::new(self.engines[other].hello());
            let input = Input::Linked {
                link,
                hello,
                dialled: is_dialler.then(|| address.clone()),
            };
            self.flight.push_back((me, input));
        }
        self.settle();
    }

    pub(super) fn cut(&mut self, a: usize, b: usize) {
        let link = self.links.remove(&(a, b)).unwrap();
        self.give(a, Input::Unlinked(link));
        self.give(b, Input::Unlinked(link));
        self.settle();
    }

    pub(super) fn tell(&mut self, seat: usize, command: Command) -> Ticket {
        self.ticket += 1;
        let ticket = Ticket(self.ticket);
        self.give(seat, Input::Command { ticket, command });
        ticket
    }

    pub(super) fn ask(&mut self, seat: usize, command: Command) -> Answer {
        let ticket = self.tell(seat, command);
        self.settle();
        self.answers.remove(&ticket).expect("an answer")
    }

    pub(super) fn give(&mut self, seat: usize, input: Input) {
        let mut out = Vec::new();
        let now = self.at();
        self.engines[seat].handle(now, input, &mut out);
        for effect in out {
            match effect {
                Effect::Send(link, _, message) => self.carry(seat, link, message),
                Effect::Reply(ticket, answer) => {
                    let before = self.answers.insert(ticket, answer);
                    assert!(before.is_none(), "answered twice");
                }
                _ => {}
            }
        }
    }

    /// A member without a link yet that speaks an earlier version.
    pub(super) fn age(&mut self, seat: usize) {
        self.engines[seat].config.minor = 0;
    }

    fn carry(&mut self, from: usize, link: LinkId, message: Message) {
        let ends = self.links.iter().find(|(_, known)| **known == link);
        let Some(((a, b), _)) = ends else { return };
        let to = if *a == from { *b } else { *a };
        if let Message::Queue(queue) = &message {
            match queue.as_ref() {
                Queue::Browse(_) | Queue::Explain(_) | Queue::Redrive(_) | Queue::Examine(_)
                    if self.deaf.contains(&to) =>
                {
                    return;
                }
                Queue::EnqueueFor(_) if self.deaf.contains(&to) => {
                    *self.unheard.entry(to).or_default() += 1;
                    return;
                }
                Queue::EnqueuePart(_) if self.deaf_after == Some(0) => return,
                Queue::EnqueuePart(_) => {
                    self.deaf_after = self.deaf_after.map(|left| left - 1);
                }
                Queue::Repl(_) if self.is_stuck => return,
                Queue::Claim(_) => self.claims += 1,
                Queue::Browsed(browsed) => self.shown.push(browsed.clone()),
                _ => {}
            }
        }
        // What arrives is what was written and read, not the value itself.
        let mut bytes = bytes::BytesMut::new();
        let mut writer = Writer::default();
        writer.push(&message, &mut bytes);
        writer.finish(&mut bytes);
        while let Some(frame) = cut(&mut bytes, limits::FRAME_BYTES_MAX).unwrap() {
            let message = decode(frame).unwrap().unwrap();
            self.flight
                .push_back((to, Input::Message { link, message }));
        }
    }

    /// How many enqueues of others a deaf member did not hear.
    pub(super) fn unheard(&self, seat: usize) -> u64 {
        self.unheard.get(&seat).copied().unwrap_or_default()
    }

    pub(super) fn settle(&mut self) {
        while let Some((to, input)) = self.flight.pop_front() {
            self.give(to, input);
        }
        for engine in &self.engines {
            engine.audit().unwrap();
        }
    }

    /// Time goes on, for all.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now += ms;
        for seat in 0..self.engines.len() {
            self.give(seat, Input::Wake);
        }
        self.settle();
    }

    pub(super) fn enqueue(&mut self, seat: usize, body: &str) -> MessageId {
        self.enqueue_with(seat, body.to_string().into_bytes(), &[], Asked::default())
    }

    pub(super) fn enqueue_with(
        &mut self,
        seat: usize,
        body: Vec<u8>,
        headers: &[(&str, &str)],
        terms: Asked,
    ) -> MessageId {
        let queue = self.engines[seat].queue("jobs").unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let headers: Vec<(String, String)> = headers.collect();
        let message = NewMessage {
            body: body.into(),
            headers: (!headers.is_empty()).then(|| alloc::sync::Arc::new(headers)),
        };
        let options = EnqueueOptions {
            terms,
            ..EnqueueOptions::default()
        };
        let command = Command::Enqueue {
            queue,
            message,
            options,
        };
        match self.ask(seat, command) {
            Ok(Reply::Receipt(receipt)) => receipt.id,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn lease(&mut self, seat: usize, lease: u64) -> Leased {
        let queue = self.engines[seat].queue("jobs").unwrap();
        let command = Command::Receive {
            queue,
            max: 1,
            wait: 1_000,
            lease: Some(lease),
            group: None,
        };
        match self.ask(seat, command) {
            Ok(Reply::Deliveries(mut leased)) => leased.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// An enqueue, with all that follows at once.
    pub(super) fn put(&mut self, seat: usize, body: &str, options: EnqueueOptions) -> Ticket {
        let ticket = self.begin(seat, body, options);
        self.settle();
        ticket
    }

    /// An enqueue that nobody else has heard of yet.
    pub(super) fn begin(&mut self, seat: usize, body: &str, options: EnqueueOptions) -> Ticket {
        let queue = self.engines[seat].queue("jobs").unwrap();
        let message = NewMessage {
            body: body.as_bytes().to_vec().into(),
            headers: None,
        };
        let command = Command::Enqueue {
            queue,
            message,
            options,
        };
        self.tell(seat, command)
    }
}

impl Ring {
    /// Members with room for so many of the largest bodies; 0 for any number.
    pub(super) fn within(budgets: &[u64]) -> Self {
        let mut ring = Self::apart(budgets.len());
        for (seat, budget) in budgets.iter().enumerate() {
            if *budget > 0 {
                ring.engines[seat].config.memory_bytes_max = *budget * LARGE;
                let config = ring.engines[seat].config.clone();
                ring.engines[seat] = Engine::new(config, Now::default());
            }
        }
        for a in 0..budgets.len() {
            for b in a + 1..budgets.len() {
                ring.link(a, b);
            }
        }
        ring
    }

    /// Puts in so many of the largest bodies at once, each held by that member alone.
    pub(super) fn fill(&mut self, seat: usize, count: usize) {
        let bodies = vec![vec![7; limits::BODY_BYTES_MAX]; count];
        let ticket = self.put_all(seat, bodies, alone());
        match self.answers.remove(&ticket) {
            Some(Ok(Reply::Receipts(receipts))) => {
                assert_eq!(receipts[0].id.origin.0, seat as u64 + 1);
            }
            other => panic!("{other:?}"),
        }
    }

    /// Enough time for everyone to hear of everyone's memory.
    pub(super) fn tell_levels(&mut self) {
        self.pass(1_000);
        self.pass(1_000);
    }

    pub(super) fn put_all(
        &mut self,
        seat: usize,
        bodies: Vec<Vec<u8>>,
        options: EnqueueOptions,
    ) -> Ticket {
        let ticket = self.put_unheard(seat, bodies, options);
        self.settle();
        ticket
    }

    /// The same, and nobody hears of anything before somebody else is told something.
    pub(super) fn put_unheard(
        &mut self,
        seat: usize,
        bodies: Vec<Vec<u8>>,
        options: EnqueueOptions,
    ) -> Ticket {
        let queue = self.engines[seat].queue("jobs").unwrap();
        let messages = bodies.into_iter().map(|body| NewMessage {
            body: body.into(),
            headers: None,
        });
        let command = Command::EnqueueMany {
            queue,
            messages: messages.collect(),
            options,
        };
        self.tell(seat, command)
    }
}

pub(super) fn alone() -> EnqueueOptions {
    EnqueueOptions {
        copies: Some(1),
        ..EnqueueOptions::default()
    }
}
