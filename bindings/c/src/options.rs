//! Option structs, and what their numbers mean.
//!
//! They begin with their size, so that they can grow at the end: a program that was built against an
//! older header hands in a shorter struct and the rest keeps its default. PRIMER_DEFAULT is "not given"
//! everywhere, so that 0 stays a value like any other and the middle judges it.

use std::ffi::c_char;
use std::mem::size_of;
use std::ptr;
use std::time::{Duration, SystemTime};

use primer::{
    EnqueueOptions, Error, ErrorKind, IfNoGroup, OnShort, ReceiveOptions, Result, SubscribeOptions,
};

use crate::boundary::wrong;
use crate::values::{primer_bytes_t, primer_header_t, slice, text_or_null};

/// In an option or a time: take the default.
pub const PRIMER_DEFAULT: i64 = -1;
/// In a time to wait: no limit.
pub const PRIMER_FOREVER: i64 = -1;

/// on_short: accept with fewer copies than wanted; the receipt says how many.
pub const PRIMER_ON_SHORT_DEGRADE: i64 = 0;
/// on_short: answer PRIMER_E_COPIES_SHORT, or PRIMER_E_UNREACHABLE when surely nothing was sent.
pub const PRIMER_ON_SHORT_FAIL: i64 = 1;
/// on_short: as fail, but wait until the deadline for members to come.
pub const PRIMER_ON_SHORT_WAIT: i64 = 2;

/// if_no_group: it waits in the queue itself, for consumers without a group.
pub const PRIMER_IF_NO_GROUP_HOLD: i64 = 0;
/// if_no_group: it is let go of; the receipt says 0 copies.
pub const PRIMER_IF_NO_GROUP_DROP: i64 = 1;
/// if_no_group: answer PRIMER_E_NOT_FOUND.
pub const PRIMER_IF_NO_GROUP_REFUSE: i64 = 2;

/// Options of primer_open; begin with PRIMER_OPTIONS_INIT. NULL and PRIMER_DEFAULT take the default;
/// when everything is default, the member lives in memory alone, without a socket.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_options_t {
    /// sizeof(primer_options_t).
    pub size: usize,
    /// Which cluster, "default"; members of another one are refused.
    pub cluster: *const c_char,
    /// This member's name, none: the same name takes the same place again after a restart.
    pub name: *const c_char,
    /// Where to listen, "127.0.0.1:0", or "none".
    pub listen: *const c_char,
    /// Addresses that are dialled for ever, "host:port", comma separated.
    pub seeds: *const c_char,
    /// Copies of a message, this member's included: 2, or 1 while this member is alone.
    pub copies: i64,
    /// What to do with fewer copies: PRIMER_ON_SHORT_DEGRADE.
    pub on_short: i64,
    /// When "fewer" is decided: 5,000 ms.
    pub enqueue_timeout_ms: i64,
    /// How long a delivered message is its consumer's: 30,000 ms.
    pub lease_ms: i64,
    /// An owner unreachable for this long loses its messages to a holder of a copy: 10,000 ms.
    pub takeover_after_ms: i64,
    /// Budget for held messages, in bytes: 1 GiB, or a quarter of what the control group allows if that is
    /// less. From 70 % of it on another member with room accepts what is new; an enqueue for which nobody has
    /// room answers PRIMER_E_OVERLOADED.
    pub memory_bytes_max: i64,
    /// Largest body, in bytes: 512 KiB. Beyond it enqueue answers PRIMER_E_TOO_LARGE.
    pub body_bytes_max: i64,
    /// What others are told to dial, "host:port", where that is not the address it listens at.
    pub advertise: *const c_char,
    /// How members are looked for, beside seeds: "local", among the processes of this user on this machine,
    /// or "none". NULL: "local" exactly when a cluster is named, and neither seeds nor a place to listen at.
    pub discover: *const c_char,
    /// A directory of this member's own, made when it is missing, none: it is the same member again after
    /// a restart. One process at a time.
    pub data_dir: *const c_char,
    /// A member without a name and a data directory that was unreachable for this long, an hour, is taken
    /// out of the set; it loses nothing, and is in it again when it comes back.
    pub retire_after_ms: i64,
    /// The cluster's secret, none, or up to three, comma separated: all are proven, all are accepted. Links
    /// are encrypted, and another machine's addresses may be used.
    pub secret: *const c_char,
    /// Certificates instead of a secret: paths of PEM files. Who may be a member,
    pub tls_ca: *const c_char,
    /// this member's certificate,
    pub tls_cert: *const c_char,
    /// and the key of it.
    pub tls_key: *const c_char,
    /// Given out this often, a message is a dead letter: it goes on in the queue `<queue>.dead`: 16.
    pub max_attempts: i64,
    /// A member unreachable for this long is no holder any more: its copies are made elsewhere: 60,000.
    pub repair_after_ms: i64,
    /// What fails together with this member (a host, a rack, a data centre), none, by a name that its
    /// neighbours there have, too: copies go to other zones first.
    pub zone: *const c_char,
    /// How the members that get copies are chosen: "sticky", the default, from few sets of members at a
    /// time, or "shuffle_each", anew for each enqueue.
    pub placement: *const c_char,
}

