//! Looking at messages without taking them.

use std::time::Duration;

use crate::error::PrimerError;
use crate::queue::Queue;
use crate::values::{Header, headers_of};

/// What a message is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum State {
    /// Anyone may have it.
    Ready,
    /// It waits for its time.
    Delayed,
    /// Somebody has it.
    Leased,
}

impl From<primer::State> for State {
    fn from(state: primer::State) -> Self {
        match state {
            primer::State::Ready => Self::Ready,
            primer::State::Delayed => Self::Delayed,
            primer::State::Leased => Self::Leased,
        }
    }
}

impl From<State> for primer::State {
    fn from(state: State) -> Self {
        match state {
            State::Ready => Self::Ready,
            State::Delayed => Self::Delayed,
            State::Leased => Self::Leased,
        }
    }
}

/// Options of one browse.
#[derive(Clone, Debug, uniffi::Record)]
pub struct BrowseOptions {
    /// At most this many messages, 1 to 1,000.
    #[uniffi(default = 100)]
    pub max: u32,
    /// The cursor of the page before; absent: the oldest message.
    #[uniffi(default = None)]
    pub after: Option<String>,
    /// Messages of that group; absent: the queue's own. One that does not exist is not created.
    #[uniffi(default = None)]
    pub group: Option<String>,
    /// Those in one of these states; none: all.
    #[uniffi(default = [])]
    pub states: Vec<State>,
    /// Those that have all of these headers.
    #[uniffi(default = [])]
    pub headers: Vec<Header>,
    /// How much of each body comes along.
    #[uniffi(default = 65536)]
    pub body_bytes_max: u32,
    /// How long to wait for the other members, in milliseconds, a minute at most.
    #[uniffi(default = 2000)]
    pub timeout_ms: u64,
}

impl From<BrowseOptions> for primer::BrowseOptions {
    fn from(options: BrowseOptions) -> Self {
        let headers = options.headers.into_iter();
        Self {
            max: options.max,
            after: options.after,
            group: options.group,
            states: options.states.into_iter().map(Into::into).collect(),
            headers: headers.map(|header| (header.key, header.value)).collect(),
            body_bytes_max: options.body_bytes_max,
            timeout: Duration::from_millis(options.timeout_ms),
        }
    }
}

/// A part of a queue's messages.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Page {
    /// The messages, oldest first.
    pub messages: Vec<Browsed>,
    /// The next page's `after`; absent: this is the last one.
    pub cursor: Option<String>,
    /// The ids of members whose messages are not in it: unreachable, too busy, or too slow.
    pub missing: Vec<String>,
}

/// A message that was looked at: nobody has it for that, and it may be gone by now.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Browsed {
    /// Its identity, the same in every group.
    pub id: String,
    /// The group; absent: the queue's own.
    pub group: Option<String>,
    /// What it was doing.
    pub state: State,
    /// The producer's bytes, the first of them.
    pub body: Vec<u8>,
    /// How many there are.
    pub body_bytes: u64,
    /// The producer's headers, in their order.
    pub headers: Vec<Header>,
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
    /// Members that are known to hold it.
    pub copies: u32,
    /// The id of the member that owns it.
    pub owner: String,
}

impl From<primer::Page> for Page {
    fn from(page: primer::Page) -> Self {
        let missing = page.missing.iter();
        Self {
            messages: page.messages.into_iter().map(Into::into).collect(),
            cursor: page.cursor,
            missing: missing.map(ToString::to_string).collect(),
        }
    }
}

impl From<primer::Browsed> for Browsed {
    fn from(browsed: primer::Browsed) -> Self {
        Self {
            id: browsed.id.to_string(),
            group: browsed.group,
            state: browsed.state.into(),
            body: browsed.body.into(),
            body_bytes: browsed.body_bytes,
            headers: headers_of(&browsed.headers),
            attempts: browsed.attempts,
            priority: browsed.priority,
            key: browsed.key,
            accepted_ms: browsed.accepted_ms,
            ready_at_ms: browsed.ready_at_ms,
            expires_ms: browsed.expires_ms,
            lease_ms: browsed.lease_ms,
            copies: browsed.copies,
            owner: browsed.owner.to_string(),
        }
    }
}

#[uniffi::export]
impl Queue {
    /// Looks at messages without taking them, at every member that answers in time; changes nothing. The page
    /// may be shorter than `max` and not the last: that one has no cursor. Errors: 101, 203, 501.
    #[uniffi::method(default(options = None))]
    pub async fn browse(&self, options: Option<BrowseOptions>) -> Result<Page, PrimerError> {
        let (queue, courier) = self.0.get()?;
        let options = options.map_or_else(primer::BrowseOptions::default, Into::into);
        Ok(courier.carry(queue.browse(&options)).await?.into())
    }
}
