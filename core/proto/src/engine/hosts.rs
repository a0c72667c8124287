//! What hosts tell each other by handlers of their own (protocol.md 2, "Extension point").
//!
//! A handler is a number and what stands behind it in the host: it merges bodies that others
//! broadcast, and it repairs what was missed by an exchange: "this is what I have", and the bodies
//! that the other one lacks. The engine knows neither handlers nor what their bodies mean. It says when
//! to ask and whom (at link-up, now and then, when the host has a new handler), carries
//! questions and answers, and hands over what comes; a member without that handler passes broadcasts
//! on all the same.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message as _;

use super::Engine;
use super::command::Reply;
use super::effect::Effect;
use super::frame::Message;
use crate::base::{Error, ErrorKind, LinkId, MemberId, Now, Result, Ticket};
use crate::broadcast::{Delivery, HOST_BYTES_MAX, handler};

/// Bodies of one answer. An asker that learned something by as many asks again.
pub const HOST_BODIES_MAX: usize = 64;
/// A frame of an answer is closed beyond this, as frames of copies are.
const FRAME_BODIES_BYTES: usize = 256 << 10;
/// How many members are asked for a new handler: one of them most likely has it. Guess.
const ASKED: usize = 3;

/// A part of a handler's exchange.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HostExchange {
    /// Whose.
    #[prost(uint32, tag = "1")]
    pub handler: u32,
    /// False for a question.
    #[prost(bool, tag = "2")]
    pub is_answer: bool,
    /// Of a question the digest, of an answer what the asker lacks.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub bodies: Vec<Bytes>,
    /// With an answer's last part: there was more than an answer holds.
    #[prost(bool, tag = "4")]
    pub has_more: bool,
}

impl HostExchange {
    /// The handler's number. Errors: 503 for what no member says.
    fn handler(&self) -> Result<u16> {
        let number = u16::try_from(self.handler).unwrap_or(0);
        let is_whole = self.is_answer || self.bodies.len() == 1;
        let fits = self.bodies.len() <= HOST_BODIES_MAX
            && self.bodies.iter().all(|body| body.len() <= HOST_BYTES_MAX);
        if number < handler::HOST_MIN || !is_whole || !fits {
            return Err(Error::new(ErrorKind::Corrupt).because("a malformed handler's exchange"));
        }
        Ok(number)
    }
}

/// What the host's handlers are called for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostCall {
    /// Ask that member what each handler lacks: [`super::Command::HostExchange`].
    Ask(MemberId),
    /// Answer that member.
    Answer {
        /// Which handler.
        handler: u16,
        /// Who asks.
        to: MemberId,
        /// What it has.
        digest: Bytes,
    },
    /// Take these in.
    Merge {
        /// Which handler.
        handler: u16,
        /// Who broadcast, or answered.
        from: MemberId,
        /// What.
        bodies: Vec<Bytes>,
        /// The answer's end, and it did not hold all: worth asking again.
        has_more: bool,
    },
}

/// What happened so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct HostCounters {
    asked: u64,
    answered: u64,
    unsent: u64,
}

impl HostCounters {
    pub(super) fn stats(self, stats: &mut BTreeMap<&'static str, u64>) {
        stats.insert("handler_asks", self.asked);
        stats.insert("handler_answers", self.answered);
        stats.insert("handler_unsent", self.unsent);
    }
}

impl Engine {
    /// Tells every other member's handler of that number.
    pub(super) fn spread(&mut self, now: Now, ticket: Ticket, number: u16, body: Bytes) {
        let answer = check(number, core::slice::from_ref(&body))
            .and_then(|()| self.plumtree.broadcast(now.mono, number, body));
        self.tell_broadcasts(now);
        let answer = answer.map(|()| Reply::Done);
        self.out.push(Effect::Reply(ticket, answer));
    }

    /// A broadcast for a handler of the host's came. Numbers below are those of later versions.
    pub(super) fn hear_spread(&mut self, delivery: Delivery) {
        if delivery.handler >= handler::HOST_MIN {
            self.out.push(Effect::Host(HostCall::Merge {
                handler: delivery.handler,
                from: delivery.origin,
                bodies: Vec::from([delivery.body]),
                has_more: false,
            }));
        }
    }

