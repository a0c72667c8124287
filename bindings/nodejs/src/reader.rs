//! Verbs of readers: subscriptions, and readers of events, of a topic, of changes of keys.
//!
//! A reader is never waited for. It tells its host once that it has something (a completion of kind `Ready`
//! whose ticket is the reader's handle); then JavaScript takes until nothing is left, and is told again.

use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;
use primer::{Error, ErrorKind, Result};

use crate::member::either;
use crate::pack::bytes_of;
use crate::parcel::Parcel;
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
        let token = u64::from(handle);
        match &self.reader(handle)?.value {
            Reader::Subscription(subscription) => subscription.notify(completions, token),
            Reader::Events(events) => events.notify(completions, token),
            Reader::Topic(topic) => topic.notify(completions, token),
            Reader::Watch(watch) => watch.notify(completions, token),
        }
        Ok(f64::from(handle))
    }
}

/// Up to `max` deliveries, broadcasts or changes that are here already, in `tray` from `at` on. 0.
#[napi(catch_unwind)]
pub fn take(reader: u32, max: u32, mut tray: Uint8ArraySlice, at: u32) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let Owned { host, value } = room.reader(reader)?;
        let (host, max) = (*host, max as usize);
        let taken = match value {
            Reader::Subscription(subscription) => Parcel::Deliveries(subscription.take(max)?),
            Reader::Topic(topic) => Parcel::Broadcasts(topic.take(max)),
            Reader::Watch(watch) => Parcel::Changes(watch.take(max)),
            Reader::Events(_) => return Err(not_that()),
        };
        room.hand_over(host, taken, tray, at)
    })
}

/// Raises the credit of a subscription. 0.
#[napi(catch_unwind)]
pub fn credit(reader: u32, more: u32) -> f64 {
    verb(|room| match &room.reader(reader)?.value {
        Reader::Subscription(subscription) => subscription.credit(more).map(|()| 0.0),
        _ => Err(not_that()),
    })
}

/// Up to `max` events that are here already, or minus the place of a failure.
#[napi(catch_unwind)]
pub fn take_events(reader: u32, max: u32) -> Either<f64, Vec<EventView>> {
    either(|room| match &room.reader(reader)?.value {
        Reader::Events(events) => Ok(events.take(max as usize).into_iter().map(view).collect()),
        _ => Err(not_that()),
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

/// News that the reader missed so far.
#[napi(catch_unwind)]
pub fn missed(reader: u32) -> f64 {
    verb(|room| match &room.reader(reader)?.value {
        Reader::Events(events) => Ok(number_of(events.missed())),
        Reader::Topic(topic) => Ok(number_of(topic.missed())),
        Reader::Watch(watch) => Ok(number_of(watch.missed())),
        Reader::Subscription(_) => Err(not_that()),
    })
}

/// Ends a reader. Idempotent.
#[napi(catch_unwind)]
pub fn close_reader(reader: u32) -> f64 {
    verb(|room| {
        // Readers of news end when they are dropped.
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
