//! Producers: they enqueue values one by one and in batches, and audit what their receipts say.

use std::sync::Arc;

use bytes::Bytes;
use primer_check::{Extra, Hex, Kind, Short, Value, Verb};
use primer_proto::engine::{
    Answer, Asked, Command, EnqueueOptions, Headers, NewMessage, OnShort, Receipt, Reply,
};

use crate::fan::Owed;
use crate::ledger::id_of;
use crate::plan::Class;
use crate::users::{Act, What, short_of};
use crate::world::{Phase, World};

/// Calls of one producer that wait for their answer at a time.
const OPEN_MAX: u32 = 8;

/// Values that a producer counts from here on are large ones, and this large: a few of them do not fit into one
/// frame.
pub(crate) const LARGE_FROM: u64 = 1 << 32;
const LARGE_BYTES: u64 = 300_000;

/// The body of a value: its text and some padding that only this value has.
pub(crate) fn body_of(value: Value) -> Bytes {
    let mut body = value.to_string().into_bytes();
    let padding = match value.counter % 64 {
        _ if value.counter >= LARGE_FROM => LARGE_BYTES,
        0 => 5_000,
        n => (n * 7 + value.process) % 50,
    };
    body.extend(std::iter::repeat_n(b'.', padding as usize));
    body.into()
}

/// Its headers; most have none.
pub(crate) fn headers_of(value: Value) -> Option<Headers> {
    let has_some = value.counter.is_multiple_of(5);
    has_some.then(|| Arc::new(vec![("of".into(), value.process.to_string())]))
}

/// The value in a body; none when it is not what a producer wrote.
pub(crate) fn value_of(body: &[u8], headers: Option<&Headers>) -> Option<Value> {
    let end = body.iter().position(|byte| *byte == b'.');
    let text = std::str::from_utf8(&body[..end.unwrap_or(body.len())]).ok()?;
    let value: Value = text.parse().ok()?;
    let is_whole = body_of(value) == body && headers_of(value).as_ref() == headers;
    is_whole.then_some(value)
}

impl World {
    /// A producer's next call, and the one after it.
    pub fn produce(&mut self, seat: usize, client: usize) {
        let place = &self.users.clients[client];
        if place.is_retired || self.phase != Phase::Load {
            return;
        }
        let (queue, open) = (place.queue, place.open);
        let pause = 1 + self.user_dice.exponential(self.plan.gap);
        let at = self.now + pause;
        self.local_now(at, seat, crate::world::Local::User(Act::Produce(client)));
        if open >= OPEN_MAX || self.waits_for_groups(seat, queue) {
            return;
        }
        let count = if self.user_dice.percent(25) {
            self.user_dice.range(2, 10)
        } else {
            1
        };
        let options = self.draw_options();
        let on_short = short_of(options.on_short.unwrap_or(self.plan.on_short));
        let values = self.next_values(client, count);
        let options = self.draw_terms(seat, options, &values);
        for value in &values {
            self.record_enqueue((seat, client, queue), *value, Kind::Invoke, None);
        }
        let owed = self.owed(seat, queue);
        let Some(key) = self
            .life(seat)
            .and_then(|life| life.keys.get(queue).copied())
        else {
            return;
        };
        let mut messages = values.iter().map(|value| NewMessage {
            body: body_of(*value),
            headers: headers_of(*value),
        });
        let first = messages.next();
        let place = (client, queue, key);
        let has_terms = options.terms != Asked::default();
        let call = first
            .as_ref()
            .filter(|_| !has_terms)
            .and_then(|first| self.draw_call(place, &values, first, options.clone()));
        if let Some((command, what)) = call {
            self.users.clients[client].open += 1;
            self.ask(seat, command, what);
            return;
        }
        let command = match (values.len(), first) {
            (1, Some(message)) => Command::Enqueue {
                queue: key,
                message,
                options,
            },
            (_, first) => {
                self.sometimes.hit("batch enqueued");
                Command::EnqueueMany {
                    queue: key,
                    messages: first.into_iter().chain(messages).collect(),
                    options,
                }
            }
        };
        self.users.clients[client].open += 1;
        let what = What::Enqueue {
            client,
            queue,
            values,
            on_short,
            owed,
        };
        self.ask(seat, command, what);
    }

    /// So many; or now and then several large ones, where there is something that needs them.
    fn next_values(&mut self, client: usize, count: u64) -> Vec<Value> {
        let (count, first) = if self.plan.has_large && self.large_dice.percent(3) {
            (self.large_dice.range(4, 8), LARGE_FROM)
        } else {
            (count, 0)
        };
        (0..count).map(|_| self.next_value(client, first)).collect()
    }

    fn next_value(&mut self, client: usize, first: u64) -> Value {
        let client = &mut self.users.clients[client];
        client.counter += 1;
        Value {
            process: client.process,
            counter: first + client.counter,
        }
    }

