//! Request and reply: primer_queue_call and primer_queue_reply, primer_reply_t.

use std::ffi::c_void;
use std::sync::Mutex;
use std::time::Duration;

use primer::{Reply, Result, limits};

use crate::boundary::{boundary, contained};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{later, primer_completions_t, ticket_out};
use crate::delivery::{Leased, primer_delivery_t};
use crate::handle::{borrow, free, give, held, look};
use crate::options::{enqueue_options, headers, primer_enqueue_options_t, span};
use crate::queue::{NamedQueue, primer_queue_t};
use crate::values::{handle_out, message, out, primer_bytes_t, primer_header_t, view};

/// What a call is answered with. Free it with primer_reply_free; bytes that its functions answer are good
/// until then.
pub struct primer_reply_t {
    _opaque: (),
}

held!(Replied, primer_reply_t, 17);

/// A reply.
pub struct Replied(pub Reply);

/// Puts a message into the queue and waits up to `timeout_ms` (PRIMER_DEFAULT: 30 s) for the reply of
/// whoever handles it, in any language. `options` may be NULL; without a ttl_ms the message expires with
/// the timeout. Errors: as primer_queue_enqueue, 201 with too many calls at a time, 302 when no reply came
/// in time (it may still be handled).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_call(
    queue: *const primer_queue_t,
    body: *const c_void,
    body_len: usize,
    options: *const primer_enqueue_options_t,
    timeout_ms: i64,
    reply: *mut *mut primer_reply_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("reply", reply) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let (body, options) =
            unsafe { (message(body.cast(), body_len)?, enqueue_options(options)?) };
        let pending = queue.queue.call_with(body, &options, patience(timeout_ms)?);
        give(Replied(pending.wait()?), out)?;
        Ok(PRIMER_OK)
    })
}

/// primer_queue_call that does not wait: see primer_queue_enqueue_start. The reply is in the completion,
/// see primer_completion_reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_call_start(
    queue: *const primer_queue_t,
    body: *const c_void,
    body_len: usize,
    options: *const primer_enqueue_options_t,
    timeout_ms: i64,
    completions: *const primer_completions_t,
    reply: *mut *mut primer_reply_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("reply", reply) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let (body, options) =
            unsafe { (message(body.cast(), body_len)?, enqueue_options(options)?) };
        let timeout = patience(timeout_ms)?;
        let start = || Ok(queue.queue.call_with(body, &options, timeout));
        later(completions, ticket, start, |reply| {
            give(Replied(reply), out)
        })
    })
}

/// Replies to whoever waits for this message's reply, then acks it. Best effort: a caller that is gone, has
/// given up or has a reply already is no error. Never waits. The delivery stays the caller's, to be freed.
/// `headers` may be NULL when there are none.
/// Errors: 101 (also for a message that asks for no reply), 104, 203 (again later), 402, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_reply(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
    body: *const c_void,
    body_len: usize,
    headers: *const primer_header_t,
    headers_len: usize,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        // SAFETY: the header's promise.
        let body = unsafe { message(body.cast(), body_len) }?;
        // SAFETY: the header's promise.
        let headers = unsafe { self::headers(headers, headers_len) }?;
        queue
            .queue
            .reply(leased.delivery()?, Reply { body, headers })?;
        Ok(PRIMER_OK)
    })
}

/// Whether somebody waits for a reply to the message. False for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_wants_reply(delivery: *const primer_delivery_t) -> bool {
    contained(false, || {
        borrow::<Leased>(delivery)
            .and_then(|leased| Ok(leased.delivery()?.wants_reply()))
            .unwrap_or_default()
    })
}

/// The reply's body. Empty for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_reply_body(reply: *const primer_reply_t) -> primer_bytes_t {
    contained(view(&[]), || {
        // SAFETY: the header's promise: not freed while its bytes are used.
        unsafe { look::<Replied>(reply) }.map_or(view(&[]), |reply| view(&reply.0.body))
    })
}

/// How many headers the reply has. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_reply_headers_len(reply: *const primer_reply_t) -> usize {
    contained(0, || {
        borrow::<Replied>(reply).map_or(0, |reply| reply.0.headers.len())
    })
}

/// Writes header number `index`, from 0, in the handler's order. PRIMER_EMPTY when there are no more.
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_reply_header(
    reply: *const primer_reply_t,
    index: usize,
    header: *mut primer_header_t,
) -> primer_code_t {
    boundary(|| {
        let none = primer_header_t {
            key: view(&[]),
            value: view(&[]),
        };
        // SAFETY: the header's promise.
        let out = unsafe { out("header", header, none) }?;
        // SAFETY: the header's promise: not freed while its bytes are used.
        let reply = unsafe { look::<Replied>(reply) }?;
        let Some((key, value)) = reply.0.headers.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(primer_header_t {
            key: view(key.as_bytes()),
            value: view(value.as_bytes()),
        });
        Ok(PRIMER_OK)
    })
}

/// Frees a reply. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_reply_free(reply: *mut primer_reply_t) {
    contained((), || free::<Replied>(reply));
}

/// A reply in a late answer until it is taken.
pub type Waiting = Mutex<Option<Reply>>;

/// How long a call waits. Errors: 101.
fn patience(timeout_ms: i64) -> Result<Duration> {
    let usual = Duration::from_millis(limits::CALL_TIMEOUT_MS);
    Ok(span("timeout_ms", timeout_ms)?.unwrap_or(usual))
}
