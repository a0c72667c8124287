//! The verbs that look at messages without taking them, and the one that sends dead letters back.

use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;
use primer::{BrowseOptions, RedriveOptions};

use crate::pack::bytes_of;
use crate::parcel::Parcel;
use crate::queue::headers_of;
use crate::room::{Owned, span, verb};

/// A page of messages, which lies in `tray` from `at` on; of `states` and `headers` none are all, of `after`
/// and `group` none are the beginning and the queue itself. 0 or a ticket.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "the options of one verb")]
pub fn browse(
    queue: u32,
    mut tray: Uint8ArraySlice,
    at: u32,
    max: u32,
    body_bytes_max: u32,
    timeout: f64,
    states: Vec<String>,
    headers: Option<Vec<String>>,
    after: Option<String>,
    group: Option<String>,
) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let states = states.iter().map(|state| state.parse());
        let options = BrowseOptions {
            max,
            after,
            group,
            states: states.collect::<primer::Result<_>>()?,
            headers: headers_of(headers),
            body_bytes_max,
            timeout: span(timeout).unwrap_or_default(),
        };
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.browse(&options);
        let host = *host;
        room.answer_with(host, pending, |room, page| {
            room.hand_over(host, Parcel::Page(page), tray, at)
        })
    })
}

/// What every member knows of the message of that id, which lies in `tray` from `at` on. 0 or a ticket.
#[napi(catch_unwind)]
pub fn explain(member: u32, mut tray: Uint8ArraySlice, at: u32, id: String) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let Owned { host, value } = room.member(member)?;
        let pending = value.explain(id.parse()?);
        let host = *host;
        room.answer_with(host, pending, |room, explanation| {
            room.hand_over(host, Parcel::Explanation(explanation), tray, at)
        })
    })
}

/// Sends dead letters back; what became of them lies in `tray` from `at` on. Of `headers` and `ids` none are all,
/// of `to` none is where each came from. 0 or a ticket.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "the options of one verb")]
pub fn redrive(
    queue: u32,
    mut tray: Uint8ArraySlice,
    at: u32,
    max: u32,
    dry_run: bool,
    timeout: f64,
    ids: Vec<String>,
    headers: Option<Vec<String>>,
    to: Option<String>,
) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let ids = ids.iter().map(|id| id.parse());
        let options = RedriveOptions {
            to,
            max: max.into(),
            headers: headers_of(headers),
            ids: ids.collect::<primer::Result<_>>()?,
            dry_run,
            timeout: span(timeout).unwrap_or_default(),
        };
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.redrive(&options);
        let host = *host;
        room.answer_with(host, pending, |room, redriven| {
            room.hand_over(host, Parcel::Redriven(redriven), tray, at)
        })
    })
}

/// Why a queue delivers nothing; the diagnosis lies in `tray` from `at` on. 0 or a ticket.
#[napi(catch_unwind)]
pub fn doctor(queue: u32, mut tray: Uint8ArraySlice, at: u32) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.doctor();
        let host = *host;
        room.answer_with(host, pending, |room, diagnosis| {
            room.hand_over(host, Parcel::Diagnosis(diagnosis), tray, at)
        })
    })
}