/// Options of an enqueue; begin with PRIMER_ENQUEUE_OPTIONS_INIT. PRIMER_DEFAULT takes the member's.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_enqueue_options_t {
    /// sizeof(primer_enqueue_options_t).
    pub size: usize,
    /// Copies wanted, this member's included.
    pub copies: i64,
    /// What to do with fewer: PRIMER_ON_SHORT_DEGRADE, _FAIL or _WAIT.
    pub on_short: i64,
    /// When "fewer" is decided, in ms.
    pub timeout_ms: i64,
    /// Headers, 64 of them and 16 KiB together at most; NULL for none. Copied.
    pub headers: *const primer_header_t,
    /// How many.
    pub headers_len: usize,
    /// In which order it is given out, 0 (last) to 9 (first): 4.
    pub priority: i64,
    /// Given out only after so long, in ms, a year at most: at once.
    pub delay_ms: i64,
    /// Given out only from then on, in ms since 1970; instead of delay_ms. A past date is now.
    pub at_ms: i64,
    /// Not given out after so long, in ms: it expires. For ever.
    pub ttl_ms: i64,
    /// Given out this often it is a dead letter, in the queue `<queue>.dead`: the owner's.
    pub max_attempts: i64,
    /// 1: finished when it is given out: one copy, never repeated, lost with its member. 0, the default:
    /// repeated until it is acked.
    pub at_most_once: i64,
    /// What becomes of it where the queue has no group: PRIMER_IF_NO_GROUP_HOLD, _DROP or _REFUSE.
    pub if_no_group: i64,
    /// Messages of one key are given out in line, one at a time: UTF-8, 1 to 255 bytes; NULL for none. Copied.
    pub key: *const c_char,
    /// Within dedup_window_ms messages of a queue with the same are one, and the receipt says so: UTF-8, 1 to 255
    /// bytes; NULL for none. 101 for more than one message, for primer_queue_call, and with at_most_once. Copied.
    pub dedup: *const c_char,
    /// How long that is, in ms, from the first one on, a week at most: 300,000. 101 without dedup. Another window
    /// is another key.
    pub dedup_window_ms: i64,
}

/// Options of a receive; begin with PRIMER_RECEIVE_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_receive_options_t {
    /// sizeof(primer_receive_options_t).
    pub size: usize,
    /// How long to wait for the first message, in ms, a day at most: 0, not at all.
    pub wait_ms: i64,
    /// How long what is received is the caller's, in ms; PRIMER_DEFAULT takes the member's.
    pub lease_ms: i64,
    /// In which group, NULL for the queue itself; one that does not exist is created. Copied.
    pub group: *const c_char,
    /// 1: a group that is created gets what waits in the queue, too. 0, the default: only what comes from
    /// then on.
    pub backlog: i64,
}

/// Options of a subscription; begin with PRIMER_SUBSCRIBE_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_subscribe_options_t {
    /// sizeof(primer_subscribe_options_t).
    pub size: usize,
    /// Unsettled deliveries at most, 1 to 65,536: 64.
    pub credit: i64,
    /// How long what is delivered is the caller's, in ms; PRIMER_DEFAULT takes the member's.
    pub lease_ms: i64,
    /// In which group, NULL for the queue itself; one that does not exist is created. Copied.
    pub group: *const c_char,
    /// 1: a group that is created gets what waits in the queue, too. 0, the default: only what comes from
    /// then on.
    pub backlog: i64,
    /// Nothing more while the bodies of unsettled deliveries are this many bytes or more together; one
    /// message is always allowed. PRIMER_DEFAULT sets no such bound.
    pub credit_bytes: i64,
    /// For so long, in ms, Primer's own thread extends the lease of an unsettled delivery, also while the
    /// program is busy; then it runs out as usual. PRIMER_DEFAULT: not at all.
    pub max_run_ms: i64,
}

