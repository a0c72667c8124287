//! primer_events_t and primer_event_t: what happens to the cluster, as this member sees it.

use std::ffi::{CString, c_char, c_int};

use primer::{Event, Events};

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_OK, primer_code_t};
use crate::completion::{PRIMER_COMPLETION_EVENT, primer_completions_t};
use crate::handle::{borrow, free, give, held, word};
use crate::primer::{Place, primer_t};
use crate::reader::{self, Reader, news};
use crate::values::handle_out;

/// A reader of a member's events, from the moment it was made. 1,024 are kept for one that does not
/// look. Free it with primer_events_free.
pub struct primer_events_t {
    _opaque: (),
}

held!(Reader<Events>, primer_events_t, 4);
news!(Events, Event, Told, PRIMER_COMPLETION_EVENT);

/// Something that happened. Free it with primer_event_free; its texts are good until then.
pub struct primer_event_t {
    _opaque: (),
}

held!(Told, primer_event_t, 5);

/// An event, its texts as C reads them.
pub struct Told {
    at_ms: u64,
    kind: CString,
    member: CString,
    name: CString,
    detail: CString,
}

/// Makes a reader of what happens from now on. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events(
    primer: *const primer_t,
    events: *mut *mut primer_events_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("events", events) }?;
        let place = borrow::<Place>(primer)?;
        give(Reader::new(place.primer.events()), out)?;
        Ok(PRIMER_OK)
    })
}

/// The next event, waiting for up to `wait_ms` (0: not at all, or PRIMER_FOREVER); the caller frees it.
/// PRIMER_EMPTY when none came. Errors: 101, 501 when the member is closed and all were read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_next(
    events: *const primer_events_t,
    wait_ms: i64,
    event: *mut *mut primer_event_t,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { reader::next::<Events>(events, wait_ms, "event", event) }
}

/// primer_events_next that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_next_start(
    events: *const primer_events_t,
    completions: *const primer_completions_t,
    event: *mut *mut primer_event_t,
    ticket: *mut u64,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { reader::next_start::<Events>(events, completions, "event", event, ticket) }
}

/// Takes up to `capacity` events that are there: writes their handles and how many; the caller frees
/// each. PRIMER_EMPTY when there was none. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_take(
    events: *const primer_events_t,
    taken: *mut *mut primer_event_t,
    capacity: usize,
    len: *mut usize,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { reader::take::<Events>(events, taken, capacity, len) }
}

/// How many events this reader was too slow for. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_missed(events: *const primer_events_t) -> u64 {
    reader::missed::<Events>(events)
}

/// A descriptor to poll for reading, as primer_subscription_fd.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_fd(events: *const primer_events_t) -> c_int {
    reader::descriptor::<Events>(events)
}

/// Tells `completions`, with PRIMER_COMPLETION_READY and `token`, as primer_subscription_notify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_notify(
    events: *const primer_events_t,
    completions: *const primer_completions_t,
    token: u64,
) -> primer_code_t {
    reader::notify::<Events>(events, completions, token)
}

/// Frees the reader; threads that wait in it answer 501. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_free(events: *mut primer_events_t) {
    reader::end::<Events>(events);
}

/// When it happened, in milliseconds since 1970 by this machine's clock. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_at_ms(event: *const primer_event_t) -> u64 {
    contained(0, || borrow::<Told>(event).map_or(0, |told| told.at_ms))
}

/// What happened: "joined", "left", "suspect", "unreachable", "reachable", "split", "healed", "conflict",
/// "evicted", "takeover" or "refused"; later versions may add others. "" for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_kind(event: *const primer_event_t) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word::<Told>(event, |told| &told.kind) }
}

/// To which member, by its id. "" for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_member(event: *const primer_event_t) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word::<Told>(event, |told| &told.member) }
}

/// That member's name; may be "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_name(event: *const primer_event_t) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word::<Told>(event, |told| &told.name) }
}

/// Further words; may be "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_detail(event: *const primer_event_t) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word::<Told>(event, |told| &told.detail) }
}

/// Frees an event. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_free(event: *mut primer_event_t) {
    contained((), || free::<Told>(event));
}

impl From<&Event> for Told {
    fn from(event: &Event) -> Self {
        Self {
            at_ms: event.at_ms,
            kind: terminated(event.kind.name()),
            member: terminated(&event.member.to_string()),
            name: terminated(&event.name),
            detail: terminated(&event.detail),
        }
    }
}
