//! Dead letters that go back: primer_queue_redrive, primer_redriven_t.

use std::ffi::{CString, c_char};
use std::mem::size_of;
use std::ptr;
use std::sync::Mutex;

use primer::{MessageId, RedriveOptions, Redriven, Result};

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{later, primer_completions_t, ticket_out};
use crate::handle::{borrow, free, give, held, look};
use crate::options::{PRIMER_DEFAULT, Sized0, headers, is_set, number, options, span};
use crate::queue::{NamedQueue, primer_queue_t};
use crate::values::{handle_out, out, primer_header_t, slice, text, text_or_null};

/// Options of a redrive; begin with PRIMER_REDRIVE_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_redrive_options_t {
    /// sizeof(primer_redrive_options_t).
    pub size: usize,
    /// The queue that they go to, NULL for where each came from. Copied.
    pub to: *const c_char,
    /// At most this many of all members together, 1 to 1,000,000: 10,000.
    pub max: i64,
    /// Those that have all of these headers, such as primer-cause or primer-group; NULL for all. Copied.
    pub headers: *const primer_header_t,
    /// How many.
    pub headers_len: usize,
    /// These alone, by the ids that a browse shows, as primer_message_id_text writes them; NULL for all. Copied.
    pub ids: *const *const c_char,
    /// How many, 1,000 at most; 0 for all.
    pub ids_len: usize,
    /// 1: they are counted and stay where they are: 0.
    pub dry_run: i64,
    /// How long to wait for all members, in ms, 10 minutes at most: 30,000.
    pub timeout_ms: i64,
}

// SAFETY: integers and raw pointers; the size is first.
unsafe impl Sized0 for primer_redrive_options_t {
    const INIT: Self = Self {
        size: size_of::<Self>(),
        to: ptr::null(),
        max: PRIMER_DEFAULT,
        headers: ptr::null(),
        headers_len: 0,
        ids: ptr::null(),
        ids_len: 0,
        dry_run: PRIMER_DEFAULT,
        timeout_ms: PRIMER_DEFAULT,
    };
    const SIZES: &'static [usize] = &[72];
}

/// What became of a redrive, at the members that answered. Free it with primer_redriven_free; its texts are
/// good until then.
pub struct primer_redriven_t {
    _opaque: (),
}

held!(Told, primer_redriven_t, 25);

/// What became of a redrive, its texts as C reads them.
pub struct Told {
    redriven: Redriven,
    missing: Vec<CString>,
}

/// How many messages a redrive was about.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_redriven_counts_t {
    /// Ready and delayed ones that were meant, whatever the maximum.
    pub matched: u64,
    /// Those of them that are back, each as a message of its own with a new id.
    pub moved: u64,
    /// Those that stay because where they would go they were refused: paused, full, or their group is gone.
    pub refused: u64,
    /// Those that stay because they do not say where they came from, or may be in no two places.
    pub skipped: u64,
    /// Further ones that were meant, but a consumer has them.
    pub leased: u64,
}

/// Moves dead letters back to where they came from, at every member that answers in time: each to the group
/// that it was in, with its own headers, its attempts beginning anew; with `to`, messages of any queue to that
/// one. `options` may be NULL. Errors: 101, 203 with too many redrives at a time, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_redrive(
    queue: *const primer_queue_t,
    options: *const primer_redrive_options_t,
    redriven: *mut *mut primer_redriven_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("redriven", redriven) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let options = unsafe { redrive_options(options) }?;
        give(Told::from(queue.queue.redrive(&options).wait()?), out)?;
        Ok(PRIMER_OK)
    })
}

/// primer_queue_redrive that does not wait: see primer_queue_enqueue_start. What became of it is in the
/// completion, see primer_completion_redriven.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_redrive_start(
    queue: *const primer_queue_t,
    options: *const primer_redrive_options_t,
    completions: *const primer_completions_t,
    redriven: *mut *mut primer_redriven_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("redriven", redriven) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let options = unsafe { redrive_options(options) }?;
        let start = || Ok(queue.queue.redrive(&options));
        later(completions, ticket, start, |redriven| {
            give(Told::from(redriven), out)
        })
    })
}

/// Writes how many messages it was about. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_redriven_counts(
    redriven: *const primer_redriven_t,
    counts: *mut primer_redriven_counts_t,
) -> primer_code_t {
    boundary(|| {
        let none = primer_redriven_counts_t {
            matched: 0,
            moved: 0,
            refused: 0,
            skipped: 0,
            leased: 0,
        };
        // SAFETY: the header's promise.
        let out = unsafe { out("counts", counts, none) }?;
        let told = borrow::<Told>(redriven)?;
        out.put(primer_redriven_counts_t {
            matched: told.redriven.matched,
            moved: told.redriven.moved,
            refused: told.redriven.refused,
            skipped: told.redriven.skipped,
            leased: told.redriven.leased,
        });
        Ok(PRIMER_OK)
    })
}

/// How many members did not answer: unreachable, too busy, or too slow; what they moved is not known. 0 for a
/// handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_redriven_missing_len(redriven: *const primer_redriven_t) -> usize {
    contained(0, || {
        borrow::<Told>(redriven).map_or(0, |told| told.missing.len())
    })
}

/// Writes the id of missing member number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_redriven_missing_at(
    redriven: *const primer_redriven_t,
    index: usize,
    member: *mut *const c_char,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("member", member, c"".as_ptr()) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let Some(id) = unsafe { look::<Told>(redriven) }?.missing.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(id.as_ptr());
        Ok(PRIMER_OK)
    })
}

/// Frees it. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_redriven_free(redriven: *mut primer_redriven_t) {
    contained((), || free::<Told>(redriven));
}

/// What became of a redrive in a late answer until it is taken.
pub type Waiting = Mutex<Option<Redriven>>;

impl From<Redriven> for Told {
    fn from(redriven: Redriven) -> Self {
        let missing = redriven.missing.iter().map(ToString::to_string);
        Self {
            missing: missing.map(|id| terminated(&id)).collect(),
            redriven,
        }
    }
}

/// Options of a redrive.
///
/// # Safety
/// As [`options`]; its texts, headers and ids are readable for this call.
unsafe fn redrive_options(given: *const primer_redrive_options_t) -> Result<RedriveOptions> {
    // SAFETY: the caller's promise.
    let given = unsafe { options(given) }?;
    let usual = RedriveOptions::default();
    // SAFETY: the caller's promise.
    let (to, headers, ids) = unsafe {
        (
            text_or_null("to", given.to)?,
            headers(given.headers, given.headers_len)?,
            ids(given.ids, given.ids_len)?,
        )
    };
    Ok(RedriveOptions {
        to: to.map(str::to_owned),
        max: number("max", given.max)?.unwrap_or(usual.max),
        headers,
        ids,
        dry_run: is_set("dry_run", given.dry_run)?,
        timeout: span("timeout_ms", given.timeout_ms)?.unwrap_or(usual.timeout),
    })
}

/// Messages by their ids. Errors: 101.
///
/// # Safety
/// As [`slice`], for this call, and so are its texts.
unsafe fn ids(data: *const *const c_char, len: usize) -> Result<Vec<MessageId>> {
    // SAFETY: the caller's promise.
    let ids = unsafe { slice("ids", data, len) }?.iter();
    // SAFETY: the caller's promise.
    ids.map(|id| unsafe { text("ids", *id) }?.parse()).collect()
}