/// A struct that begins with its size.
///
/// # Safety
/// Any bytes are a value of the type (integers and raw pointers only), and its first field is the size.
pub unsafe trait Sized0: Copy {
    /// As the INIT macro has it.
    const INIT: Self;
    /// The sizes that it has had, this version's last.
    const SIZES: &'static [usize];
}

// SAFETY: integers and raw pointers; the size is first.
unsafe impl Sized0 for primer_options_t {
    const INIT: Self = Self {
        size: size_of::<Self>(),
        cluster: ptr::null(),
        name: ptr::null(),
        listen: ptr::null(),
        seeds: ptr::null(),
        copies: PRIMER_DEFAULT,
        on_short: PRIMER_DEFAULT,
        enqueue_timeout_ms: PRIMER_DEFAULT,
        lease_ms: PRIMER_DEFAULT,
        takeover_after_ms: PRIMER_DEFAULT,
        memory_bytes_max: PRIMER_DEFAULT,
        body_bytes_max: PRIMER_DEFAULT,
        advertise: ptr::null(),
        discover: ptr::null(),
        data_dir: ptr::null(),
        retire_after_ms: PRIMER_DEFAULT,
        secret: ptr::null(),
        tls_ca: ptr::null(),
        tls_cert: ptr::null(),
        tls_key: ptr::null(),
        max_attempts: PRIMER_DEFAULT,
        repair_after_ms: PRIMER_DEFAULT,
        zone: ptr::null(),
        placement: ptr::null(),
    };
    const SIZES: &'static [usize] = &[96, 160, 168, 176, 184, 192];
}

// SAFETY: integers and raw pointers; the size is first.
unsafe impl Sized0 for primer_enqueue_options_t {
    const INIT: Self = Self {
        size: size_of::<Self>(),
        copies: PRIMER_DEFAULT,
        on_short: PRIMER_DEFAULT,
        timeout_ms: PRIMER_DEFAULT,
        headers: ptr::null(),
        headers_len: 0,
        priority: PRIMER_DEFAULT,
        delay_ms: PRIMER_DEFAULT,
        at_ms: PRIMER_DEFAULT,
        ttl_ms: PRIMER_DEFAULT,
        max_attempts: PRIMER_DEFAULT,
        at_most_once: PRIMER_DEFAULT,
        if_no_group: PRIMER_DEFAULT,
        key: ptr::null(),
        dedup: ptr::null(),
        dedup_window_ms: PRIMER_DEFAULT,
    };
    const SIZES: &'static [usize] = &[48, 96, 104, 112, 128];
}

// SAFETY: integers and a raw pointer; the size is first.
unsafe impl Sized0 for primer_receive_options_t {
    const INIT: Self = Self {
        size: size_of::<Self>(),
        wait_ms: 0,
        lease_ms: PRIMER_DEFAULT,
        group: ptr::null(),
        backlog: PRIMER_DEFAULT,
    };
    const SIZES: &'static [usize] = &[24, 40];
}

// SAFETY: integers and a raw pointer; the size is first.
unsafe impl Sized0 for primer_subscribe_options_t {
    const INIT: Self = Self {
        size: size_of::<Self>(),
        credit: PRIMER_DEFAULT,
        lease_ms: PRIMER_DEFAULT,
        group: ptr::null(),
        backlog: PRIMER_DEFAULT,
        credit_bytes: PRIMER_DEFAULT,
        max_run_ms: PRIMER_DEFAULT,
    };
    const SIZES: &'static [usize] = &[24, 40, 56];
}

/// The options behind a pointer, the defaults when it is NULL. Errors: 101 for a size that no version
/// of the header had.
///
/// # Safety
/// `options` is NULL, or points to as many readable bytes as the size it begins with says.
pub unsafe fn options<T: Sized0>(options: *const T) -> Result<T> {
    let mut taken = T::INIT;
    if options.is_null() {
        return Ok(taken);
    }
    // SAFETY: the size comes first, in every version.
    let size = unsafe { options.cast::<usize>().read() };
    if !T::SIZES.contains(&size) || size > size_of::<T>() {
        return Err(wrong(
            "options",
            "have a size that this library does not know (begin with the INIT macro)",
        )
        .with("size", size)
        .with("size_known", size_of::<T>()));
    }
    // SAFETY: `size` bytes are readable and fit; any bytes are a value of the type.
    unsafe {
        ptr::copy_nonoverlapping(
            options.cast::<u8>(),
            ptr::from_mut(&mut taken).cast::<u8>(),
            size,
        );
    };
    Ok(taken)
}

