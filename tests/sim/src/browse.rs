//! Users who look at messages without taking them.
//!
//! A page is best effort, so nobody is promised that a message is on it while members fail and messages
//! move. What is promised: one answer a browse, in order and within what was asked; only what a producer
//! wrote, whole or its beginning; nothing at a member changes by it; and when everything is drained,
//! there is nothing to see.

use std::collections::{BTreeMap, BTreeSet};

use primer_check::Value;
use primer_proto::Input;
use primer_proto::base::{MemberId, Ticket, limits};
use primer_proto::engine::{
    Answer, Command, Facts, Finding, Known, Message, NewBrowse, Page, Reply, Shown, Spot, State,
};
use primer_proto::queue::Message as Queue;

use crate::agenda::{MS, SECOND};
use crate::calls::parted;
use crate::letters::without_death;
use crate::producer::LARGE_FROM;
use crate::producer::{body_of, headers_of};
use crate::users::{Act, What};
use crate::world::{Local, Phase, World};

/// Longer than any value's own text, so that a beginning of that length says whose it is.
const TEXT_BYTES: u32 = 64;
/// What a member counts of its messages; looking changes none of it.
const FIGURES: [&str; 9] = [
    "messages",
    "messages_ready",
    "messages_delayed",
    "messages_leased",
    "messages_standby",
    "messages_replicating",
    "memory_bytes",
    "delivered",
    "tombstones",
];

/// What a member holds, as far as its figures say.
pub(crate) type Figures = BTreeMap<&'static str, u64>;

/// A browse that was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    queue: usize,
    max: u32,
    after: Option<Spot>,
    states: Vec<State>,
    body_bytes_max: u32,
    /// Everything is drained: there is nothing to see.
    is_last: bool,
}

/// The value that a shown message's beginning is of; none when no producer wrote that.
fn value_of(shown: &Shown) -> Option<Value> {
    let end = shown.body.iter().position(|byte| *byte == b'.');
    let text = shown.body.get(..end.unwrap_or(shown.body.len()))?;
    let value: Value = std::str::from_utf8(text).ok()?.parse().ok()?;
    let (headers, _) = parted(without_death(shown.headers.as_ref()).as_ref());
    let whole = body_of(value);
    let is_its = whole.starts_with(&shown.body)
        && whole.len() as u64 == shown.body_bytes
        && headers == headers_of(value);
    is_its.then_some(value)
}

impl World {
    /// Who looks, at a new process.
    pub fn browsers(&mut self, seat: usize) {
        if self.plan.has_browsers && self.browse_dice.coin() {
            self.browse_later(seat, None);
        }
    }

    fn browse_later(&mut self, seat: usize, after: Option<(usize, Spot)>) {
        let pause = if after.is_some() {
            200 * MS
        } else {
            4 * SECOND
        };
        let at = self.now + self.browse_dice.exponential(pause);
        self.local_now(at, seat, Local::User(Act::Browse(after)));
    }

    /// A user looks at a queue, or at the next page of it.
    pub fn browse(&mut self, seat: usize, after: Option<(usize, Spot)>) {
        if self.phase != Phase::Load {
            return;
        }
        if after.is_none() && self.browse_dice.percent(20) && self.explain_one(seat) {
            return;
        }
        if after.is_none() && self.browse_dice.percent(15) && self.ask_doctor(seat) {
            return;
        }
        let dice = &mut self.browse_dice;
        let states = [
            Vec::new(),
            Vec::new(),
            vec![State::Ready],
            vec![State::Leased, State::Delayed],
        ];
        let drawn = dice.index(self.plan.queues);
        let asked = Asked {
            queue: drawn,
            max: dice.pick(&[1, 3, 20, limits::BROWSE_MAX]).unwrap_or(1),
            after: after.map(|(_, spot)| spot),
            states: states[dice.index(states.len())].clone(),
            body_bytes_max: dice
                .pick(&[0, TEXT_BYTES, limits::BROWSE_BODY_BYTES])
                .unwrap_or(0),
            is_last: false,
        };
        let timeout = dice.range(1, 5_000);
        let gives_up = dice.percent(5);
        let queue = match after {
            Some((queue, _)) => queue,
            None => self.draw_browsed(drawn),
        };
        let ticket = self.ask_page(seat, Asked { queue, ..asked }, timeout);
        if let Some(ticket) = ticket.filter(|ticket| gives_up && self.users.give_up(*ticket)) {
            self.sometimes.hit("browse cancelled");
            self.feed(seat, Input::Cancel(ticket));
            self.browse_later(seat, None);
        }
    }