    /// It is time to ask `member` what this host's handlers lack.
    pub(super) fn ask_host(&mut self, member: MemberId) {
        self.out.push(Effect::Host(HostCall::Ask(member)));
    }

    /// The host has a new handler: it may lack what others have had for long.
    pub(super) fn ask_some_hosts(&mut self, ticket: Ticket) {
        let mut members: Vec<MemberId> = self.by_member.keys().copied().collect();
        self.chance.shuffle(&mut members);
        for member in members.into_iter().take(ASKED) {
            self.ask_host(member);
        }
        self.out.push(Effect::Reply(ticket, Ok(Reply::Done)));
    }

    /// A question or an answer of a handler goes to a member.
    pub(super) fn tell_host(
        &mut self,
        ticket: Ticket,
        to: MemberId,
        number: u16,
        is_answer: bool,
        bodies: Vec<Bytes>,
    ) {
        let answer = self.tell_host_of(to, number, is_answer, bodies);
        let answer = answer.map(|()| Reply::Done);
        self.out.push(Effect::Reply(ticket, answer));
    }

    fn tell_host_of(
        &mut self,
        to: MemberId,
        number: u16,
        is_answer: bool,
        mut bodies: Vec<Bytes>,
    ) -> Result<()> {
        check(number, &bodies)?;
        let Some((id, is_full)) = self.host_link(to) else {
            return Err(Error::new(ErrorKind::Unreachable).because("no link to that member"));
        };
        // What a peer asks for and does not read must not pile up here.
        if is_full {
            self.hosts.unsent += 1;
            return Err(
                Error::new(ErrorKind::Overloaded).because("the link to that member is full")
            );
        }
        let has_more = bodies.len() > HOST_BODIES_MAX;
        bodies.truncate(HOST_BODIES_MAX);
        if is_answer {
            self.hosts.answered += bodies.len() as u64;
        } else {
            self.hosts.asked += 1;
        }
        let mut parts = cut(bodies);
        let last = parts.pop();
        for (bodies, has_more) in parts
            .into_iter()
            .map(|part| (part, false))
            .chain(last.map(|part| (part, has_more)))
        {
            let part = HostExchange {
                handler: number.into(),
                is_answer,
                bodies,
                has_more,
            };
            self.send(id, Message::Host(Box::new(part)));
        }
        Ok(())
    }

    fn host_link(&self, member: MemberId) -> Option<(LinkId, bool)> {
        let id = *self.by_member.get(&member)?;
        Some((id, self.links.get(&id)?.is_full))
    }

    /// A peer's host asks, or answers.
    pub(super) fn hear_host(&mut self, link: LinkId, from: MemberId, mut message: HostExchange) {
        let number = match message.handler() {
            Ok(number) => number,
            Err(error) => return self.out.push(Effect::Hangup(link, error)),
        };
        let call = if message.is_answer {
            HostCall::Merge {
                handler: number,
                from,
                bodies: message.bodies,
                has_more: message.has_more,
            }
        } else {
            HostCall::Answer {
                handler: number,
                to: from,
                digest: message.bodies.pop().unwrap_or_default(),
            }
        };
        self.out.push(Effect::Host(call));
    }
}

/// Errors: 101 for a number that is not a host's, 104 for a body over the limit.
fn check(number: u16, bodies: &[Bytes]) -> Result<()> {
    if number < handler::HOST_MIN {
        return Err(Error::new(ErrorKind::InvalidArgument)
            .because("numbers below this are not a host's")
            .with("handler", number)
            .with("handler_min", handler::HOST_MIN));
    }
    match bodies.iter().map(Bytes::len).max() {
        Some(bytes) if bytes > HOST_BYTES_MAX => Err(Error::new(ErrorKind::TooLarge)
            .because("a handler's body is for small news")
            .with("bytes", bytes)
            .with("bytes_max", HOST_BYTES_MAX)),
        _ => Ok(()),
    }
}

/// Bodies in the frames they travel in.
fn cut(bodies: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let mut parts: Vec<Vec<Bytes>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        bytes += body.len();
        match parts.last_mut() {
            Some(part) if bytes <= FRAME_BODIES_BYTES => part.push(body),
            _ => {
                bytes = body.len();
                parts.push(Vec::from([body]));
            }
        }
    }
    parts
}

/// About how many bytes it takes on the wire.
pub(super) fn weight(part: &HostExchange) -> usize {
    16 + part.encoded_len()
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
