//! primer_queue_t: a best-effort-order queue, its verbs that wait on the caller's thread.

use std::ffi::{CString, c_char, c_void};

use primer::Queue;

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_OK, primer_code_t};
use crate::delivery::{Leased, hand_out, primer_delivery_t};
use crate::handle::{borrow, free, give, held, look};
use crate::options::{
    enqueue_options, primer_enqueue_options_t, primer_receive_options_t, receive_options, span,
};
use crate::primer::{Place, done, primer_t};
use crate::table::Pin;
use crate::values::{
    handle_out, message, messages, out, out_or_null, primer_bytes_t, primer_receipt_t,
    receipts_out, slice, slice_out, text,
};

/// A queue as seen from one member. Free it with primer_queue_free; that changes nothing in the queue.
pub struct primer_queue_t {
    _opaque: (),
}

held!(NamedQueue, primer_queue_t, 7);

/// A queue, and its name as C reads it.
pub struct NamedQueue {
    pub queue: Queue,
    name: CString,
}

/// The queue of that name; it need not exist, first use makes it. Errors: 101, 201, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue(
    primer: *const primer_t,
    name: *const c_char,
    queue: *mut *mut primer_queue_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("queue", queue) }?;
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let name = unsafe { text("name", name) }?;
        let queue = NamedQueue {
            queue: place.primer.queue(name)?,
            name: terminated(name),
        };
        give(queue, out)?;
        Ok(PRIMER_OK)
    })
}

/// The queue's name, good until the handle is freed. "" for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_name(queue: *const primer_queue_t) -> *const c_char {
    contained(c"".as_ptr(), || {
        // SAFETY: the header's promise: not freed while the text is used.
        unsafe { look::<NamedQueue>(queue) }.map_or(c"".as_ptr(), |queue| queue.name.as_ptr())
    })
}

/// Frees the handle. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_free(queue: *mut primer_queue_t) {
    contained((), || free::<NamedQueue>(queue));
}

/// Puts a message into the queue: copies `body_len` bytes and waits until as many members as wanted
/// hold it. `options` and `receipt` may be NULL.
/// Errors: 101, 102 (if_no_group), 104, 201, 202, 203, 204, 301, 302 (another member was to take it and did
/// not answer: it may have happened), 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_enqueue(
    queue: *const primer_queue_t,
    body: *const c_void,
    body_len: usize,
    options: *const primer_enqueue_options_t,
    receipt: *mut primer_receipt_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let receipt_out = unsafe { out_or_null(receipt, primer_receipt_t::default()) };
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let (body, options) =
            unsafe { (message(body.cast(), body_len)?, enqueue_options(options)?) };
        let receipt = queue.queue.enqueue_with(body, &options).wait()?;
        receipt_out.put(receipt.into());
        Ok(PRIMER_OK)
    })
}

/// Puts `count` messages into the queue, 4,096 at most, all or none; they share the options. `options`
/// may be NULL; `receipts` is NULL, or has room for `count`. Errors: as primer_queue_enqueue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_enqueue_many(
    queue: *const primer_queue_t,
    bodies: *const primer_bytes_t,
    count: usize,
    options: *const primer_enqueue_options_t,
    receipts: *mut primer_receipt_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let room = unsafe { receipts_out(receipts, count) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let (bodies, options) = unsafe { (messages(bodies, count)?, enqueue_options(options)?) };
        let receipts = queue.queue.enqueue_many(bodies, &options).wait()?;
        for (to, from) in room.iter_mut().zip(receipts) {
            to.write(from.into());
        }
        Ok(PRIMER_OK)
    })
}

/// Leases up to `capacity` messages, 4,096 at most, oldest first: writes their handles and how many; the
/// caller frees each. `options` may be NULL: it does not wait. PRIMER_EMPTY when there was none in time.
/// Errors: 101, 201, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_receive(
    queue: *const primer_queue_t,
    options: *const primer_receive_options_t,
    deliveries: *mut *mut primer_delivery_t,
    capacity: usize,
    len: *mut usize,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let len = unsafe { out("len", len, 0) }?;
        // SAFETY: the header's promise.
        let room = unsafe { slice_out("deliveries", deliveries, capacity) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let options = unsafe { receive_options(options, capacity) }?;
        hand_out(queue.queue.receive(&options).wait()?, room, len)
    })
}

/// The message is finished: recorded here, told to every holder at once and until confirmed. A late ack
/// of an unfinished message succeeds. The delivery stays the caller's, to be freed.
/// Errors: 101, 402, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_ack(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        queue.queue.ack(leased.delivery()?)?;
        Ok(PRIMER_OK)
    })
}

/// Acks `count` deliveries, 4,096 at most. `codes` is NULL, or gets one code each: PRIMER_OK, or what
/// primer_queue_ack would have answered. The deliveries stay the caller's.
/// Errors: 101 and 104 (and none is acked), 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_ack_many(
    queue: *const primer_queue_t,
    deliveries: *const *mut primer_delivery_t,
    count: usize,
    codes: *mut primer_code_t,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        let room = if codes.is_null() { 0 } else { count };
        // SAFETY: the header's promise.
        let room = unsafe { slice_out("codes", codes, room) }?;
        // SAFETY: the header's promise.
        let handles = unsafe { slice("deliveries", deliveries, count) }?;
        let mut leased: Vec<Pin<'_, Leased>> = Vec::with_capacity(count);
        for handle in handles {
            leased.push(borrow(*handle)?);
        }
        let mut deliveries = Vec::with_capacity(count);
        for leased in &leased {
            deliveries.push(leased.delivery()?);
        }
        for (to, from) in room.iter_mut().zip(queue.queue.ack_many(&deliveries)?) {
            to.write(from.into());
        }
        Ok(PRIMER_OK)
    })
}

/// It failed: again after `delay_ms` (PRIMER_DEFAULT: 1 s, doubling with each attempt, 10 min at most,
/// unless the queue's backoff_ms and backoff_ms_max are set).
/// Errors: 101, 202, 302, 401, 402, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_nack(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
    delay_ms: i64,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        let delay = span("delay_ms", delay_ms)?;
        done(queue.queue.nack(leased.delivery()?, delay))
    })
}

/// It can never succeed: it goes to the queue `<queue>.dead` at once, with `reason` (of which 512 bytes
/// are kept) in its headers. Errors: 101, 202, 302, 401, 402, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_reject(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
    reason: *const c_char,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        // SAFETY: the header's promise.
        let reason = unsafe { text("reason", reason) }?;
        done(queue.queue.reject(leased.delivery()?, reason))
    })
}

/// It was not tried: again at once, for anyone, the attempt not counted.
/// Errors: 101, 202, 302, 401, 402, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_release(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        done(queue.queue.release(leased.delivery()?))
    })
}

/// Its lease lasts `lease_ms` from now (PRIMER_DEFAULT: the queue's setting, else the member's default).
/// Errors: 101, 202, 302, 401, 402, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_extend(
    queue: *const primer_queue_t,
    delivery: *const primer_delivery_t,
    lease_ms: i64,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        let leased = borrow::<Leased>(delivery)?;
        let lease = span("lease_ms", lease_ms)?;
        done(queue.queue.extend(leased.delivery()?, lease))
    })
}
