//! Users whose messages die and come back: they refuse what they take as often as not, and send dead
//! letters back by redrives of every shape, at several members at one time.
//!
//! The checkers know nothing of dead letters, so these have a queue of their own and an account of their
//! own. What is promised: a message whose receipt was given is acked at last, however often it was a dead
//! letter, unless a store went with it; where nothing fails, once. What comes back is what was put in, at
//! its first attempt; a redrive moves no more than was asked for and counted, and a dry run changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use primer_proto::Input;
use primer_proto::base::{MessageId, QueueKey, Ticket, limits};
use primer_proto::engine::{
    Answer, Command, EnqueueOptions, Headers, Leased, NewMessage, NewRedrive, Redriven, Reply,
};

use crate::agenda::{MS, SECOND};
use crate::letters::parted;
use crate::users::{Act, What};
use crate::world::{Local, Phase, World};

/// The queue, and where its dead letters are.
const QUEUE: &str = "letters";
const DEAD: &str = "letters.dead";
/// What their producers say of them.
const HEADER: (&str, &str) = ("kind", "letter");
/// What consumers say that refuse one.
const REASON: &str = "no";

/// What one of these users does next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// Puts one in.
    Put,
    /// Takes some, and refuses or acks each.
    Take,
    /// Takes a dead letter, and gives it back or forgets it.
    Peek,
    /// Sends dead letters back.
    Redrive,
    /// The load is over: everything is sent back, taken and acked.
    Drain,
}

/// What was asked.
#[derive(Debug)]
pub(crate) enum Asked {
    Put(u64),
    Take(Turn),
    Redrive { max: u64, is_dry_run: bool },
    Settle(Option<u64>),
}

/// The account of all of them.
#[derive(Default)]
pub(crate) struct Returns {
    last: u64,
    /// Those whose receipt was given.
    accepted: BTreeSet<u64>,
    /// How often each was acked.
    acked: BTreeMap<u64, u64>,
}

/// The number in a body; none for what nobody put in.
fn number_of(leased: &Leased) -> Option<u64> {
    let text = std::str::from_utf8(&leased.body).ok()?;
    text.strip_prefix("letter ")?.parse().ok()
}

/// Whether headers are what they must be: in its queue a message has its own alone, and among the dead
/// letters, where `attempts_max` says how often it was given out at most, one death besides.
fn is_its_story(headers: Option<&Headers>, attempts_max: Option<u32>) -> bool {
    let (own, death) = parted(headers);
    let own = own.as_deref().map_or(&[][..], Vec::as_slice);
    let is_own = matches!(own, [(key, value)] if (key.as_str(), value.as_str()) == HEADER);
    let told = headers.map_or(0, |headers| headers.len()) - own.len();
    let Some(attempts_max) = attempts_max else {
        return is_own && told == 0;
    };
    let attempts: u32 = death.attempts.parse().unwrap_or_default();
    let is_death = match death.cause.as_str() {
        // Who let its lease run out gave no reason.
        "attempts" => told == 4 && attempts >= attempts_max,
        "rejected" => told == 5 && attempts > 0 && death.reason == REASON,
        _ => false,
    };
    let has_source = death.id.parse::<MessageId>().is_ok();
    is_own && is_death && has_source && death.queue == QUEUE
}

impl World {
    /// Those who come with a new process.
    pub fn returners(&mut self, seat: usize) {
        if !self.plan.has_returns {
            return;
        }
        for turn in [Turn::Put, Turn::Take, Turn::Take, Turn::Redrive, Turn::Peek] {
            if self.return_dice.percent(70) {
                self.return_later(seat, turn);
            }
        }
    }

    fn return_later(&mut self, seat: usize, turn: Turn) {
        let pause = match turn {
            Turn::Put => 400 * MS,
            Turn::Take => 100 * MS,
            Turn::Peek | Turn::Redrive => 2 * SECOND,
            Turn::Drain => 20 * MS,
        };
        let at = self.now + self.return_dice.exponential(pause);
        self.local_now(at, seat, Local::User(Act::Return(turn)));
    }

    fn return_queue(&mut self, seat: usize, name: &str) -> Option<QueueKey> {
        let life = self.seats[seat].life.as_mut()?;
        life.engine.queue(name).ok()
    }

