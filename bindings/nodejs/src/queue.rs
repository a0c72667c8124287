//! Verbs of a queue: enqueue, receive, subscribe, and acks of many.

use napi::bindgen_prelude::{Uint8ArraySlice, Uint32ArraySlice};
use napi_derive::napi;
use primer::{
    Bytes, Delivery, EnqueueOptions, Error, ErrorKind, OnShort, Receipt, ReceiveOptions, Result,
    SubscribeOptions,
};

use crate::pack::{Writer, bytes_of, words_of};
use crate::room::{Owned, Reader, internal, settled, span, verb};

/// Puts the first `length` bytes of `body` into the queue with the member's defaults. 0 with the receipt in
/// `desk`, or a ticket.
#[napi(catch_unwind)]
pub fn enqueue(queue: u32, body: &[u8], length: u32, mut desk: Uint8ArraySlice) -> f64 {
    let desk = bytes_of(&mut desk);
    verb(|room| {
        let body = body.get(..length as usize).ok_or_else(too_short)?;
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.enqueue_with(Bytes::copy_from_slice(body), &EnqueueOptions::default());
        let host = *host;
        room.answer_with(host, pending, |_, receipt| receipts(&[receipt], desk))
    })
}

/// As [`enqueue`], with options: `copies`, `on_short` and `timeout` negative for the member's, `headers` as
/// names and values in turn.
#[napi(catch_unwind)]
// Not `expect`: the macro copies it to a function without arguments.
#[allow(
    clippy::too_many_arguments,
    reason = "plain numbers cross the border ten times faster than an object"
)]
pub fn enqueue_with(
    queue: u32,
    body: &[u8],
    length: u32,
    mut desk: Uint8ArraySlice,
    copies: i32,
    on_short: i32,
    timeout: f64,
    headers: Option<Vec<String>>,
) -> f64 {
    let desk = bytes_of(&mut desk);
    verb(|room| {
        let body = body.get(..length as usize).ok_or_else(too_short)?;
        let options = options(copies, on_short, timeout, headers)?;
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.enqueue_with(Bytes::copy_from_slice(body), &options);
        let host = *host;
        room.answer_with(host, pending, |_, receipt| receipts(&[receipt], desk))
    })
}

/// Puts many bodies into the queue, all or none; they lie one behind the other in `bodies`, and the word at
/// each place of `ends` is where that body ends. 0 with the receipts in `desk`, or a ticket.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "as enqueue_with")]
pub fn enqueue_many(
    queue: u32,
    bodies: &[u8],
    ends: &[u32],
    count: u32,
    mut desk: Uint8ArraySlice,
    copies: i32,
    on_short: i32,
    timeout: f64,
    headers: Option<Vec<String>>,
) -> f64 {
    let desk = bytes_of(&mut desk);
    verb(|room| {
        let ends = ends.get(..count as usize).ok_or_else(too_short)?;
        let bodies = split(bodies, ends)?;
        let options = options(copies, on_short, timeout, headers)?;
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.enqueue_many(bodies, &options);
        let host = *host;
        room.answer_with(host, pending, |_, given| receipts(&given, desk))
    })
}

/// Each body is copied by itself: slices of one copy would keep a whole batch in memory for its last message.
fn split(bodies: &[u8], ends: &[u32]) -> Result<Vec<Bytes>> {
    let mut start = 0;
    let each = |end: &u32| {
        let body = bodies.get(start..*end as usize).ok_or_else(too_short)?;
        start = *end as usize;
        Ok(Bytes::copy_from_slice(body))
    };
    ends.iter().map(each).collect()
}

fn receipts(receipts: &[Receipt], desk: &mut [u8]) -> Result<f64> {
    let mut writer = Writer::new(desk, 0);
    receipts
        .iter()
        .try_for_each(|receipt| writer.receipt(receipt))?;
    Ok(0.0)
}

fn options(
    copies: i32,
    on_short: i32,
    timeout: f64,
    headers: Option<Vec<String>>,
) -> Result<EnqueueOptions> {
    let copies = match copies {
        ..0 => None,
        wanted => Some(u16::try_from(wanted).map_err(|_| wrong("copies", wanted))?),
    };
    let on_short = match on_short {
        ..0 => None,
        0 => Some(OnShort::Degrade),
        1 => Some(OnShort::Fail),
        2 => Some(OnShort::Wait),
        other => return Err(wrong("on_short", other)),
    };
    let mut headers = headers.unwrap_or_default().into_iter();
    let mut pairs = Vec::with_capacity(headers.len() / 2);
    while let (Some(name), Some(value)) = (headers.next(), headers.next()) {
        pairs.push((name, value));
    }
    Ok(EnqueueOptions {
        copies,
        on_short,
        timeout: span(timeout),
        headers: pairs,
    })
}

fn wrong(what: &'static str, value: i32) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because("is out of range")
        .with(what, value)
}

fn too_short() -> Error {
    internal("a buffer is shorter than its length")
}

/// Leases up to `max` messages, waiting up to `wait` ms; `lease` negative for the member's. 0 with the
/// deliveries in `tray` from `at` on, or a ticket.
#[napi(catch_unwind)]
pub fn receive(
    queue: u32,
    max: u32,
    wait: f64,
    lease: f64,
    mut tray: Uint8ArraySlice,
    at: u32,
) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let options = ReceiveOptions {
            max: max as usize,
            wait: span(wait).unwrap_or_default(),
            lease: span(lease),
        };
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.receive(&options);
        let host = *host;
        room.answer_with(host, pending, |room, given| {
            room.hand_over(host, given, tray, at)
        })
    })
}

/// Begins a subscription and answers its handle; it tells of deliveries by it (see [`crate::reader`]).
#[napi(catch_unwind)]
pub fn subscribe(queue: u32, credit: u32, lease: f64) -> f64 {
    verb(|room| {
        let Owned { host, value } = room.queue(queue)?;
        let options = SubscribeOptions {
            credit,
            lease: span(lease),
        };
        let reader = Owned {
            host: *host,
            value: Reader::Subscription(value.subscribe(&options)?),
        };
        room.watch(reader)
    })
}

/// Acks the deliveries at `handles`; each word becomes its number, 0 or the error's. What is finished loses
/// its handle.
#[napi(catch_unwind)]
pub fn ack_many(queue: u32, mut handles: Uint32ArraySlice) -> f64 {
    let handles = words_of(&mut handles);
    verb(|room| {
        let given: Vec<&Delivery> = handles
            .iter()
            .filter_map(|handle| Some(&room.deliveries.get(*handle)?.value))
            .collect();
        let mut codes = room.queue(queue)?.value.ack_many(&given)?.into_iter();
        let (done, settled) = (ErrorKind::AlreadyDone.number(), settled().number());
        for handle in handles.iter_mut() {
            let code = match room.deliveries.get(*handle) {
                Some(_) => codes
                    .next()
                    .ok_or_else(|| internal("an ack has no answer"))?,
                None => settled,
            };
            if code == 0 || code == done {
                drop(room.deliveries.take(*handle));
            }
            *handle = u32::from(code);
        }
        Ok(0.0)
    })
}
