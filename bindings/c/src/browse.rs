//! Looking without taking: primer_queue_browse, primer_page_t.

use std::ffi::{CString, c_char};
use std::mem::size_of;
use std::ptr;
use std::sync::Mutex;

use primer::{BrowseOptions, Page, Result, State};

use crate::boundary::{address_of, boundary, contained, terminated, wrong};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{later, primer_completions_t, ticket_out};
use crate::handle::{borrow, free, give, held, look};
use crate::options::{PRIMER_DEFAULT, Sized0, headers, number, options, span};
use crate::queue::{NamedQueue, primer_queue_t};
use crate::values::{
    NO_BYTES, handle_out, out, primer_bytes_t, primer_header_t, primer_message_id_t, text_or_null,
    view,
};

/// A state: anyone may have the message.
pub const PRIMER_STATE_READY: i64 = 1;
/// A state: it waits for its time.
pub const PRIMER_STATE_DELAYED: i64 = 2;
/// A state: somebody has it.
pub const PRIMER_STATE_LEASED: i64 = 4;

/// Options of a browse; begin with PRIMER_BROWSE_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_browse_options_t {
    /// sizeof(primer_browse_options_t).
    pub size: usize,
    /// At most this many messages, 1 to 1,000: 100.
    pub max: i64,
    /// The cursor of the page before, NULL for the oldest message. Copied.
    pub after: *const c_char,
    /// Messages of that group, NULL for the queue's own; one that does not exist is not created. Copied.
    pub group: *const c_char,
    /// Those in one of these states: a sum of PRIMER_STATE_READY, _DELAYED, _LEASED. All.
    pub states: i64,
    /// Those that have all of these headers; NULL for none. Copied.
    pub headers: *const primer_header_t,
    /// How many.
    pub headers_len: usize,
    /// How much of each body comes along, in bytes: 65,536.
    pub body_bytes_max: i64,
    /// How long to wait for the other members, in ms, a minute at most: 2,000.
    pub timeout_ms: i64,
}

// SAFETY: integers and raw pointers; the size is first.
unsafe impl Sized0 for primer_browse_options_t {
    const INIT: Self = Self {
        size: size_of::<Self>(),
        max: PRIMER_DEFAULT,
        after: ptr::null(),
        group: ptr::null(),
        states: PRIMER_DEFAULT,
        headers: ptr::null(),
        headers_len: 0,
        body_bytes_max: PRIMER_DEFAULT,
        timeout_ms: PRIMER_DEFAULT,
    };
    const SIZES: &'static [usize] = &[72];
}

/// A part of a queue's messages, oldest first. Free it with primer_page_free; its texts and bytes are good
/// until then.
pub struct primer_page_t {
    _opaque: (),
}

held!(Shown, primer_page_t, 20);

/// A page, its texts as C reads them.
pub struct Shown {
    page: Page,
    group: Option<CString>,
    cursor: Option<CString>,
    missing: Vec<CString>,
    owners: Vec<CString>,
}

/// A message that was looked at: nobody has it for that, and it may be gone by now.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_browsed_t {
    /// Its identity, the same in every group.
    pub id: primer_message_id_t,
    /// The group; NULL for the queue's own.
    pub group: *const c_char,
    /// What it was doing: PRIMER_STATE_READY, _DELAYED or _LEASED.
    pub state: i64,
    /// The producer's bytes, the first of them.
    pub body: primer_bytes_t,
    /// How many there are.
    pub body_bytes: u64,
    /// How many headers it has; see primer_page_header.
    pub headers_len: usize,
    /// How often it was given out.
    pub attempts: u32,
    /// 0 (last) to 9 (first).
    pub priority: u32,
    /// When it was accepted, in ms since 1970 by the clock of the member that did.
    pub accepted_ms: u64,
    /// Of a delayed one, when it is ready, in ms since 1970; else 0.
    pub ready_at_ms: u64,
    /// When it expires, in ms since 1970; 0 for never.
    pub expires_ms: u64,
    /// Of a leased one, how long its lease lasts, in ms; else 0.
    pub lease_ms: u64,
    /// Members that are known to hold it.
    pub copies: u32,
    /// Always 0.
    pub reserved: u32,
    /// The id of the member that owns it, 32 hexadecimal digits.
    pub owner: *const c_char,
}

