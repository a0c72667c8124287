//! primer_watch_t and primer_change_t: keys that get another value.

use std::ffi::{CString, c_char, c_int};

use primer::{Bytes, Change, Watch};

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{PRIMER_COMPLETION_CHANGE, primer_completions_t};
use crate::handle::{borrow, free, give, held, look, word};
use crate::primer::{Place, primer_t};
use crate::reader::{self, Reader, news};
use crate::values::{handle_out, out, primer_bytes_t, text, view};

/// A reader of changes of the keys that begin with a prefix, from the moment it was made. 1,024 changes
/// and 8 MiB are kept for one that does not look. Free it with primer_watch_free, which closes it.
pub struct primer_watch_t {
    _opaque: (),
}

held!(Reader<Watch>, primer_watch_t, 12);
news!(Watch, Change, Changed, PRIMER_COMPLETION_CHANGE);

/// A key that has another value, or none. Free it with primer_change_free; its text and its value are good
/// until then.
pub struct primer_change_t {
    _opaque: (),
}

held!(Changed, primer_change_t, 13);

/// A change, its key as C reads it.
pub struct Changed {
    key: CString,
    value: Option<Bytes>,
}

/// Makes a reader of changes of the keys that begin with `prefix`, "" for all, from now on, whoever makes
/// them. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_watch(
    primer: *const primer_t,
    prefix: *const c_char,
    watch: *mut *mut primer_watch_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("watch", watch) }?;
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let prefix = unsafe { text("prefix", prefix) }?;
        give(Reader::new(place.primer.watch(prefix)), out)?;
        Ok(PRIMER_OK)
    })
}

/// The next change, waiting for up to `wait_ms` (0: not at all, or PRIMER_FOREVER); the caller frees it.
/// PRIMER_EMPTY when none came. Errors: 101, 501 when the reader or the member is closed and all were read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_watch_next(
    watch: *const primer_watch_t,
    wait_ms: i64,
    change: *mut *mut primer_change_t,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { reader::next::<Watch>(watch, wait_ms, "change", change) }
}

/// primer_watch_next that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_watch_next_start(
    watch: *const primer_watch_t,
    completions: *const primer_completions_t,
    change: *mut *mut primer_change_t,
    ticket: *mut u64,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { reader::next_start::<Watch>(watch, completions, "change", change, ticket) }
}

/// Takes up to `capacity` changes that are there: writes their handles and how many; the caller frees
/// each. PRIMER_EMPTY when there was none. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_watch_take(
    watch: *const primer_watch_t,
    taken: *mut *mut primer_change_t,
    capacity: usize,
    len: *mut usize,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { reader::take::<Watch>(watch, taken, capacity, len) }
}

/// How many changes this reader was too slow for. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_watch_missed(watch: *const primer_watch_t) -> u64 {
    reader::missed::<Watch>(watch)
}

/// A descriptor to poll for reading, as primer_subscription_fd.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_watch_fd(watch: *const primer_watch_t) -> c_int {
    reader::descriptor::<Watch>(watch)
}

/// Tells `completions`, with PRIMER_COMPLETION_READY and `token`, as primer_subscription_notify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_watch_notify(
    watch: *const primer_watch_t,
    completions: *const primer_completions_t,
    token: u64,
) -> primer_code_t {
    reader::notify::<Watch>(watch, completions, token)
}

/// Hears nothing more: threads that wait in it answer 501 now, and everyone does once what is here was
/// read. Idempotent; the handle stays, to be freed. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_watch_close(watch: *const primer_watch_t) -> primer_code_t {
    reader::close::<Watch>(watch)
}

/// Closes and frees the reader; threads that wait in it answer 501. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_watch_free(watch: *mut primer_watch_t) {
    reader::end::<Watch>(watch);
}

/// Which key. "" for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_change_key(change: *const primer_change_t) -> *const c_char {
    // SAFETY: the header's promise: not freed while the text is used.
    unsafe { word::<Changed>(change, |changed| &changed.key) }
}

/// Writes the key's value, good until the change is freed. PRIMER_EMPTY when the key was removed.
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_change_value(
    change: *const primer_change_t,
    value: *mut primer_bytes_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("value", value, view(&[])) }?;
        // SAFETY: the header's promise: not freed while the value is used.
        let Some(value) = &unsafe { look::<Changed>(change) }?.value else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(view(value));
        Ok(PRIMER_OK)
    })
}

/// Frees a change. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_change_free(change: *mut primer_change_t) {
    contained((), || free::<Changed>(change));
}

impl From<&Change> for Changed {
    fn from(change: &Change) -> Self {
        Self {
            key: terminated(&change.key),
            value: change.value.clone(),
        }
    }
}
