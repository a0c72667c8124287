//! Request and reply (protocol.md 4.4): a call is a message whose headers name who waits for its reply;
//! whoever has it on lease sends the reply straight to that member, and acks.
//!
//! Best effort, at most once: the first reply is the caller's, whatever comes later is dropped and
//! counted. Nothing of a call is kept anywhere but at its caller; to all others it is a message.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::delivery::{
    Answer, EnqueueOptions, Handle, IfNoGroup, NewCall, NewMessage, Reply, Response,
};
use super::message::{Message, Replied};
use super::{Alarm, Queues};
use crate::base::{BootId, Error, ErrorKind, MemberId, Millis, Now, Result, Ticket, limits};

/// The header that says who waits for a reply: `<member>-<boot>-<number>`, ids in hexadecimal. A header,
/// so that members which know nothing of calls pass it on, into dead letters and groups as well.
pub const REPLY_TO: &str = "primer-reply-to";

/// Marks the ticket of a call's enqueue: its answer is the call's own business.
const OF_CALL: u64 = 1 << 63;

/// Who waits for a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// The caller's member.
    pub member: MemberId,
    /// The life of its process in which it waits.
    pub boot: BootId,
    /// Which of its calls.
    pub number: u64,
}

impl ReplyTo {
    /// Whom a message with these headers asks to tell; none for one that wants no reply.
    #[must_use]
    pub fn of(headers: &[(String, String)]) -> Option<Self> {
        let mut headers = headers.iter().rev();
        let (_, value) = headers.find(|(key, _)| key == REPLY_TO)?;
        value.parse().ok()
    }
}

impl fmt::Display for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.member, self.boot, self.number)
    }
}

impl FromStr for ReplyTo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('-');
        let mut part = || parts.next().unwrap_or_default();
        let (member, boot, number) = (part(), part(), part());
        let number = number.parse().map_err(|_| ErrorKind::InvalidArgument)?;
        Ok(Self {
            member: member.parse()?,
            boot: boot.parse()?,
            number,
        })
    }
}

/// The calls that wait at this member.
pub(super) type Calls = BTreeMap<Ticket, Millis>;

impl Queues {
    /// Enqueues a message and waits for its reply, up to `timeout`. Unless it has another, its time to
    /// live is the timeout: nobody works for a caller that has given up.
    pub fn call(&mut self, now: Now, ticket: Ticket, call: NewCall) {
        let NewCall {
            queue,
            mut message,
            mut options,
            timeout,
        } = call;
        if let Err(error) = self.check_call(timeout, &options) {
            return self.refuse(ticket, error);
        }
        let to = ReplyTo {
            member: self.me.member,
            boot: self.settings.boot,
            number: ticket.0,
        };
        let mut headers: Vec<(String, String)> =
            message.headers.as_deref().cloned().unwrap_or_default();
        headers.push((REPLY_TO.into(), to.to_string()));
        message.headers = Some(Arc::new(headers));
        options.terms.ttl.get_or_insert(timeout);
        if options.if_no_group == IfNoGroup::Drop {
            // Who is dropped is not answered: better to know at once.
            options.if_no_group = IfNoGroup::Refuse;
        }
        self.counters.calls_made += 1;
        self.calls.insert(ticket, timeout);
        self.alarms.set(Alarm::Call(ticket), now.mono + timeout);
        self.enqueue(now, Ticket(ticket.0 | OF_CALL), queue, message, options);
    }

    fn check_call(&self, timeout: Millis, options: &EnqueueOptions) -> Result<()> {
        if options.terms.dedup.is_some() {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("a call has no dedup key: the reply goes to one caller alone"));
        }
        if timeout == 0 || timeout > limits::WAIT_MS_MAX {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("the time to wait for a reply is out of its range")
                .with("timeout_ms", timeout)
                .with("timeout_ms_max", limits::WAIT_MS_MAX));
        }
        if self.calls.len() >= limits::CALLS_MAX {
            return Err(Error::new(ErrorKind::Full)
                .because("too many calls wait for their replies at this member")
                .with("calls_max", limits::CALLS_MAX));
        }
        Ok(())
    }

    /// Whom an answer is for. Of the enqueue of a call a receipt is no news to the caller, and an error
    /// ends the call.
    #[inline]
    pub(super) fn asker_of(&mut self, ticket: Ticket, answer: &Answer) -> Option<Ticket> {
        if ticket.0 & OF_CALL == 0 {
            return Some(ticket);
        }
        let ticket = Ticket(ticket.0 & !OF_CALL);
        if answer.is_ok() || !self.end_call(ticket) {
            return None;
        }
        Some(ticket)
    }

    /// Nobody waits for that call any more; false when nobody did.
    pub(super) fn end_call(&mut self, ticket: Ticket) -> bool {
        self.alarms.clear(&Alarm::Call(ticket));
        self.calls.remove(&ticket).is_some()
    }

    pub(super) fn call_is_due(&mut self, ticket: Ticket) {
        let waited = self.calls.get(&ticket).copied().unwrap_or_default();
        if self.end_call(ticket) {
            self.counters.calls_unanswered += 1;
            let error = Error::new(ErrorKind::Interrupted)
                .because("no reply came in time; the message may still be handled")
                .with("timeout_ms", waited);
            self.reply(ticket, Err(error));
        }
    }

    /// Replies to the caller of a message on lease, then acks it: the answer is the ack's. Errors
    /// before anything is done: 101, 104, and 203 where the way to the caller is full.
    pub fn respond(
        &mut self,
        now: Now,
        ticket: Ticket,
        (handle, to): (&Handle, Option<ReplyTo>),
        response: Response,
    ) {
        if let Err(error) = self.send_reply(to, response) {
            return self.reply(ticket, Err(error));
        }
        self.ack(now, ticket, handle);
    }

    fn send_reply(&mut self, to: Option<ReplyTo>, response: Response) -> Result<()> {
        let to = to.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument).because("the message asks for no reply")
        })?;
        let message = NewMessage {
            body: response.body,
            headers: response.headers,
        };
        self.check(&message)?;
        let peer = self.peers.get(&to.member);
        if peer.is_some_and(|peer| peer.is_linked && peer.is_full) {
            return Err(Error::new(ErrorKind::Overloaded)
                .because("the link to the caller is full: reply again later")
                .with("member", to.member));
        }
        self.counters.replies += 1;
        let replied = Replied::new(to, message);
        if to.member == self.me.member {
            self.on_replied(replied);
        } else if peer.is_some_and(|peer| peer.is_linked) {
            self.send(to.member, Message::Replied(replied));
        } else {
            self.counters.replies_dropped += 1;
        }
        Ok(())
    }

    /// A reply to a call made here.
    pub(super) fn on_replied(&mut self, replied: Replied) {
        let ticket = Ticket(replied.number);
        if replied.boot != self.settings.boot.0 || !self.end_call(ticket) {
            self.counters.replies_dropped += 1;
            return;
        }
        self.reply(ticket, Ok(Reply::Response(replied.into_response())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn who_waits_is_the_last_such_header_and_survives_its_text_form() {
        let to = ReplyTo {
            member: MemberId(7),
            boot: BootId(9),
            number: u64::MAX >> 1,
        };
        let header = |key: &str, value: &str| (String::from(key), String::from(value));
        let headers = vec![
            header(REPLY_TO, "nobody"),
            header(REPLY_TO, &to.to_string()),
            header("primer-cause", "attempts"),
        ];
        assert_eq!(ReplyTo::of(&headers), Some(to));
        assert_eq!(ReplyTo::of(&headers[..1]), None);
        assert_eq!(ReplyTo::of(&[]), None);
    }
}