/// Looks at messages without taking them, at every member that answers in time; changes nothing. `options`
/// may be NULL. The page may be shorter than `max` and not the last: that one has no cursor.
/// Errors: 101, 203 with too many browses at a time, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_browse(
    queue: *const primer_queue_t,
    options: *const primer_browse_options_t,
    page: *mut *mut primer_page_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("page", page) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let options = unsafe { browse_options(options) }?;
        give(Shown::from(queue.queue.browse(&options).wait()?), out)?;
        Ok(PRIMER_OK)
    })
}

/// primer_queue_browse that does not wait: see primer_queue_enqueue_start. The page is in the completion,
/// see primer_completion_page.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_browse_start(
    queue: *const primer_queue_t,
    options: *const primer_browse_options_t,
    completions: *const primer_completions_t,
    page: *mut *mut primer_page_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("page", page) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let options = unsafe { browse_options(options) }?;
        let start = || Ok(queue.queue.browse(&options));
        later(completions, ticket, start, |page| {
            give(Shown::from(page), out)
        })
    })
}

/// How many messages are on the page. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_page_len(page: *const primer_page_t) -> usize {
    contained(0, || {
        borrow::<Shown>(page).map_or(0, |shown| shown.page.messages.len())
    })
}

/// Writes message number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_page_at(
    page: *const primer_page_t,
    index: usize,
    browsed: *mut primer_browsed_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("browsed", browsed, nothing()) }?;
        // SAFETY: the header's promise: not freed while its bytes are used.
        let shown = unsafe { look::<Shown>(page) }?;
        let owner = shown.owners.get(index);
        let (Some(one), Some(owner)) = (shown.page.messages.get(index), owner) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(primer_browsed_t {
            id: one.id.into(),
            group: address_of(shown.group.as_ref()),
            state: one.state as i64,
            body: view(&one.body),
            body_bytes: one.body_bytes,
            headers_len: one.headers.len(),
            attempts: one.attempts,
            priority: u32::from(one.priority),
            accepted_ms: one.accepted_ms,
            ready_at_ms: one.ready_at_ms.unwrap_or_default(),
            expires_ms: one.expires_ms.unwrap_or_default(),
            lease_ms: one.lease_ms.unwrap_or_default(),
            copies: one.copies,
            reserved: 0,
            owner: owner.as_ptr(),
        });
        Ok(PRIMER_OK)
    })
}

/// Writes header number `header_index` of message number `index`, both from 0, in the producer's order.
/// PRIMER_EMPTY when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_page_header(
    page: *const primer_page_t,
    index: usize,
    header_index: usize,
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
        let shown = unsafe { look::<Shown>(page) }?;
        let message = shown.page.messages.get(index);
        let Some((key, value)) = message.and_then(|one| one.headers.get(header_index)) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(primer_header_t {
            key: view(key.as_bytes()),
            value: view(value.as_bytes()),
        });
        Ok(PRIMER_OK)
    })
}

/// The key of message number `index`, from 0. `data` is NULL for one without a key, and where there is no such
/// message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_page_key(
    page: *const primer_page_t,
    index: usize,
) -> primer_bytes_t {
    contained(NO_BYTES, || {
        // SAFETY: the header's promise: not freed while its bytes are used.
        let shown = unsafe { look::<Shown>(page) };
        let message = shown.ok().and_then(|shown| shown.page.messages.get(index));
        let key = message.and_then(|message| message.key.as_deref());
        key.map_or(NO_BYTES, |key| view(key.as_bytes()))
    })
}

