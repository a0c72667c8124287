//! Verbs of a queue: enqueue, receive, subscribe, and acks of many.

use std::time::SystemTime;

use napi::bindgen_prelude::{Either, Uint8ArraySlice, Uint32ArraySlice};
use napi_derive::napi;
use primer::{
    Bytes, Delivery, EnqueueOptions, Error, ErrorKind, IfNoGroup, OnShort, QueueOptions, Receipt,
    ReceiveOptions, Result, SubscribeOptions,
};

use crate::member::either;
use crate::pack::{Writer, bytes_of, words_of};
use crate::parcel::Parcel;
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
/// names and values in turn and keys behind them, `terms` as [`terms_of`] reads them.
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
    terms: Option<Vec<f64>>,
) -> f64 {
    let desk = bytes_of(&mut desk);
    verb(|room| {
        let body = body.get(..length as usize).ok_or_else(too_short)?;
        let options = EnqueueOptions {
            copies: copies_of(copies)?,
            on_short: on_short_of(on_short)?,
            timeout: span(timeout),
            ..asked_of(headers, terms)?
        };
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.enqueue_with(Bytes::copy_from_slice(body), &options);
        let host = *host;
        room.answer_with(host, pending, |_, receipt| receipts(&[receipt], desk))
    })
}

/// As [`enqueue_with`], and waits up to `timeout` ms for the reply, which lies in `tray` from `at` on.
/// 0 or a ticket.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "as enqueue_with")]
pub fn call(
    queue: u32,
    body: &[u8],
    length: u32,
    mut tray: Uint8ArraySlice,
    at: u32,
    timeout: f64,
    copies: i32,
    on_short: i32,
    enqueue_timeout: f64,
    headers: Option<Vec<String>>,
    terms: Option<Vec<f64>>,
) -> f64 {
    let tray = bytes_of(&mut tray);
    verb(|room| {
        let body = body.get(..length as usize).ok_or_else(too_short)?;
        let options = EnqueueOptions {
            copies: copies_of(copies)?,
            on_short: on_short_of(on_short)?,
            timeout: span(enqueue_timeout),
            ..asked_of(headers, terms)?
        };
        let timeout = span(timeout).unwrap_or_default();
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.call_with(Bytes::copy_from_slice(body), &options, timeout);
        let host = *host;
        room.answer_with(host, pending, |room, reply| {
            room.hand_over(host, Parcel::Reply(reply), tray, at)
        })
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
    terms: Option<Vec<f64>>,
) -> f64 {
    let desk = bytes_of(&mut desk);
    verb(|room| {
        let ends = ends.get(..count as usize).ok_or_else(too_short)?;
        let bodies = split(bodies, ends)?;
        let options = EnqueueOptions {
            copies: copies_of(copies)?,
            on_short: on_short_of(on_short)?,
            timeout: span(timeout),
            ..asked_of(headers, terms)?
        };
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

fn copies_of(copies: i32) -> Result<Option<u16>> {
    match copies {
        ..0 => Ok(None),
        wanted => Ok(Some(
            u16::try_from(wanted).map_err(|_| wrong("copies", wanted))?,
        )),
    }
}

fn on_short_of(on_short: i32) -> Result<Option<OnShort>> {
    match on_short {
        ..0 => Ok(None),
        0 => Ok(Some(OnShort::Degrade)),
        1 => Ok(Some(OnShort::Fail)),
        2 => Ok(Some(OnShort::Wait)),
        other => Err(wrong("on_short", other)),
    }
}

pub(crate) fn headers_of(headers: Option<Vec<String>>) -> Vec<(String, String)> {
    let mut headers = headers.unwrap_or_default().into_iter();
    let mut pairs = Vec::with_capacity(headers.len() / 2);
    while let (Some(name), Some(value)) = (headers.next(), headers.next()) {
        pairs.push((name, value));
    }
    pairs
}

/// What a message is asked for with texts: its names and values, behind them its key, if their number is odd
/// with it, and last its dedup key, if its terms say that it has one.
fn asked_of(headers: Option<Vec<String>>, terms: Option<Vec<f64>>) -> Result<EnqueueOptions> {
    let mut texts = headers.unwrap_or_default();
    let mut options = terms_of(terms)?;
    if options.dedup.is_some() {
        options.dedup = texts.pop();
    }
    if texts.len() % 2 == 1 {
        options.key = texts.pop();
    }
    options.headers = headers_of(Some(texts));
    Ok(options)
}

/// The terms of a message: priority, delay, at (ms since 1970), ttl, attempts, each negative when it is not
/// given, 1 for at most once, what becomes of it without a group, 1 for a dedup key, and its window, negative when
/// it is not given. Most messages have none.
fn terms_of(terms: Option<Vec<f64>>) -> Result<EnqueueOptions> {
    let Some(terms) = terms else {
        return Ok(EnqueueOptions::default());
    };
    let [
        priority,
        delay,
        at,
        ttl,
        max_attempts,
        at_most_once,
        if_no_group,
        has_dedup,
        dedup_window,
    ] = terms[..]
    else {
        return Err(internal("these are no terms"));
    };
    let far = || wrong("at_ms", at);
    Ok(EnqueueOptions {
        priority: whole("priority", priority)?,
        delay: span(delay),
        at: span(at)
            .map(|at| SystemTime::UNIX_EPOCH.checked_add(at).ok_or_else(far))
            .transpose()?,
        ttl: span(ttl),
        max_attempts: whole("max_attempts", max_attempts)?,
        at_most_once: at_most_once == 1.0,
        if_no_group: if_no_group_of(whole("if_no_group", if_no_group)?)?,
        dedup: (has_dedup == 1.0).then(String::new),
        dedup_window: span(dedup_window),
        ..EnqueueOptions::default()
    })
}

fn if_no_group_of(choice: Option<u8>) -> Result<IfNoGroup> {
    match choice {
        None | Some(0) => Ok(IfNoGroup::Hold),
        Some(1) => Ok(IfNoGroup::Drop),
        Some(2) => Ok(IfNoGroup::Refuse),
        Some(other) => Err(wrong("if_no_group", other)),
    }
}

/// A number as the core takes it, negative for none. Errors: 101 when it does not fit.
fn whole<T: TryFrom<u64>>(what: &'static str, number: f64) -> Result<Option<T>> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and the largest fits nothing smaller"
    )]
    let fitting = (number >= 0.0).then(|| T::try_from(number as u64));
    fitting.transpose().map_err(|_| wrong(what, number))
}

fn wrong(what: &'static str, value: impl ToString) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because("is out of range")
        .with(what, value)
}

/// The bytes of a body are fewer than its length says.
pub(crate) fn too_short() -> Error {
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
    let options = ReceiveOptions {
        max: max as usize,
        wait: span(wait).unwrap_or_default(),
        lease: span(lease),
        ..ReceiveOptions::default()
    };
    receive_as(queue, &options, bytes_of(&mut tray), at)
}

/// As [`receive`], in a group; `backlog` where that is created.
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments, reason = "as enqueue_with")]
pub fn receive_in(
    queue: u32,
    max: u32,
    wait: f64,
    lease: f64,
    mut tray: Uint8ArraySlice,
    at: u32,
    group: String,
    backlog: bool,
) -> f64 {
    let options = ReceiveOptions {
        max: max as usize,
        wait: span(wait).unwrap_or_default(),
        lease: span(lease),
        group: Some(group),
        backlog,
    };
    receive_as(queue, &options, bytes_of(&mut tray), at)
}

fn receive_as(queue: u32, options: &ReceiveOptions, tray: &mut [u8], at: u32) -> f64 {
    verb(|room| {
        let Owned { host, value } = room.queue(queue)?;
        let pending = value.receive(options);
        let host = *host;
        room.answer_with(host, pending, |room, given| {
            room.hand_over(host, Parcel::Deliveries(given), tray, at)
        })
    })
}

/// Begins a subscription and answers its handle; it tells of deliveries by it (see [`crate::reader`]). `backlog`
/// where its group is created.
#[napi(catch_unwind)]
pub fn subscribe(
    queue: u32,
    credit: u32,
    credit_bytes: f64,
    lease: f64,
    max_run: f64,
    group: Option<String>,
    backlog: bool,
) -> f64 {
    verb(|room| {
        let Owned { host, value } = room.queue(queue)?;
        let options = SubscribeOptions {
            credit,
            credit_bytes: span(credit_bytes)
                .and_then(|bytes| u64::try_from(bytes.as_millis()).ok()),
            lease: span(lease),
            max_run: span(max_run),
            group,
            backlog,
        };
        let reader = Owned {
            host: *host,
            value: Reader::Subscription(value.subscribe(&options)?),
        };
        room.watch(reader)
    })
}

/// Creates a group. 0.
#[napi(catch_unwind)]
pub fn create_group(queue: u32, group: String, backlog: bool) -> f64 {
    verb(|room| {
        let queue = &room.queue(queue)?.value;
        queue.create_group(&group, backlog).map(|()| 0.0)
    })
}

/// Removes a group. 0.
#[napi(catch_unwind)]
pub fn remove_group(queue: u32, group: String) -> f64 {
    verb(|room| room.queue(queue)?.value.remove_group(&group).map(|()| 0.0))
}

/// The names of the queue's groups, or minus the place of a failure.
#[napi(catch_unwind)]
pub fn groups(queue: u32) -> Either<f64, Vec<String>> {
    either(|room| room.queue(queue)?.value.groups())
}

/// Changes settings: keys and values in turn, an empty value unsets one. 0.
#[napi(catch_unwind)]
pub fn configure(queue: u32, settings: Vec<String>) -> f64 {
    verb(|room| {
        let options = headers_of(Some(settings)).into_iter().collect();
        let queue = &room.queue(queue)?.value;
        queue.configure(&options).map(|()| 0.0)
    })
}

/// The settings that hold, keys and values in turn, or minus the place of a failure.
#[napi(catch_unwind)]
pub fn configuration(queue: u32) -> Either<f64, Vec<String>> {
    either(|room| Ok(settings_of(&room.queue(queue)?.value.configuration()?)))
}

/// Pauses a queue. 0.
#[napi(catch_unwind)]
pub fn pause(queue: u32, direction: String) -> f64 {
    verb(|room| room.queue(queue)?.value.pause(&direction).map(|()| 0.0))
}

/// A queue goes on. 0.
#[napi(catch_unwind)]
pub fn resume(queue: u32) -> f64 {
    verb(|room| room.queue(queue)?.value.resume().map(|()| 0.0))
}

/// Purges a queue. 0.
#[napi(catch_unwind)]
pub fn purge(queue: u32) -> f64 {
    verb(|room| room.queue(queue)?.value.purge().map(|()| 0.0))
}

/// Settings, keys and values in turn.
pub(crate) fn settings_of(options: &QueueOptions) -> Vec<String> {
    let settings = options.iter();
    settings
        .flat_map(|(key, value)| [key.to_string(), value.to_string()])
        .collect()
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
