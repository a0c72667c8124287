//! primer_queue_t's verbs for event loops: the answer at once, or a ticket.

use std::ffi::{c_char, c_void};

use crate::boundary::boundary;
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{later, primer_completions_t, ticket_out};
use crate::delivery::{Leased, hand_out, primer_delivery_t};
use crate::handle::borrow;
use crate::options::{
    enqueue_options, primer_enqueue_options_t, primer_receive_options_t, receive_options, span,
};
use crate::primer::done_later;
use crate::queue::{NamedQueue, primer_queue_t};
use crate::values::{
    message, messages, out, out_or_null, primer_bytes_t, primer_receipt_t, receipts_out, slice_out,
    text,
};

/// primer_queue_enqueue that does not wait. PRIMER_OK: it is done, the receipt is written, no completion
/// comes (always so when this member alone holds the message). PRIMER_LATER: the answer comes through
/// `completions` under the ticket that was written. Any other code: it failed, no completion comes. All
/// `_start` functions answer so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_enqueue_start(
    queue: *const primer_queue_t,
    body: *const c_void,
    body_len: usize,
    options: *const primer_enqueue_options_t,
    completions: *const primer_completions_t,
    receipt: *mut primer_receipt_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let receipt_out = unsafe { out_or_null(receipt, primer_receipt_t::default()) };
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let (body, options) =
            unsafe { (message(body.cast(), body_len)?, enqueue_options(options)?) };
        let start = || Ok(queue.queue.enqueue_with(body, &options));
        let now = |receipt: primer::Receipt| {
            receipt_out.put(receipt.into());
            Ok(())
        };
        later(completions, ticket, start, now)
    })
}

/// primer_queue_enqueue_many that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_enqueue_many_start(
    queue: *const primer_queue_t,
    bodies: *const primer_bytes_t,
    count: usize,
    options: *const primer_enqueue_options_t,
    completions: *const primer_completions_t,
    receipts: *mut primer_receipt_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let room = unsafe { receipts_out(receipts, count) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let (bodies, options) = unsafe { (messages(bodies, count)?, enqueue_options(options)?) };
        let start = || Ok(queue.queue.enqueue_many(bodies, &options));
        let now = |receipts: Vec<primer::Receipt>| {
            for (to, from) in room.iter_mut().zip(receipts) {
                to.write(from.into());
            }
            Ok(())
        };
        later(completions, ticket, start, now)
    })
}

/// primer_queue_receive that does not wait: see primer_queue_enqueue_start. It answers PRIMER_EMPTY at
/// once when it is known at once that there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_receive_start(
    queue: *const primer_queue_t,
    options: *const primer_receive_options_t,
    completions: *const primer_completions_t,
    deliveries: *mut *mut primer_delivery_t,
    capacity: usize,
    len: *mut usize,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let len = unsafe { out("len", len, 0) }?;
        // SAFETY: the header's promise.
        let room = unsafe { slice_out("deliveries", deliveries, capacity) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let options = unsafe { receive_options(options, capacity) }?;
        let mut is_empty = false;
        let start = || Ok(queue.queue.receive(&options));
        let now = |deliveries| {
            is_empty = hand_out(deliveries, room, len)? == PRIMER_EMPTY;
            Ok(())
        };
        let code = later(completions, ticket, start, now)?;
        Ok(if code == PRIMER_OK && is_empty {
            PRIMER_EMPTY
        } else {
            code
        })
    })
}

/// primer_queue_nack that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_nack_start(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
    delay_ms: i64,
    completions: *const primer_completions_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        let delay = span("delay_ms", delay_ms)?;
        let start = || Ok(queue.queue.nack(leased.delivery()?, delay));
        done_later(completions, ticket, start)
    })
}

/// primer_queue_reject that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_reject_start(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
    reason: *const c_char,
    completions: *const primer_completions_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        // SAFETY: the header's promise.
        let reason = unsafe { text("reason", reason) }?;
        let start = || Ok(queue.queue.reject(leased.delivery()?, reason));
        done_later(completions, ticket, start)
    })
}

/// primer_queue_release that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_release_start(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
    completions: *const primer_completions_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        let start = || Ok(queue.queue.release(leased.delivery()?));
        done_later(completions, ticket, start)
    })
}

/// primer_queue_extend that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_extend_start(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
    lease_ms: i64,
    completions: *const primer_completions_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        let lease = span("lease_ms", lease_ms)?;
        let start = || Ok(queue.queue.extend(leased.delivery()?, lease));
        done_later(completions, ticket, start)
    })
}
