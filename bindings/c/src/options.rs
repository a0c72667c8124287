//! Option structs, and what their numbers mean.
//!
//! They begin with their size, so that they can grow at the end: a program that was built against an
//! older header hands in a shorter struct and the rest keeps its default. PRIMER_DEFAULT is "not given"
//! everywhere, so that 0 stays a value like any other and the middle judges it.

use std::ffi::c_char;
use std::mem::size_of;
use std::ptr;
use std::time::Duration;

use primer::{EnqueueOptions, Error, ErrorKind, OnShort, ReceiveOptions, Result, SubscribeOptions};

use crate::boundary::wrong;
use crate::values::{primer_bytes_t, primer_header_t, slice};

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
    /// Budget for held messages, in bytes: 1 GiB. Beyond it enqueue answers PRIMER_E_OVERLOADED.
    pub memory_bytes_max: i64,
    /// Largest body, in bytes: 512 KiB. Beyond it enqueue answers PRIMER_E_TOO_LARGE.
    pub body_bytes_max: i64,
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
}

/// A struct that begins with its size.
///
/// # Safety
/// Any bytes are a value of the type (integers and raw pointers only), and its first field is the size.
pub unsafe trait Sized0: Copy {
    /// As the INIT macro has it.
    const INIT: Self;
    /// The size of its first version.
    const SIZE_MIN: usize;
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
    };
    const SIZE_MIN: usize = 96;
}

// SAFETY: integers and a raw pointer; the size is first.
unsafe impl Sized0 for primer_enqueue_options_t {
    const INIT: Self = Self {
        size: size_of::<Self>(),
        copies: PRIMER_DEFAULT,
        on_short: PRIMER_DEFAULT,
        timeout_ms: PRIMER_DEFAULT,
        headers: ptr::null(),
        headers_len: 0,
    };
    const SIZE_MIN: usize = 48;
}

// SAFETY: integers; the size is first.
unsafe impl Sized0 for primer_receive_options_t {
    const INIT: Self = Self {
        size: size_of::<Self>(),
        wait_ms: 0,
        lease_ms: PRIMER_DEFAULT,
    };
    const SIZE_MIN: usize = 24;
}

// SAFETY: integers; the size is first.
unsafe impl Sized0 for primer_subscribe_options_t {
    const INIT: Self = Self {
        size: size_of::<Self>(),
        credit: PRIMER_DEFAULT,
        lease_ms: PRIMER_DEFAULT,
    };
    const SIZE_MIN: usize = 24;
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
    if size < T::SIZE_MIN || size > size_of::<T>() {
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

/// Options of an enqueue.
///
/// # Safety
/// As [`options`]; its headers and their texts are readable for this call.
pub unsafe fn enqueue_options(given: *const primer_enqueue_options_t) -> Result<EnqueueOptions> {
    if given.is_null() {
        return Ok(EnqueueOptions::default());
    }
    // SAFETY: the caller's promise.
    let given = unsafe { options(given) }?;
    // SAFETY: the caller's promise.
    let headers = unsafe { slice("headers", given.headers, given.headers_len) }?;
    let headers = headers
        .iter()
        // SAFETY: the caller's promise.
        .map(|header| unsafe { Ok((header_text(header.key)?, header_text(header.value)?)) })
        .collect::<Result<Vec<_>>>()?;
    Ok(EnqueueOptions {
        copies: number("copies", given.copies)?,
        on_short: on_short(given.on_short)?,
        timeout: span("timeout_ms", given.timeout_ms)?,
        headers,
    })
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

/// Options of a receive of up to `max`.
///
/// # Safety
/// As [`options`].
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
    })
}

/// Options of a subscription.
///
/// # Safety
/// As [`options`].
pub unsafe fn subscribe_options(
    given: *const primer_subscribe_options_t,
) -> Result<SubscribeOptions> {
    // SAFETY: the caller's promise.
    let given = unsafe { options(given) }?;
    let usual = SubscribeOptions::default();
    Ok(SubscribeOptions {
        credit: number("credit", given.credit)?.unwrap_or(usual.credit),
        lease: span("lease_ms", given.lease_ms)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_of_each_struct_is_known_for_ever() {
        assert_eq!(size_of::<primer_options_t>(), primer_options_t::SIZE_MIN);
        assert_eq!(
            size_of::<primer_enqueue_options_t>(),
            primer_enqueue_options_t::SIZE_MIN
        );
        assert_eq!(
            size_of::<primer_receive_options_t>(),
            primer_receive_options_t::SIZE_MIN
        );
        assert_eq!(
            size_of::<primer_subscribe_options_t>(),
            primer_subscribe_options_t::SIZE_MIN
        );
    }

    #[test]
    fn a_size_that_no_header_had_is_refused() {
        for size in [0, 1, 23, 25, usize::MAX] {
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
