//! primer_topic_t and primer_broadcast_t: what members tell everyone who listens.

use std::ffi::{CString, c_char, c_int, c_void};

use primer::{Broadcast, Bytes, Topic};

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_OK, primer_code_t};
use crate::completion::{PRIMER_COMPLETION_BROADCAST, primer_completions_t};
use crate::handle::{borrow, free, give, held, look, word};
use crate::primer::{Place, primer_t};
use crate::reader::{self, Reader, news};
use crate::values::{handle_out, message, primer_bytes_t, text, view};

/// A reader of what is broadcast to one topic, from the moment it was made. 1,024 broadcasts and 8 MiB
/// are kept for one that does not look. Free it with primer_topic_free, which closes it.
pub struct primer_topic_t {
    _opaque: (),
}

held!(Reader<Topic>, primer_topic_t, 10);
news!(Topic, Broadcast, Heard, PRIMER_COMPLETION_BROADCAST);

/// What a member told everyone who listens to a topic. Free it with primer_broadcast_free; its texts and
/// its body are good until then.
pub struct primer_broadcast_t {
    _opaque: (),
}

held!(Heard, primer_broadcast_t, 11);

/// A broadcast, its texts as C reads them.
pub struct Heard {
    topic: CString,
    from: CString,
    body: Bytes,
}

/// Tells everyone in the cluster who listens to `topic`, this member included: at once, best effort,
/// nothing is stored and nobody answers. The body has 64 KiB at most and is copied; it may be NULL when
/// it is empty. Never waits. Errors: 101, 104, 203 (too much at a time; the message says for how long), 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_broadcast(
    primer: *const primer_t,
    topic: *const c_char,
    body: *const c_void,
    body_len: usize,
) -> primer_code_t {
    boundary(|| {
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let (topic, body) = unsafe { (text("topic", topic)?, message(body.cast(), body_len)?) };
        place.primer.broadcast(topic, body)?;
        Ok(PRIMER_OK)
    })
}

/// Makes a reader of what is broadcast to `topic` from now on, here and elsewhere. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_on(
    primer: *const primer_t,
    topic: *const c_char,
    reader: *mut *mut primer_topic_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("reader", reader) }?;
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let topic = unsafe { text("topic", topic) }?;
        give(Reader::new(place.primer.on(topic)?), out)?;
        Ok(PRIMER_OK)
    })
}

/// The next broadcast, waiting for up to `wait_ms` (0: not at all, or PRIMER_FOREVER); the caller frees
/// it. PRIMER_EMPTY when none came. Errors: 101, 501 when the reader or the member is closed and all were
/// read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_topic_next(
    topic: *const primer_topic_t,
    wait_ms: i64,
    broadcast: *mut *mut primer_broadcast_t,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { reader::next::<Topic>(topic, wait_ms, "broadcast", broadcast) }
}

/// primer_topic_next that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_topic_next_start(
    topic: *const primer_topic_t,
    completions: *const primer_completions_t,
    broadcast: *mut *mut primer_broadcast_t,
    ticket: *mut u64,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { reader::next_start::<Topic>(topic, completions, "broadcast", broadcast, ticket) }
}

/// Takes up to `capacity` broadcasts that are there: writes their handles and how many; the caller frees
/// each. PRIMER_EMPTY when there was none. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_topic_take(
    topic: *const primer_topic_t,
    taken: *mut *mut primer_broadcast_t,
    capacity: usize,
    len: *mut usize,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { reader::take::<Topic>(topic, taken, capacity, len) }
}

/// How many broadcasts this reader was too slow for. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_topic_missed(topic: *const primer_topic_t) -> u64 {
    reader::missed::<Topic>(topic)
}

/// A descriptor to poll for reading, as primer_subscription_fd.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_topic_fd(topic: *const primer_topic_t) -> c_int {
    reader::descriptor::<Topic>(topic)
}

/// Tells `completions`, with PRIMER_COMPLETION_READY and `token`, as primer_subscription_notify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_topic_notify(
    topic: *const primer_topic_t,
    completions: *const primer_completions_t,
    token: u64,
) -> primer_code_t {
    reader::notify::<Topic>(topic, completions, token)
}

/// Hears nothing more: threads that wait in it answer 501 now, and everyone does once what is here was
/// read. Idempotent; the handle stays, to be freed. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_topic_close(topic: *const primer_topic_t) -> primer_code_t {
    reader::close::<Topic>(topic)
}

/// Closes and frees the reader; threads that wait in it answer 501. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_topic_free(topic: *mut primer_topic_t) {
    reader::end::<Topic>(topic);
}

/// To which topic. "" for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_broadcast_topic(
    broadcast: *const primer_broadcast_t,
) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word::<Heard>(broadcast, |heard| &heard.topic) }
}

/// By which member, by its id. "" for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_broadcast_from(
    broadcast: *const primer_broadcast_t,
) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word::<Heard>(broadcast, |heard| &heard.from) }
}

/// What it said, good until the broadcast is freed. Nothing for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_broadcast_body(
    broadcast: *const primer_broadcast_t,
) -> primer_bytes_t {
    contained(view(&[]), || {
        // SAFETY: the header's promise: not freed while the body is used.
        unsafe { look::<Heard>(broadcast) }.map_or(view(&[]), |heard| view(&heard.body))
    })
}

/// Frees a broadcast. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_broadcast_free(broadcast: *mut primer_broadcast_t) {
    contained((), || free::<Heard>(broadcast));
}

impl From<&Broadcast> for Heard {
    fn from(broadcast: &Broadcast) -> Self {
        Self {
            topic: terminated(&broadcast.topic),
            from: terminated(&broadcast.from.to_string()),
            body: broadcast.body.clone(),
        }
    }
}
