//! [`Page`]: messages of a queue that were looked at and not taken.

use std::time::Duration;

use primer_proto::base::limits;
use primer_proto::engine::{Command, NewBrowse, Page as Told, Reply, Shown, Spot};

use crate::queue::Queue;
use crate::run::clock::millis;
use crate::run::driver::Manner;
use crate::run::waiter::unexpected;
use crate::{Bytes, MemberId, MessageId, Pending, Result, State};

/// Options of one browse.
#[derive(Clone, Debug)]
pub struct BrowseOptions {
    /// At most this many messages, up to 1,000; 100.
    pub max: u32,
    /// The cursor of the page before; the oldest message.
    pub after: Option<String>,
    /// Messages of that group; the queue's own. One that does not exist is not created.
    pub group: Option<String>,
    /// Those in one of these states; all.
    pub states: Vec<State>,
    /// Those that have all of these headers; all.
    pub headers: Vec<(String, String)>,
    /// How much of each body comes along; 64 KiB.
    pub body_bytes_max: u32,
    /// How long to wait for the other members, up to a minute; 2 s.
    pub timeout: Duration,
}

impl Default for BrowseOptions {
    fn default() -> Self {
        Self {
            max: limits::BROWSE_DEFAULT,
            after: None,
            group: None,
            states: Vec::new(),
            headers: Vec::new(),
            body_bytes_max: limits::BROWSE_BODY_BYTES,
            timeout: Duration::from_millis(limits::BROWSE_TIMEOUT_MS),
        }
    }
}

/// A part of a queue's messages, as the members that answered own them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<Browsed>,
    /// The next page's `after`; none where this is the last one.
    pub cursor: Option<String>,
    /// Members of the set whose messages are not in it: unreachable, too busy, or too slow.
    pub missing: Vec<MemberId>,
}

/// A message that was looked at: nobody has it for that, and it may be gone by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browsed {
    /// Its identity, the same in every group.
    pub id: MessageId,
    /// The group; none for the queue's own.
    pub group: Option<String>,
    /// What it was doing.
    pub state: State,
    /// The producer's bytes, the first of them.
    pub body: Bytes,
    /// How many there are.
    pub body_bytes: u64,
    /// The producer's headers, in their order.
    pub headers: Vec<(String, String)>,
    /// How often it was given out.
    pub attempts: u32,
    /// 0 (last) to 9 (first).
    pub priority: u8,
    /// The key that it was put in with.
    pub key: Option<String>,
    /// When it was accepted, in milliseconds since 1970 by the clock of the member that did.
    pub accepted_ms: u64,
    /// Of a delayed one, when it is ready, in milliseconds since 1970.
    pub ready_at_ms: Option<u64>,
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Of a leased one, how long its lease lasts.
    pub lease_ms: Option<u64>,
    /// Stores that are known to hold it.
    pub copies: u32,
    /// Who owns it.
    pub owner: MemberId,
}

impl Page {
    fn of(told: Told) -> Self {
        let group = Some(told.group).filter(|group| !group.is_empty());
        let messages = told.messages.into_iter();
        let messages = messages.map(|shown| Browsed::of(shown, group.clone()));
        Self {
            messages: messages.collect(),
            cursor: told.cursor.map(|spot| spot.to_string()),
            missing: told.missing,
        }
    }
}

impl Browsed {
    fn of(shown: Shown, group: Option<String>) -> Self {
        let some = |value: u64| (value != 0).then_some(value);
        Self {
            id: shown.spot.id,
            group,
            state: shown.state,
            accepted_ms: shown.accepted_ms(),
            body: shown.body,
            body_bytes: shown.body_bytes,
            headers: shown
                .headers
                .map(std::sync::Arc::unwrap_or_clone)
                .unwrap_or_default(),
            attempts: shown.attempts,
            priority: shown.priority,
            key: Some(shown.key).filter(|key| !key.is_empty()),
            ready_at_ms: some(shown.ready_at_ms),
            expires_ms: some(shown.expires_ms),
            lease_ms: (shown.state == State::Leased).then_some(shown.lease_ms),
            copies: shown.copies,
            owner: shown.owner,
        }
    }
}

impl Queue {
    /// Looks at messages without taking them, at every member of the cluster that answers in time: those
    /// that do not are named. Changes nothing. A page holds half a MiB at most, so that it may be shorter than
    /// `options.max` and still not be the last. Errors: 101, 203 with too many browses at a time, 501.
    pub fn browse(&self, options: &BrowseOptions) -> Pending<Page> {
        let after = options.after.as_deref().map(str::parse::<Spot>);
        let after = match after.transpose() {
            Ok(after) => after,
            Err(error) => return Pending::here(Err(error)),
        };
        let command = Command::Browse(NewBrowse {
            queue: self.key(),
            group: options.group.as_deref().map(Into::into),
            max: options.max,
            after,
            states: options.states.clone(),
            headers: options.headers.clone(),
            body_bytes_max: options.body_bytes_max,
            timeout: millis(options.timeout),
        });
        self.driver()
            .call(command, Manner::Patient, None, |_, reply| match reply {
                Reply::Page(page) => Ok(Page::of(page)),
                _ => Err(unexpected()),
            })
    }

    /// All pages from `options.after` on, one after the other, each asked for when it is wanted. It ends
    /// after the last page, or after an error.
    pub fn browse_all(
        &self,
        options: &BrowseOptions,
    ) -> impl Iterator<Item = Result<Page>> + use<> {
        let (queue, options) = (self.clone(), options.clone());
        let mut next = Some(options);
        std::iter::from_fn(move || {
            let options = next.take()?;
            let page = queue.browse(&options).wait();
            let cursor = page.as_ref().ok().and_then(|page| page.cursor.clone());
            next = cursor.map(|after| BrowseOptions {
                after: Some(after),
                ..options
            });
            Some(page)
        })
    }
}
