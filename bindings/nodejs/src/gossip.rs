//! Verbs of what everyone hears: topics and keys. All of them are answered at once.

use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;
use primer::{Bytes, Change, Primer, Result};

use crate::member::either;
use crate::pack::bytes_of;
use crate::parcel::Parcel;
use crate::queue::{headers_of, settings_of, too_short};
use crate::room::{Owned, Reader, verb};

/// Tells everyone who listens to `topic` the first `length` bytes of `body`. 0.
#[napi(catch_unwind)]
pub fn broadcast(member: u32, topic: String, body: &[u8], length: u32) -> f64 {
    tell(member, body, length, |primer, body| {
        primer.broadcast(&topic, body)
    })
}

/// Writes the first `length` bytes of `value` under `key`. 0.
#[napi(catch_unwind)]
pub fn put(member: u32, key: String, value: &[u8], length: u32) -> f64 {
    tell(member, value, length, |primer, value| {
        primer.put(&key, value)
    })
}

fn tell(
    member: u32,
    bytes: &[u8],
    length: u32,
    body: impl FnOnce(&Primer, Bytes) -> Result<()>,
) -> f64 {
    verb(|room| {
        let bytes = bytes.get(..length as usize).ok_or_else(too_short)?;
        let Owned { value, .. } = room.member(member)?;
        body(value, Bytes::copy_from_slice(bytes)).map(|()| 0.0)
    })
}

/// What is under `key`, in `tray` from `at` on, as a change of a key without a name: it has a value or
/// none. 0.
#[napi(catch_unwind)]
pub fn get(member: u32, key: String, mut tray: Uint8ArraySlice, at: u32) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let Owned { host, value } = room.member(member)?;
        let found = Change {
            key: String::new(),
            value: value.get(&key)?,
        };
        let host = *host;
        room.hand_over(host, Parcel::Changes(vec![found]), tray, at)
    })
}

/// Removes `key`. 0.
#[napi(catch_unwind)]
pub fn delete(member: u32, key: String) -> f64 {
    verb(|room| room.member(member)?.value.delete(&key).map(|()| 0.0))
}

/// The keys that begin with `prefix`, in `tray` from `at` on. 0.
#[napi(catch_unwind)]
pub fn list(member: u32, prefix: String, mut tray: Uint8ArraySlice, at: u32) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let Owned { host, value } = room.member(member)?;
        let (host, entries) = (*host, value.list(&prefix)?);
        room.hand_over(host, Parcel::Entries(entries), tray, at)
    })
}

/// Sets a policy: keys and values in turn. 0.
#[napi(catch_unwind)]
pub fn set_policy(member: u32, prefix: String, settings: Vec<String>) -> f64 {
    verb(|room| {
        let options = headers_of(Some(settings)).into_iter().collect();
        let primer = &room.member(member)?.value;
        primer.set_policy(&prefix, &options).map(|()| 0.0)
    })
}

/// Removes a policy. 0.
#[napi(catch_unwind)]
pub fn remove_policy(member: u32, prefix: String) -> f64 {
    verb(|room| {
        room.member(member)?
            .value
            .remove_policy(&prefix)
            .map(|()| 0.0)
    })
}

/// The policies, each its prefix and then its settings' keys and values in turn, or minus the place of a failure.
#[napi(catch_unwind)]
pub fn policies(member: u32) -> Either<f64, Vec<Vec<String>>> {
    either(|room| {
        let policies = room.member(member)?.value.policies()?.into_iter();
        let rows = policies.map(|(prefix, options)| {
            let mut row = settings_of(&options);
            row.insert(0, prefix);
            row
        });
        Ok(rows.collect())
    })
}

/// A handle of a reader of `topic` from now on; it tells of broadcasts by it (see [`crate::reader`]).
#[napi(catch_unwind)]
pub fn on(member: u32, topic: String) -> f64 {
    reader(member, |primer| Ok(Reader::Topic(primer.on(&topic)?)))
}

/// A handle of a reader of changes of the keys that begin with `prefix`, from now on.
#[napi(catch_unwind)]
pub fn watch(member: u32, prefix: String) -> f64 {
    reader(member, |primer| Ok(Reader::Watch(primer.watch(&prefix))))
}

/// A handle of a reader of what happens to the cluster from now on.
#[napi(catch_unwind)]
pub fn events(member: u32) -> f64 {
    reader(member, |primer| Ok(Reader::Events(primer.events())))
}

fn reader(member: u32, make: impl FnOnce(&Primer) -> Result<Reader>) -> f64 {
    verb(|room| {
        let Owned { host, value } = room.member(member)?;
        let reader = Owned {
            host: *host,
            value: make(value)?,
        };
        room.watch(reader)
    })
}