/// How long to wait, or none for PRIMER_FOREVER. Errors: 101 for other negative numbers.
pub fn patience(wait_ms: i64) -> Result<Option<Duration>> {
    match wait_ms {
        PRIMER_FOREVER => Ok(None),
        _ => span("wait_ms", wait_ms),
    }
}

/// A time in ms, or none for PRIMER_DEFAULT. Errors: 101 for other negative numbers.
pub fn span(argument: &'static str, ms: i64) -> Result<Option<Duration>> {
    Ok(number(argument, ms)?.map(Duration::from_millis))
}

/// A number, or none for PRIMER_DEFAULT. Errors: 101 for one that does not fit.
pub fn number<T: TryFrom<i64>>(argument: &'static str, value: i64) -> Result<Option<T>> {
    if value == PRIMER_DEFAULT {
        return Ok(None);
    }
    T::try_from(value)
        .map(Some)
        .map_err(|_| wrong(argument, "is out of its range").with("value", value))
}

/// A date in ms since 1970, or none for PRIMER_DEFAULT. Errors: 101 for other negative numbers.
fn date(argument: &'static str, ms: i64) -> Result<Option<SystemTime>> {
    span(argument, ms)?.map_or(Ok(None), |since| {
        SystemTime::UNIX_EPOCH
            .checked_add(since)
            .map(Some)
            .ok_or_else(|| wrong(argument, "is out of its range").with("value", ms))
    })
}

/// 0 or PRIMER_DEFAULT for no, 1 for yes. Errors: 101.
pub fn is_set(argument: &'static str, value: i64) -> Result<bool> {
    match value {
        PRIMER_DEFAULT | 0 => Ok(false),
        1 => Ok(true),
        _ => Err(wrong(argument, "is 0 or 1").with("value", value)),
    }
}

/// on_short, or none for PRIMER_DEFAULT. Errors: 101.
pub fn on_short(value: i64) -> Result<Option<OnShort>> {
    match value {
        PRIMER_DEFAULT => Ok(None),
        PRIMER_ON_SHORT_DEGRADE => Ok(Some(OnShort::Degrade)),
        PRIMER_ON_SHORT_FAIL => Ok(Some(OnShort::Fail)),
        PRIMER_ON_SHORT_WAIT => Ok(Some(OnShort::Wait)),
        _ => Err(wrong("on_short", "is out of its range").with("value", value)),
    }
}

/// if_no_group. Errors: 101.
fn if_no_group(value: i64) -> Result<IfNoGroup> {
    match value {
        PRIMER_DEFAULT | PRIMER_IF_NO_GROUP_HOLD => Ok(IfNoGroup::Hold),
        PRIMER_IF_NO_GROUP_DROP => Ok(IfNoGroup::Drop),
        PRIMER_IF_NO_GROUP_REFUSE => Ok(IfNoGroup::Refuse),
        _ => Err(wrong("if_no_group", "is out of its range").with("value", value)),
    }
}

/// Options of an enqueue.
///
/// # Safety
/// As [`options`]; its headers and their texts, and its keys, are readable for this call.
pub unsafe fn enqueue_options(given: *const primer_enqueue_options_t) -> Result<EnqueueOptions> {
    if given.is_null() {
        return Ok(EnqueueOptions::default());
    }
    // SAFETY: the caller's promise.
    let given = unsafe { options(given) }?;
    // SAFETY: the caller's promise.
    let headers = unsafe { headers(given.headers, given.headers_len) }?;
    Ok(EnqueueOptions {
        copies: number("copies", given.copies)?,
        on_short: on_short(given.on_short)?,
        timeout: span("timeout_ms", given.timeout_ms)?,
        headers,
        priority: number("priority", given.priority)?,
        delay: span("delay_ms", given.delay_ms)?,
        at: date("at_ms", given.at_ms)?,
        ttl: span("ttl_ms", given.ttl_ms)?,
        max_attempts: number("max_attempts", given.max_attempts)?,
        at_most_once: is_set("at_most_once", given.at_most_once)?,
        if_no_group: if_no_group(given.if_no_group)?,
        // SAFETY: the caller's promise.
        key: unsafe { text_or_null("key", given.key) }?.map(str::to_owned),
        // SAFETY: the caller's promise.
        dedup: unsafe { text_or_null("dedup", given.dedup) }?.map(str::to_owned),
        dedup_window: span("dedup_window_ms", given.dedup_window_ms)?,
    })
}