    /// One of them acts.
    pub fn return_turn(&mut self, seat: usize, turn: Turn) {
        let is_over = match turn {
            Turn::Drain => self.phase != Phase::Drain,
            _ => self.phase != Phase::Load,
        };
        if is_over {
            return;
        }
        match turn {
            Turn::Put => self.put_one(seat),
            Turn::Take => self.take_some(seat, QUEUE, turn),
            Turn::Peek => self.take_some(seat, DEAD, turn),
            Turn::Redrive => self.redrive_some(seat),
            Turn::Drain => {
                self.redrive_all(seat);
                self.take_some(seat, QUEUE, turn);
            }
        }
    }

    fn put_one(&mut self, seat: usize) {
        self.return_later(seat, Turn::Put);
        let Some(queue) = self.return_queue(seat, QUEUE) else {
            return;
        };
        self.returns.last += 1;
        let number = self.returns.last;
        let (key, value) = HEADER;
        let message = NewMessage {
            body: format!("letter {number}").into_bytes().into(),
            headers: Some(vec![(key.into(), value.into())].into()),
        };
        let command = Command::Enqueue {
            queue,
            message,
            options: EnqueueOptions::default(),
        };
        self.ask(seat, command, What::Return(Asked::Put(number)));
    }

    fn take_some(&mut self, seat: usize, name: &str, turn: Turn) {
        let Some(queue) = self.return_queue(seat, name) else {
            return;
        };
        let is_drain = matches!(turn, Turn::Drain);
        let wait = if is_drain { 300 } else { 1_000 };
        let command = Command::Receive {
            queue,
            max: if is_drain { 256 } else { 4 },
            wait,
            lease: Some(if is_drain { 30_000 } else { self.plan.lease.1 }),
            group: None,
        };
        self.ask(seat, command, What::Return(Asked::Take(turn)));
    }

    fn redrive_some(&mut self, seat: usize) {
        let dice = &mut self.return_dice;
        let max = dice.pick(&[1, 5, 10_000]).unwrap_or(1);
        let is_dry_run = dice.percent(15);
        let cause = ("primer-cause".into(), "rejected".into());
        let headers = if dice.coin() { vec![cause] } else { Vec::new() };
        let timeout = dice.range(1, 20_000);
        let gives_up = dice.percent(5);
        let asked = (max, is_dry_run, timeout);
        let ticket = self.redrive(seat, asked, headers);
        if let Some(ticket) = ticket.filter(|ticket| gives_up && self.users.give_up(*ticket)) {
            self.feed(seat, Input::Cancel(ticket));
            self.return_later(seat, Turn::Redrive);
        }
    }

    /// Everything goes back; what is acked meanwhile does not die any more.
    fn redrive_all(&mut self, seat: usize) {
        self.redrive(seat, (limits::REDRIVE_MAX, false, 2_000), Vec::new());
    }

    fn redrive(
        &mut self,
        seat: usize,
        (max, is_dry_run, timeout): (u64, bool, u64),
        headers: Vec<(String, String)>,
    ) -> Option<Ticket> {
        let queue = self.return_queue(seat, DEAD)?;
        let command = Command::Redrive(NewRedrive {
            queue,
            to: None,
            max,
            headers,
            ids: Vec::new(),
            is_dry_run,
            timeout,
        });
        let asked = Asked::Redrive { max, is_dry_run };
        Some(self.ask(seat, command, What::Return(asked)))
    }

    /// An answer to one of them.
    pub fn return_answered(&mut self, seat: usize, asked: &Asked, answer: Answer) {
        match (asked, answer) {
            (Asked::Put(number), Ok(Reply::Receipt(_))) => {
                self.returns.accepted.insert(*number);
            }
            // It may be in all the same.
            (Asked::Put(_), Err(_)) => {}
            (Asked::Take(turn), Ok(Reply::Deliveries(leased))) => {
                leased
                    .into_iter()
                    .for_each(|leased| self.judge_one(seat, *turn, leased));
                self.return_later(seat, *turn);
            }
            (Asked::Redrive { max, is_dry_run }, Ok(Reply::Redriven(told, missing))) => {
                if !missing.is_empty() {
                    self.sometimes.hit("redrive without some member");
                }
                self.check_redriven(seat, (*max, *is_dry_run), &told);
                self.return_later(seat, Turn::Redrive);
            }
            (Asked::Redrive { .. }, Err(error)) if error.number() == 203 => {
                self.return_later(seat, Turn::Redrive);
            }
            (Asked::Settle(acked), Ok(Reply::Done)) => {
                if let Some(number) = acked {
                    *self.returns.acked.entry(*number).or_default() += 1;
                }
            }
            // Its lease is another's, or it is over: whoever ended it has counted it.
            (Asked::Settle(_), Err(error)) if matches!(error.number(), 202 | 302 | 401 | 402) => {}
            (asked, answer) => {
                self.violation("answer", format!("m{seat}: {asked:?} answered {answer:?}"));
            }
        }
    }