    /// A user asks what became of a message; false while there was none.
    fn explain_one(&mut self, seat: usize) -> bool {
        let count = self.ledger.sent.len();
        let drawn = self.browse_dice.index(count.max(1));
        let Some(id) = self.ledger.sent.keys().nth(drawn).copied() else {
            return false;
        };
        self.ask(seat, Command::Explain(id), What::Explain);
        true
    }

    /// An explanation ends: each member of the set says something, this one first of all.
    pub fn explained(&mut self, seat: usize, answer: Answer) {
        if let Ok(Reply::Diagnosis(facts, found, missing)) = &answer {
            return self.diagnosed(seat, (facts, found, missing));
        }
        let accounts = match answer {
            Ok(Reply::Accounts(accounts)) => accounts,
            Ok(other) => {
                return self.violation("answer", format!("m{seat}: explain answered {other:?}"));
            }
            Err(error) if error.number() == 203 => return self.browse_later(seat, None),
            Err(error) => return self.odd_answer(seat, "explain", &error),
        };
        let mut ids = BTreeSet::new();
        for account in &accounts {
            if !ids.insert((account.member, account.id)) {
                let detail = format!(
                    "m{seat}: {} is told twice by {}",
                    account.id, account.member
                );
                self.violation("explain", detail);
            }
        }
        if accounts.is_empty() {
            self.violation("explain", format!("m{seat}: nobody says anything"));
        }
        if accounts
            .iter()
            .any(|account| account.known == Known::Standby)
        {
            self.sometimes.hit("explained");
        }
        self.browse_later(seat, None);
    }

    /// A user asks why nothing is delivered.
    fn ask_doctor(&mut self, seat: usize) -> bool {
        let drawn = self.browse_dice.index(self.plan.queues);
        let queue = self.draw_browsed(drawn);
        let Some((key, _)) = self.place_of(seat, queue) else {
            return false;
        };
        self.ask(seat, Command::Doctor(key), What::Explain);
        true
    }

    /// A diagnosis ends: it finds something, and each member that answers says something once a group.
    fn diagnosed(
        &mut self,
        seat: usize,
        (facts, found, missing): (&[Facts], &[Finding], &[MemberId]),
    ) {
        let told: BTreeSet<_> = facts
            .iter()
            .map(|one| (one.member(), one.group.as_str()))
            .collect();
        let is_twice = told.len() != facts.len();
        let is_both = facts.iter().any(|one| missing.contains(&one.member()));
        if found.is_empty() || is_twice || is_both {
            let detail = format!("m{seat}: {found:?} of {facts:?}, without {missing:?}");
            self.violation("doctor", detail);
        }
        if facts.iter().any(|one| one.ready > 0) {
            self.sometimes.hit("queue examined");
        }
        self.browse_later(seat, None);
    }

    /// Any queue, or a group of one.
    fn draw_browsed(&mut self, drawn: usize) -> usize {
        if self.browse_dice.coin() {
            return drawn;
        }
        let count = self.queue_count();
        self.browse_dice.index(count)
    }

    fn ask_page(&mut self, seat: usize, asked: Asked, timeout: u64) -> Option<Ticket> {
        let (queue, group) = self.place_of(seat, asked.queue)?;
        let command = Command::Browse(NewBrowse {
            queue,
            group: group.map(|group| group.name),
            max: asked.max,
            after: asked.after,
            states: asked.states.clone(),
            headers: Vec::new(),
            body_bytes_max: asked.body_bytes_max,
            timeout,
        });
        Some(self.ask(seat, command, What::Browse(asked)))
    }

    /// Everything is drained: every living member looks at every queue once more.
    pub fn look_once_more(&mut self) {
        let seats: Vec<usize> = self.living().map(|(seat, _)| seat).collect();
        for seat in seats {
            for queue in 0..self.queue_count() {
                let asked = Asked {
                    queue,
                    max: limits::BROWSE_MAX,
                    after: None,
                    states: Vec::new(),
                    body_bytes_max: TEXT_BYTES,
                    is_last: true,
                };
                self.ask_page(seat, asked, limits::BROWSE_TIMEOUT_MS);
            }
        }
    }