    fn draw_options(&mut self) -> EnqueueOptions {
        let dice = &mut self.user_dice;
        let some_short = [
            None,
            None,
            Some(OnShort::Degrade),
            Some(OnShort::Fail),
            Some(OnShort::Wait),
        ];
        EnqueueOptions {
            copies: dice
                .pick(&[None, None, Some(1), Some(2), Some(2), Some(3), Some(4)])
                .flatten(),
            on_short: dice.pick(&some_short).flatten(),
            timeout: dice.coin().then(|| dice.range(100, 6_000)),
            ..EnqueueOptions::default()
        }
    }

    /// An enqueue ends.
    pub fn enqueued(
        &mut self,
        (seat, client, queue): (usize, usize, usize),
        (values, owed): (&[Value], &Owed),
        on_short: Short,
        answer: Answer,
    ) {
        if let Some(client) = self.users.clients.get_mut(client) {
            client.open = client.open.saturating_sub(1);
        }
        let receipts = match answer {
            Ok(Reply::Receipt(receipt)) if values.len() == 1 => vec![receipt],
            Ok(Reply::Receipts(receipts)) if values.len() == receipts.len() => receipts,
            Ok(other) => {
                self.violation("answer", format!("m{seat}: enqueue answered {other:?}"));
                return;
            }
            Err(error) => {
                let number = error.number();
                let kind = if number >= 300 {
                    self.sometimes.hit("enqueue ended in doubt");
                    Kind::Info
                } else {
                    self.sometimes.hit("enqueue refused");
                    Kind::Fail
                };
                // The way to the home of a key may be full, too.
                let is_narrow = self.plan.has(Class::Pressure) || self.plan.has_large;
                let is_way_full = self.plan.has_keys && is_narrow;
                if number == 203 && !is_way_full {
                    self.sometimes.hit("refused for want of memory");
                }
                let may_be_short = number != 203 || is_way_full || !self.plan.budgets.is_empty();
                // Who is to take a large batch may be of a version that reads no parts.
                let is_unread = number == 104 && self.plan.has_large && self.plan.has_older;
                let is_usual = matches!(number, 201..=203 | 301 | 302) || is_unread;
                if !is_usual || !may_be_short {
                    self.odd_answer(seat, "enqueue", &error);
                }
                for value in values {
                    self.record_enqueue((seat, client, queue), *value, kind, Some(number));
                }
                return;
            }
        };
        let first = receipts.first().map(|receipt| receipt.id);
        let owed = &self.owed_by(first.unwrap_or_default(), owed);
        for (value, receipt) in values.iter().zip(receipts) {
            let place = (seat, client, queue);
            self.accepted_in_all(place, (*value, owed), on_short, receipt);
        }
    }

    pub fn accepted(
        &mut self,
        (seat, client, queue): (usize, usize, usize),
        value: Value,
        on_short: Short,
        receipt: Receipt,
    ) {
        if receipt.copies < receipt.wanted {
            self.sometimes.hit("copies short");
        }
        if receipt.durable_copies != 0 {
            let detail = format!(
                "m{seat}: {} durable copies in memory",
                receipt.durable_copies
            );
            self.violation("receipt", detail);
        }
        // What is over by its own terms, or went on as a dead letter, needs no copies any more.
        let is_over = self.may_have_expired(value) || self.is_dead(receipt.id, value);
        let stores = self.stores_at_receipt(receipt.id);
        let stores: Option<Vec<Hex>> = (!is_over).then_some(stores);
        let about = self.about(seat, client, queue, value);
        let extra = Extra {
            id: Some(id_of(receipt.id)),
            copies: Some(receipt.copies),
            wanted: Some(receipt.wanted),
            on_short: Some(on_short),
            stores,
            ..Extra::default()
        };
        self.record(&about, Verb::Enqueue, Kind::Ok, extra);
        self.ledger.values.insert(receipt.id, value);
        let is_over =
            self.ledger.acked.contains(&receipt.id) || self.has_lapsed(seat, receipt.id, value);
        if !is_over && !self.is_moving(receipt.id, value) {
            self.ledger.open.insert(receipt.id, value);
        }
        self.doom_if_destroyed(seat, receipt.id);
        self.note_accepted(queue, receipt.id, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_leads_back_to_its_value_and_a_damaged_one_to_nothing() {
        for counter in (1..200).chain([LARGE_FROM + 7]) {
            let value = Value {
                process: 3,
                counter,
            };
            let (body, headers) = (body_of(value), headers_of(value));
            assert_eq!(value_of(&body, headers.as_ref()), Some(value));
            assert_eq!(value_of(&body[1..], headers.as_ref()), None);
            let mut longer = body.to_vec();
            longer.push(b'.');
            assert_eq!(value_of(&longer, headers.as_ref()), None);
        }
    }
}
