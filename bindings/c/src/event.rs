//! primer_events_t and primer_event_t: what happens to the cluster, as this member sees it.

use std::ffi::{CString, c_char, c_int};

use primer::{Event, Events, Pending, Result};

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{Inbox, later, primer_completions_t, ticket_out};
use crate::handle::{borrow, free, give, give_many, held, look};
use crate::options::patience;
use crate::primer::{Place, primer_t};
use crate::subscription::Bell;
use crate::values::{handle_out, out, slice_out};

/// A reader of a member's events, from the moment it was made. 1,024 are kept for one that does not
/// look. Free it with primer_events_free.
pub struct primer_events_t {
    _opaque: (),
}

held!(Reader, primer_events_t, 4);

/// A reader, and its descriptor once somebody asked for it.
pub struct Reader {
    events: Events,
    bell: Bell,
}

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
        let reader = Reader {
            events: place.primer.events(),
            bell: Bell::default(),
        };
        give(reader, out)?;
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
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("event", event) }?;
        let reader = borrow::<Reader>(events)?;
        let mut next = wait(reader.events.next(), wait_ms)?;
        if next.is_none() && reader.bell.reset() {
            // One may have come between the look and the reset: look again, or it would not ring.
            next = wait(reader.events.next(), 0)?;
            reader.listen();
        }
        let Some(event) = next else {
            return Ok(PRIMER_EMPTY);
        };
        give(Told::new(&event), out)?;
        Ok(PRIMER_OK)
    })
}

/// primer_events_next that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_next_start(
    events: *const primer_events_t,
    completions: *const primer_completions_t,
    event: *mut *mut primer_event_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("event", event) }?;
        let reader = borrow::<Reader>(events)?;
        let start = || Ok(reader.events.next());
        later(completions, ticket, start, |event| {
            give(Told::new(&event), out)
        })
    })
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
    boundary(|| {
        // SAFETY: the header's promise.
        let len = unsafe { out("len", len, 0) }?;
        // SAFETY: the header's promise.
        let mut room = unsafe { slice_out("taken", taken, capacity) }?.iter_mut();
        let reader = borrow::<Reader>(events)?;
        let mut events = reader.events.take(capacity);
        if events.is_empty() && reader.bell.reset() {
            events = reader.events.take(capacity);
            reader.listen();
        }
        let count = events.len();
        give_many(events.iter().map(Told::new), |handle| {
            if let Some(place) = room.next() {
                place.write(handle);
            }
        })?;
        len.put(count);
        Ok(if count == 0 { PRIMER_EMPTY } else { PRIMER_OK })
    })
}

/// How many events this reader was too slow for. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_missed(events: *const primer_events_t) -> u64 {
    contained(0, || {
        borrow::<Reader>(events).map_or(0, |reader| reader.events.missed())
    })
}

/// A descriptor to poll for reading, as primer_subscription_fd.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_fd(events: *const primer_events_t) -> c_int {
    contained(-1, || {
        let Ok(reader) = borrow::<Reader>(events) else {
            return -1;
        };
        let (descriptor, is_new) = reader.bell.descriptor();
        if is_new {
            reader.listen();
        }
        descriptor
    })
}

/// Tells `completions`, with PRIMER_COMPLETION_READY and `token`, as primer_subscription_notify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_notify(
    events: *const primer_events_t,
    completions: *const primer_completions_t,
    token: u64,
) -> primer_code_t {
    boundary(|| {
        let reader = borrow::<Reader>(events)?;
        let inbox = borrow::<Inbox>(completions)?;
        reader.events.notify(&inbox.completions, token);
        Ok(PRIMER_OK)
    })
}

/// Frees the reader. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_events_free(events: *mut primer_events_t) {
    contained((), || free::<Reader>(events));
}

/// When it happened, in milliseconds since 1970 by this machine's clock. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_at_ms(event: *const primer_event_t) -> u64 {
    contained(0, || borrow::<Told>(event).map_or(0, |told| told.at_ms))
}

/// What happened: "joined", "left", "unreachable", "reachable", "conflict" or "takeover"; later versions
/// may add others. "" for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_kind(event: *const primer_event_t) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word(event, |told| &told.kind) }
}

/// To which member, by its id. "" for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_member(event: *const primer_event_t) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word(event, |told| &told.member) }
}

/// That member's name; may be "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_name(event: *const primer_event_t) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word(event, |told| &told.name) }
}

/// Further words; may be "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_detail(event: *const primer_event_t) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word(event, |told| &told.detail) }
}

/// Frees an event. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_event_free(event: *mut primer_event_t) {
    contained((), || free::<Told>(event));
}

/// # Safety
/// The event is not freed while the answer is used.
unsafe fn word(
    event: *const primer_event_t,
    pick: impl FnOnce(&'static Told) -> &'static CString,
) -> *const c_char {
    contained(c"".as_ptr(), || {
        // SAFETY: the caller's promise.
        unsafe { look::<Told>(event) }.map_or(c"".as_ptr(), |told| pick(told).as_ptr())
    })
}

/// Waits for an answer for as long as a caller said; none when it did not come.
fn wait<T>(mut pending: Pending<T>, wait_ms: i64) -> Result<Option<T>> {
    match patience(wait_ms)? {
        None => pending.wait().map(Some),
        Some(time) if time.is_zero() => pending.ready().transpose(),
        Some(time) => pending.wait_for(time).transpose(),
    }
}

impl Reader {
    /// Rings the bell from the next event on, and at once when there is one.
    fn listen(&self) {
        self.bell
            .hang(|completions| self.events.notify(completions, 0));
    }
}

impl Told {
    pub fn new(event: &Event) -> Self {
        Self {
            at_ms: event.at_ms,
            kind: terminated(event.kind.name()),
            member: terminated(&event.member.to_string()),
            name: terminated(&event.name),
            detail: terminated(&event.detail),
        }
    }
}