/// Headers of a message or a reply.
///
/// # Safety
/// As [`slice`], for this call, and so are their texts.
pub unsafe fn headers(data: *const primer_header_t, len: usize) -> Result<Vec<(String, String)>> {
    // SAFETY: the caller's promise.
    unsafe { slice("headers", data, len) }?
        .iter()
        // SAFETY: the caller's promise.
        .map(|header| unsafe { Ok((header_text(header.key)?, header_text(header.value)?)) })
        .collect()
}

/// # Safety
/// As [`slice`], for this call.
unsafe fn header_text(bytes: primer_bytes_t) -> Result<String> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { slice("header", bytes.data, bytes.len) }?;
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| wrong("header", "is not UTF-8"))
}

/// # Safety
/// As [`text_or_null`], for this call.
unsafe fn group(name: *const c_char) -> Result<Option<String>> {
    // SAFETY: the caller's promise.
    Ok(unsafe { text_or_null("group", name) }?.map(str::to_owned))
}

/// Options of a receive of up to `max`.
///
/// # Safety
/// As [`options`]; its group is readable for this call.
pub unsafe fn receive_options(
    given: *const primer_receive_options_t,
    max: usize,
) -> Result<ReceiveOptions> {
    // SAFETY: the caller's promise.
    let given = unsafe { options(given) }?;
    Ok(ReceiveOptions {
        max,
        wait: span("wait_ms", given.wait_ms)?.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument)
                .because("a receive waits a day at most")
                .with("wait_ms", given.wait_ms)
        })?,
        lease: span("lease_ms", given.lease_ms)?,
        // SAFETY: the caller's promise.
        group: unsafe { group(given.group) }?,
        backlog: is_set("backlog", given.backlog)?,
    })
}

/// Options of a subscription.
///
/// # Safety
/// As [`options`]; its group is readable for this call.
pub unsafe fn subscribe_options(
    given: *const primer_subscribe_options_t,
) -> Result<SubscribeOptions> {
    // SAFETY: the caller's promise.
    let given = unsafe { options(given) }?;
    let usual = SubscribeOptions::default();
    Ok(SubscribeOptions {
        credit: number("credit", given.credit)?.unwrap_or(usual.credit),
        credit_bytes: number("credit_bytes", given.credit_bytes)?,
        lease: span("lease_ms", given.lease_ms)?,
        // SAFETY: the caller's promise.
        group: unsafe { group(given.group) }?,
        backlog: is_set("backlog", given.backlog)?,
        max_run: span("max_run_ms", given.max_run_ms)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known<T: Sized0>() {
        assert_eq!(T::SIZES.last(), Some(&size_of::<T>()));
        assert!(T::SIZES.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn every_version_of_each_struct_is_known_for_ever() {
        is_known::<primer_options_t>();
        is_known::<primer_enqueue_options_t>();
        is_known::<primer_receive_options_t>();
        is_known::<primer_subscribe_options_t>();
    }

    #[test]
    fn a_program_built_against_an_older_header_asks_for_no_terms() {
        let mut given = primer_enqueue_options_t::INIT;
        given.size = 48;
        given.copies = 2;
        // What stands behind its end is somebody else's.
        given.priority = 77;
        given.delay_ms = 5;
        given.at_most_once = 1;
        // SAFETY: the whole struct is readable, and there are no headers.
        let taken = unsafe { enqueue_options(&raw const given) }.unwrap();
        assert_eq!(taken.copies, Some(2));
        assert_eq!((taken.priority, taken.delay), (None, None));
        assert!(!taken.at_most_once);
    }

    #[test]
    fn a_program_built_against_an_older_header_names_no_group() {
        let mut given = primer_receive_options_t::INIT;
        given.size = 24;
        given.group = c"somebody else's".as_ptr();
        given.backlog = 77;
        // SAFETY: the whole struct is readable, and its group, too.
        let taken = unsafe { receive_options(&raw const given, 1) }.unwrap();
        assert_eq!((taken.group, taken.backlog), (None, false));
    }

    #[test]
    fn a_size_that_no_header_had_is_refused() {
        for size in [0, 1, 23, 25, 39, 41, usize::MAX] {
            let given = primer_receive_options_t {
                size,
                ..primer_receive_options_t::INIT
            };
            // SAFETY: the whole struct is readable; a wrong size is what is tested.
            let taken = unsafe { receive_options(&raw const given, 1) };
            assert_eq!(taken.unwrap_err().number(), 101);
        }
    }
}
