//! Consumers settle what they hold, and what comes of it.

use primer_check::{Extra, Hex, Kind, Verb};
use primer_proto::engine::{Answer, Command, Reply};

use crate::agenda::MS;
use crate::ledger::About;
use crate::users::{Held, How, What};
use crate::world::World;

impl World {
    /// One delivery is settled.
    pub fn settle(&mut self, seat: usize, number: u64, how: How) {
        let Some(held) = self.users.held.get_mut(&number) else {
            return;
        };
        let held = match how {
            How::Extend(_) => held.clone(),
            How::AckAndKeep => {
                held.is_settled = true;
                self.sometimes.hit("ack twice");
                held.clone()
            }
            _ => match self.users.held.remove(&number) {
                Some(held) => held,
                None => return,
            },
        };
        self.settle_twins(&held);
        let handle = held.handle.clone();
        let (f, command) = match how {
            How::Ack | How::AckAndKeep => (Verb::Ack, World::ack_of(&held)),
            How::Nack(delay) => (Verb::Nack, Command::Nack(handle, delay)),
            How::Reject(reason) => {
                self.note_rejected(held.value, &reason);
                (Verb::Reject, Command::Reject(handle, reason))
            }
            How::Release => (Verb::Release, Command::Release(handle)),
            How::Extend(span) => (Verb::Extend, Command::Extend(handle, span)),
        };
        self.settle_asked(&held, f);
        self.ask(
            seat,
            command,
            What::Settle {
                f,
                held: vec![held],
            },
        );
    }

    /// In a split one subscription may have a message from two owners; the member counts it once,
    /// so settling one of the two makes room. One owner gives it anew only after the lease before is
    /// over: that delivery burns no credit, though it came late and its consumer still has it.
    fn settle_twins(&mut self, held: &Held) {
        let handle = &held.handle;
        for other in self.users.held.values_mut() {
            let is_over = other.handle.own != handle.own || other.handle.lease < handle.lease;
            let is_twin = other.seat == held.seat
                && other.handle.session == handle.session
                && other.handle.id == handle.id
                && is_over;
            other.is_settled |= is_twin;
        }
    }

    /// Several deliveries are acked in one call.
    pub fn ack_many(&mut self, seat: usize, numbers: &[u64]) {
        let held: Vec<Held> = numbers
            .iter()
            .filter_map(|number| self.users.held.remove(number))
            .collect();
        if held.is_empty() {
            return;
        }
        for one in &held {
            self.settle_asked(one, Verb::Ack);
        }
        let handles = held.iter().map(|held| held.handle.clone()).collect();
        let f = Verb::Ack;
        self.ask(seat, Command::AckMany(handles), What::Settle { f, held });
    }

    fn about_held(held: &Held) -> (About, Extra) {
        let about = About {
            seat: held.seat,
            process: held.process,
            queue: held.queue,
            value: Some(held.value),
        };
        let extra = Extra {
            lessor: Some(Hex(held.handle.own.store.0)),
            lease: Some(held.handle.lease),
            ..Extra::default()
        };
        (about, extra)
    }

    /// Records that somebody settles a delivery, before it can have any effect.
    pub fn settle_asked(&mut self, held: &Held, f: Verb) {
        let (about, extra) = Self::about_held(held);
        self.record(&about, f, Kind::Invoke, extra);
        if f == Verb::Ack {
            self.ledger.acks(held.value, &held.handle);
        }
    }

    /// A settlement is answered.
    pub fn settled(&mut self, seat: usize, f: Verb, held: &[Held], answer: Answer) {
        let codes: Vec<u16> = match answer {
            Ok(Reply::Done) if held.len() == 1 => vec![0],
            Ok(Reply::Codes(codes)) if codes.len() == held.len() => codes,
            Err(error) => vec![error.number(); held.len()],
            Ok(other) => {
                self.violation("answer", format!("m{seat}: {f:?} answered {other:?}"));
                return;
            }
        };
        for (held, code) in held.iter().zip(codes) {
            self.settled_one(seat, f, held, code);
        }
    }

    fn settled_one(&mut self, seat: usize, f: Verb, held: &Held, code: u16) {
        let is_documented = match f {
            Verb::Ack => matches!(code, 0 | 402) || code == 203 && held.to.is_some(),
            _ => matches!(code, 0 | 202 | 302 | 401 | 402),
        };
        if !is_documented {
            self.violation("answer", format!("m{seat}: {f:?} answered {code}"));
        }
        let (about, mut extra) = Self::about_held(held);
        extra.error = (code != 0).then_some(code);
        let kind = match code {
            0 => Kind::Ok,
            202 | 401 | 402 => Kind::Fail,
            _ => Kind::Info,
        };
        self.record(&about, f, kind, extra);
        let is_late = held.arrived + held.lease_ms * MS < self.now;
        match (f, code) {
            (Verb::Ack, 0) if is_late && held.kept_until > self.now => {
                self.sometimes.hit("lease kept beyond its end");
            }
            (Verb::Ack, 0) if is_late => self.sometimes.hit("late ack counted"),
            (Verb::Ack, 402) => self.sometimes.hit("ack answered 402"),
            (Verb::Reject, 0) => self.sometimes.hit("rejected"),
            (Verb::Nack, 0) => self.sometimes.hit("nacked"),
            (Verb::Release, 0) => self.sometimes.hit("released"),
            (Verb::Extend, 0) => self.sometimes.hit("extended in time"),
            (_, 401) => self.sometimes.hit("settle came too late"),
            _ => {}
        }
        // 203: the reply could not be given yet, so nothing was acked.
        if f == Verb::Ack
            && code != 203
            && let Some(closing) = self.ledger.closing.get_mut(&held.handle.id)
        {
            closing.is_answered = true;
        }
        // An ack that was answered is known at this member at once, unless the message was finished
        // when its owner gave it out.
        if f == Verb::Ack && code == 0 && held.handle.lease != 0 {
            let is_done = self
                .life(seat)
                .is_some_and(|life| life.engine.is_done(held.handle.id));
            if !is_done {
                let detail = format!("m{seat} does not know the end of {}", held.handle.id);
                self.violation("ack", detail);
            }
        }
    }
}
