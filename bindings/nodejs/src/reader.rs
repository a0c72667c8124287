//! Verbs of readers: subscriptions and event readers. A reader is never waited for. It tells its host once
//! that it has something (a completion of kind `Ready` whose ticket is the reader's handle); then
//! JavaScript takes until nothing is left, and is told again.

use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;
use primer::{Error, ErrorKind, Result};

use crate::member::either;
use crate::pack::bytes_of;
use crate::room::{Owned, Reader, Room, number_of, verb};

/// Something that happened to the cluster.
#[napi(object)]
pub struct EventView {
    /// Wall-clock milliseconds since 1970.
    pub at_ms: f64,
    /// The kind's stable name.
    pub kind: String,
    /// The member it happened to.
    pub member: String,
    /// Its name; may be empty.
    pub name: String,
    /// Further words; may be empty.
    pub detail: String,
}

impl Room {
    /// Keeps a reader and lets it tell its host by its handle, which is the answer.
    pub(crate) fn watch(&mut self, reader: Owned<Reader>) -> Result<f64> {
        let host = reader.host;
        let handle = self.readers.put(reader);
        let completions = self.completions(host)?;
        match &self.reader(handle)?.value {
            Reader::Subscription(subscription) => {
                subscription.notify(completions, u64::from(handle))
            }
            Reader::Events(events) => events.notify(completions, u64::from(handle)),
        }
        Ok(f64::from(handle))
    }
}

/// Up to `max` deliveries that are here already, in `tray` from `at` on. 0.
#[napi(catch_unwind)]
pub fn take(reader: u32, max: u32, mut tray: Uint8ArraySlice, at: u32) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let Owned { host, value } = room.reader(reader)?;
        let Reader::Subscription(subscription) = value else {
            return Err(not_that());
        };
        let (host, given) = (*host, subscription.take(max as usize)?);
        room.hand_over(host, given, tray, at)
    })
}

/// Raises the credit of a subscription. 0.
#[napi(catch_unwind)]
pub fn credit(reader: u32, more: u32) -> f64 {
    verb(|room| match &room.reader(reader)?.value {
        Reader::Subscription(subscription) => subscription.credit(more).map(|()| 0.0),
        Reader::Events(_) => Err(not_that()),
    })
}

/// Up to `max` events that are here already, or minus the place of a failure.
#[napi(catch_unwind)]
pub fn take_events(reader: u32, max: u32) -> Either<f64, Vec<EventView>> {
    either(|room| match &room.reader(reader)?.value {
        Reader::Events(events) => Ok(events.take(max as usize).into_iter().map(view).collect()),
        Reader::Subscription(_) => Err(not_that()),
    })
}

fn view(event: primer::Event) -> EventView {
    EventView {
        at_ms: number_of(event.at_ms),
        kind: event.kind.name().to_owned(),
        member: event.member.to_string(),
        name: event.name,
        detail: event.detail,
    }
}

/// Events that the reader missed so far.
#[napi(catch_unwind)]
pub fn missed(reader: u32) -> f64 {
    verb(|room| match &room.reader(reader)?.value {
        Reader::Events(events) => Ok(number_of(events.missed())),
        Reader::Subscription(_) => Err(not_that()),
    })
}

/// Ends a reader. Idempotent.
#[napi(catch_unwind)]
pub fn close_reader(reader: u32) -> f64 {
    verb(|room| {
        if let Some(Owned {
            value: Reader::Subscription(subscription),
            ..
        }) = room.readers.take(reader)
        {
            subscription.close();
        }
        Ok(0.0)
    })
}

fn not_that() -> Error {
    Error::new(ErrorKind::InvalidArgument).because("this reader is of another kind")
}
