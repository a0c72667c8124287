//! Producers that wait for a reply, and consumers that give one.
//!
//! A call's message has a time to live and its caller no receipt: it may expire, so nobody is promised
//! that it arrives. What is promised: one answer a call, a reply of its own or none, and that what
//! expired is over at every holder, whatever their clocks say.

use std::sync::Arc;

use bytes::Bytes;
use primer_check::{Kind, Value};
use primer_proto::base::QueueKey;
use primer_proto::engine::{
    Answer, Command, EnqueueOptions, Headers, Leased, NewCall, NewMessage, REPLY_TO, Reply,
    ReplyTo, Response,
};

use crate::plan::Class;
use crate::producer::value_of;
use crate::users::{Held, What};
use crate::world::World;

/// What the handler of that value replies.
fn reply_of(value: Value) -> Bytes {
    format!("re {}", crate::fan::written(value)).into()
}

/// The producer's own headers of a delivery, and who waits for a reply.
pub(crate) fn parted(headers: Option<&Headers>) -> (Option<Headers>, Option<ReplyTo>) {
    let Some(to) = headers.and_then(|headers| ReplyTo::of(headers)) else {
        return (headers.cloned(), None);
    };
    let own = headers.into_iter().flat_map(|headers| headers.iter());
    let own: Vec<_> = own.filter(|(key, _)| key != REPLY_TO).cloned().collect();
    ((!own.is_empty()).then(|| Arc::new(own)), Some(to))
}

/// The value of a delivery, and who waits for a reply; none for what no producer wrote.
pub(crate) fn read(leased: &Leased) -> Option<(Value, Option<ReplyTo>)> {
    let (headers, to) = parted(leased.headers.as_ref());
    Some((value_of(&leased.body, headers.as_ref())?, to))
}

impl World {
    /// The call of a producer whose next value is that one; none when it does not call now.
    pub fn draw_call(
        &mut self,
        (client, queue, key): (usize, usize, QueueKey),
        values: &[Value],
        message: &NewMessage,
        options: EnqueueOptions,
    ) -> Option<(Command, What)> {
        let [value] = values else {
            return None;
        };
        if !self.is_troubled(Class::Call, 40) {
            return None;
        }
        let timeout = self.user_dice.range(50, 8_000);
        let what = What::Call(client, queue, *value);
        let command = Command::Call(NewCall {
            queue: key,
            message: message.clone(),
            options,
            timeout,
        });
        Some((command, what))
    }

    /// A call ends.
    pub fn called(
        &mut self,
        (seat, client, queue): (usize, usize, usize),
        value: Value,
        answer: Answer,
    ) {
        if let Some(client) = self.users.clients.get_mut(client) {
            client.open = client.open.saturating_sub(1);
        }
        let error = match answer {
            Ok(Reply::Response(response)) => {
                self.sometimes.hit("call replied");
                if response.body != reply_of(value) || response.headers.is_some() {
                    let detail = format!("m{seat}: {value} was answered {:?}", response.body);
                    self.violation("reply", detail);
                }
                None
            }
            Ok(other) => {
                return self.violation("answer", format!("m{seat}: call answered {other:?}"));
            }
            Err(error) => Some(error),
        };
        let number = error.as_ref().map(|error| error.number());
        if let Some(error) = &error {
            match error.number() {
                302 => self.sometimes.hit("call not replied"),
                201..=203 | 301 => {}
                _ => self.odd_answer(seat, "call", error),
            }
        }
        // Without a receipt nobody knows where the message is.
        let kind = match number {
            Some(201..=203) => Kind::Fail,
            _ => Kind::Info,
        };
        self.record_enqueue((seat, client, queue), value, kind, number);
    }

    /// How a delivery is acked: with a reply, where somebody waits for one.
    pub fn ack_of(held: &Held) -> Command {
        let handle = held.handle.clone();
        if held.to.is_none() {
            return Command::Ack(handle);
        }
        let response = Response {
            body: reply_of(held.value),
            headers: None,
        };
        Command::Respond(handle, held.to, response)
    }
}