/// The next page's `after`; NULL where this is the last one, or for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_page_cursor(page: *const primer_page_t) -> *const c_char {
    contained(ptr::null(), || {
        // SAFETY: the header's promise: not freed while its texts are used.
        unsafe { look::<Shown>(page) }
            .map_or(ptr::null(), |shown| address_of(shown.cursor.as_ref()))
    })
}

/// How many members' messages are not on the page: unreachable, too busy, or too slow. 0 for a handle that
/// is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_page_missing_len(page: *const primer_page_t) -> usize {
    contained(0, || {
        borrow::<Shown>(page).map_or(0, |shown| shown.missing.len())
    })
}

/// Writes the id of missing member number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_page_missing_at(
    page: *const primer_page_t,
    index: usize,
    member: *mut *const c_char,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("member", member, c"".as_ptr()) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let Some(id) = unsafe { look::<Shown>(page) }?.missing.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(id.as_ptr());
        Ok(PRIMER_OK)
    })
}

/// Frees a page. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_page_free(page: *mut primer_page_t) {
    contained((), || free::<Shown>(page));
}

/// A page in a late answer until it is taken.
pub type Waiting = Mutex<Option<Page>>;

impl From<Page> for Shown {
    fn from(page: Page) -> Self {
        let group = page.messages.first().and_then(|one| one.group.as_deref());
        let owners = page.messages.iter().map(|one| one.owner.to_string());
        let missing = page.missing.iter().map(ToString::to_string);
        Self {
            group: group.map(terminated),
            cursor: page.cursor.as_deref().map(terminated),
            missing: missing.map(|id| terminated(&id)).collect(),
            owners: owners.map(|id| terminated(&id)).collect(),
            page,
        }
    }
}

fn nothing() -> primer_browsed_t {
    primer_browsed_t {
        id: primer_message_id_t::default(),
        group: ptr::null(),
        state: 0,
        body: view(&[]),
        body_bytes: 0,
        headers_len: 0,
        attempts: 0,
        priority: 0,
        accepted_ms: 0,
        ready_at_ms: 0,
        expires_ms: 0,
        lease_ms: 0,
        copies: 0,
        reserved: 0,
        owner: c"".as_ptr(),
    }
}

/// Options of a browse.
///
/// # Safety
/// As [`options`]; its texts and headers are readable for this call.
unsafe fn browse_options(given: *const primer_browse_options_t) -> Result<BrowseOptions> {
    // SAFETY: the caller's promise.
    let given = unsafe { options(given) }?;
    let usual = BrowseOptions::default();
    // SAFETY: the caller's promise.
    let (after, group, headers) = unsafe {
        (
            text_or_null("after", given.after)?,
            text_or_null("group", given.group)?,
            headers(given.headers, given.headers_len)?,
        )
    };
    let bytes = number("body_bytes_max", given.body_bytes_max)?;
    Ok(BrowseOptions {
        max: number("max", given.max)?.unwrap_or(usual.max),
        after: after.map(str::to_owned),
        group: group.map(str::to_owned),
        states: states(given.states)?,
        headers,
        body_bytes_max: bytes.unwrap_or(usual.body_bytes_max),
        timeout: span("timeout_ms", given.timeout_ms)?.unwrap_or(usual.timeout),
    })
}

/// The states of a sum. Errors: 101.
fn states(sum: i64) -> Result<Vec<State>> {
    let all = PRIMER_STATE_READY | PRIMER_STATE_DELAYED | PRIMER_STATE_LEASED;
    let sum = if sum == PRIMER_DEFAULT { all } else { sum };
    if sum & !all != 0 {
        return Err(wrong("states", "is no sum of states").with("value", sum));
    }
    let states = State::ALL.into_iter();
    Ok(states.filter(|state| sum & *state as i64 != 0).collect())
}