    fn check_redriven(&mut self, seat: usize, (max, is_dry_run): (u64, bool), told: &Redriven) {
        let tried = told.moved + told.refused;
        let most = if is_dry_run { 0 } else { max };
        if tried > most || tried + told.skipped > told.matched || told.skipped > 0 {
            let detail = format!("m{seat}: {told:?}, {most} at most");
            self.violation("redrive", detail);
        }
        if told.moved > 0 {
            self.sometimes.hit("dead letters went back");
        }
    }

    /// A delivery: what it is, and what becomes of it.
    fn judge_one(&mut self, seat: usize, turn: Turn, leased: Leased) {
        let number = number_of(&leased).filter(|number| *number <= self.returns.last);
        let headers = leased.headers.as_ref();
        let attempts_max = matches!(turn, Turn::Peek).then_some(self.plan.max_attempts);
        let Some(number) = number.filter(|_| is_its_story(headers, attempts_max)) else {
            let detail = format!("m{seat}: {:?} came with {headers:?}", leased.body);
            return self.violation("redrive", detail);
        };
        let dice = &mut self.return_dice;
        let (command, acked) = match turn {
            Turn::Peek if dice.coin() => return,
            Turn::Peek => (Command::Release(leased.handle), None),
            Turn::Drain => (Command::Ack(leased.handle), Some(number)),
            _ if dice.percent(55) => (Command::Reject(leased.handle, REASON.into()), None),
            _ => (Command::Ack(leased.handle), Some(number)),
        };
        if acked.is_some() && self.plan.is_pristine && self.returns.acked.contains_key(&number) {
            self.violation("redrive", format!("m{seat}: letter {number} came again"));
        }
        self.ask(seat, command, What::Return(Asked::Settle(acked)));
    }

    /// The load is over: one of them at every member that reads.
    pub fn drain_returns(&mut self, seat: usize) {
        if self.plan.has_returns {
            self.local_now(self.now, seat, Local::User(Act::Return(Turn::Drain)));
        }
    }

    /// Everything that was accepted is acked, where no store ended.
    pub fn judge_returns(&mut self) {
        if self.plan.is_deadly() {
            return;
        }
        let accepted = self.returns.accepted.iter();
        let lost = accepted.filter(|number| !self.returns.acked.contains_key(number));
        let lost: Vec<u64> = lost.copied().collect();
        if !lost.is_empty() {
            self.violation("lost", format!("letters {lost:?} were never acked"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(told: &[(&str, &str)]) -> Headers {
        let told = told.iter();
        told.map(|(key, value)| ((*key).into(), (*value).into()))
            .collect::<Vec<_>>()
            .into()
    }

    #[test]
    fn a_dead_letter_tells_one_death_of_two_and_what_came_back_tells_none() {
        let source = [
            HEADER,
            ("primer-queue", QUEUE),
            ("primer-id", "6ac1634640128481-350"),
            ("primer-attempts", "2"),
        ];
        let died = |more: &[(&str, &str)]| headers(&[&source, more].concat());
        let lapsed = died(&[("primer-cause", "attempts")]);
        let refused = died(&[("primer-cause", "rejected"), ("primer-reason", REASON)]);
        let (own, plain) = (headers(&[HEADER]), headers(&[]));
        for (told, may_live, may_be_dead) in [
            (&own, true, false),
            (&plain, false, false),
            (&headers(&[HEADER, HEADER]), false, false),
            (&lapsed, false, true),
            (&refused, false, true),
            (&died(&[]), false, false),
            (&died(&[("primer-cause", "overflow")]), false, false),
            (&died(&[("primer-cause", "rejected")]), false, false),
            (
                &died(&[("primer-cause", "attempts"), ("primer-reason", REASON)]),
                false,
                false,
            ),
            (&headers(&source[1..]), false, false),
        ] {
            assert_eq!(is_its_story(Some(told), None), may_live, "{told:?}");
            assert_eq!(is_its_story(Some(told), Some(2)), may_be_dead, "{told:?}");
        }
        // One that was given out too seldom to die of it.
        assert!(!is_its_story(Some(&lapsed), Some(3)));
        assert!(is_its_story(Some(&refused), Some(3)));
        assert!(!is_its_story(None, None));
    }
}