    /// A browse ends.
    pub fn browsed(&mut self, seat: usize, asked: &Asked, answer: Answer) {
        let page = match answer {
            Ok(Reply::Page(page)) => page,
            Ok(other) => {
                return self.violation("answer", format!("m{seat}: browse answered {other:?}"));
            }
            Err(error) if error.number() == 203 => return self.browse_later(seat, None),
            Err(error) => return self.odd_answer(seat, "browse", &error),
        };
        if let Some(why) = self.page_is_wrong(asked, &page) {
            self.violation("browse", format!("m{seat}: {why}"));
        }
        if !page.messages.is_empty() {
            self.sometimes.hit("browsed");
        }
        if !page.missing.is_empty() {
            self.sometimes.hit("page without some member");
        }
        let next = page.cursor.filter(|_| self.browse_dice.percent(70));
        if asked.after.is_some() && next.is_some() {
            self.sometimes.hit("page after page");
        }
        self.browse_later(seat, next.map(|spot| (asked.queue, spot)));
    }

    /// What is wrong with a page; none when nothing is.
    fn page_is_wrong(&self, asked: &Asked, page: &Page) -> Option<String> {
        let mut last = asked.after.unwrap_or_default();
        if page.messages.len() > asked.max as usize {
            return Some(format!(
                "{} shown, {} asked",
                page.messages.len(),
                asked.max
            ));
        }
        for shown in &page.messages {
            let id = shown.spot.id;
            if shown.spot <= last {
                return Some(format!("{id} is shown out of order, after {last}"));
            }
            last = shown.spot;
            if !asked.states.is_empty() && !asked.states.contains(&shown.state) {
                return Some(format!(
                    "{id} is {:?}, asked {:?}",
                    shown.state, asked.states
                ));
            }
            if shown.body.len() > asked.body_bytes_max as usize {
                return Some(format!("{id} shows {} bytes", shown.body.len()));
            }
            let is_readable = asked.body_bytes_max >= TEXT_BYTES;
            if is_readable && !value_of(shown).is_some_and(|value| self.was_written(value)) {
                return Some(format!("{id} shows what nobody put in: {:?}", shown.body));
            }
        }
        if page
            .cursor
            .is_some_and(|cursor| cursor < last || Some(cursor) == asked.after)
        {
            return Some(format!("the next page would begin before {last}"));
        }
        let is_empty = page.messages.is_empty() && page.cursor.is_none();
        if asked.is_last && !is_empty {
            return Some(format!("drained, and there is {page:?}"));
        }
        None
    }

    fn was_written(&self, value: Value) -> bool {
        let mut clients = self.users.clients.iter();
        let counter = value.counter % LARGE_FROM;
        clients.any(|client| client.process == value.process && client.counter >= counter)
    }

    /// What a member's figures are before it is looked at; none for what is no look.
    pub fn before_look(&self, seat: usize, input: &Input) -> Option<Figures> {
        let is_look = match input {
            Input::Command { command, .. } => match command {
                Command::Browse(_) | Command::Explain(_) | Command::Doctor(_) => true,
                Command::Redrive(redrive) => redrive.is_dry_run,
                _ => false,
            },
            Input::Message {
                message: Message::Queue(queue),
                ..
            } => match queue.as_ref() {
                Queue::Browse(_) | Queue::Browsed(_) => true,
                Queue::Explain(_) | Queue::Explained(_) => true,
                Queue::Examine(_) | Queue::Examined(_) => true,
                Queue::Redrive(redrive) => redrive.is_dry_run,
                _ => false,
            },
            _ => false,
        };
        if !is_look {
            return None;
        }
        let stats = self.life(seat)?.engine.stats();
        Some(FIGURES.iter().map(|name| (*name, stats[name])).collect())
    }

    /// Looking changed nothing.
    pub fn after_look(&mut self, seat: usize, before: Option<Figures>) {
        let Some(before) = before else { return };
        let after = self.life(seat).map(|life| life.engine.stats());
        let changed = after.and_then(|after| {
            let mut before = before.into_iter();
            before.find(|(name, count)| after[name] != *count)
        });
        if let Some((name, count)) = changed {
            self.violation(
                "browse",
                format!("m{seat}: {name} was {count} before a look"),
            );
        }
    }
}
