//! C's values and ours: pointers checked, texts read, answers written.
//!
//! The structs here stay as they are for ever; those that may grow are in `options`.

use std::ffi::{CStr, c_char};
use std::fmt::Write;
use std::mem::{MaybeUninit, size_of};
use std::ptr;

use primer::{Bytes, MessageId, Receipt, Result};

use crate::boundary::wrong;
use crate::code::{PRIMER_OK, primer_code_t};

/// Room for a message's identity as text, its NUL included.
pub const PRIMER_MESSAGE_ID_TEXT_MAX: usize = 38;

/// Small bodies of one batch share pieces of memory of this size: making a piece for each costs more
/// than enqueueing it. The last body left of a piece keeps all of it, so this stays near to what the
/// memory budget counts for any message beside its body (300 bytes).
const SHARED_BYTES_MAX: usize = 1_024;

/// Bytes that somebody else owns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_bytes_t {
    /// Where they are; may be NULL when there are none.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

/// A header of a message: two texts in UTF-8, not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_header_t {
    /// Its name.
    pub key: primer_bytes_t,
    /// Its value.
    pub value: primer_bytes_t,
}

/// A message's identity; the same in every language and on every member.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct primer_message_id_t {
    /// Which life of which process accepted the message.
    pub origin: u64,
    /// Its place in that life's order, from 1.
    pub sequence: u64,
}

/// An enqueue's honest answer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct primer_receipt_t {
    /// The message's identity.
    pub id: primer_message_id_t,
    /// Members that hold it, this one included.
    pub copies: u16,
    /// How many of them have it on disk; 0 while persistence is off.
    pub durable_copies: u16,
    /// Copies that were asked for.
    pub wanted: u16,
    /// 1 where its dedup key was known: the message is that of an earlier enqueue. Else 0.
    pub is_duplicate: u16,
}

/// Where an answer goes.
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Hands the answer out; nowhere when the caller passed NULL for one that it may leave out.
    pub fn put(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: whoever made this promised that it may be written.
            unsafe { self.0.write(value) };
        }
    }
}

/// An output that must be given; set to `empty` at once, so that it is never left unset.
///
/// # Safety
/// `output` is NULL, or may be written until the call ends.
pub unsafe fn out<T>(argument: &'static str, output: *mut T, empty: T) -> Result<Out<T>> {
    if output.is_null() {
        return Err(wrong(argument, "is NULL"));
    }
    // SAFETY: the caller's promise.
    unsafe { output.write(empty) };
    Ok(Out(output))
}

/// An output that may be NULL; else set to `empty` at once.
///
/// # Safety
/// As [`out`].
pub unsafe fn out_or_null<T>(output: *mut T, empty: T) -> Out<T> {
    if !output.is_null() {
        // SAFETY: the caller's promise.
        unsafe { output.write(empty) };
    }
    Out(output)
}

/// An output for a handle, NULL until there is one.
///
/// # Safety
/// As [`out`].
pub unsafe fn handle_out<T>(argument: &'static str, output: *mut *mut T) -> Result<Out<*mut T>> {
    // SAFETY: the caller's promise.
    unsafe { out(argument, output, ptr::null_mut()) }
}

/// `len` values behind a pointer, which may be NULL when there are none.
///
/// # Safety
/// `data` is NULL, or `len` values are readable there while the answer is used.
pub unsafe fn slice<'a, T>(argument: &'static str, data: *const T, len: usize) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    check_room(argument, data, len)?;
    // SAFETY: the caller's promise; not NULL and not longer than a slice may be.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// `count` keys with their values.
///
/// # Safety
/// `keys` and `values` are NULL or hold `count` texts that are NULL or end in a NUL, while the answer is used.
pub unsafe fn pairs<'a>(
    keys: *const *const c_char,
    values: *const *const c_char,
    count: usize,
) -> Result<Vec<(&'a str, &'a str)>> {
    // SAFETY: the caller's promise.
    let (keys, values) = unsafe { (slice("keys", keys, count)?, slice("values", values, count)?) };
    let pairs = keys.iter().zip(values);
    pairs
        // SAFETY: the caller's promise.
        .map(|(key, value)| unsafe { Ok((text("key", *key)?, text("value", *value)?)) })
        .collect()
}

/// Room for `len` values behind a pointer, which may be NULL when that is none.
///
/// # Safety
/// `data` is NULL, or `len` values may be written there until the call ends, by nobody else.
pub unsafe fn slice_out<'a, T>(
    argument: &'static str,
    data: *mut T,
    len: usize,
) -> Result<&'a mut [MaybeUninit<T>]> {
    if len == 0 {
        return Ok(&mut []);
    }
    check_room(argument, data, len)?;
    // SAFETY: the caller's promise; not NULL and not longer than a slice may be.
    Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), len) })
}

fn check_room<T>(argument: &'static str, data: *const T, len: usize) -> Result<()> {
    if data.is_null() {
        return Err(wrong(argument, "is NULL"));
    }
    // More bytes than a machine can address: a negative number that became a size.
    if len > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(wrong(argument, "is longer than memory").with("len", len));
    }
    Ok(())
}

/// A NUL-terminated text. Errors: 101 when it is NULL or not UTF-8.
///
/// # Safety
/// `text` is NULL, or ends in a NUL and stays while the answer is used.
pub unsafe fn text<'a>(argument: &'static str, text: *const c_char) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { text_or_null(argument, text) }?.ok_or_else(|| wrong(argument, "is NULL"))
}

/// A NUL-terminated text, or none for NULL. Errors: 101 when it is not UTF-8.
///
/// # Safety
/// As [`text`].
pub unsafe fn text_or_null<'a>(
    argument: &'static str,
    text: *const c_char,
) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str()
        .map(Some)
        .map_err(|_| wrong(argument, "is not UTF-8"))
}

/// One body as bytes of our own.
///
/// # Safety
/// As [`slice`], for this call.
pub unsafe fn message(data: *const u8, len: usize) -> Result<Bytes> {
    // SAFETY: the caller's promise.
    Ok(Bytes::copy_from_slice(unsafe { slice("body", data, len) }?))
}

/// Several bodies as bytes of our own.
///
/// # Safety
/// `bodies` is NULL or holds `count` of them, and each is readable for this call.
pub unsafe fn messages(bodies: *const primer_bytes_t, count: usize) -> Result<Vec<Bytes>> {
    // SAFETY: the caller's promise.
    let bodies = unsafe { slice("bodies", bodies, count) }?;
    let mut messages = Vec::with_capacity(bodies.len());
    let mut rest = bodies;
    while let Some(first) = rest.first() {
        let count = sharers(rest);
        let (together, others) = rest.split_at(count.max(1));
        rest = others;
        if count < 2 {
            // SAFETY: the caller's promise.
            messages.push(unsafe { message(first.data, first.len) }?);
            continue;
        }
        let mut room = Vec::with_capacity(together.iter().map(|bytes| bytes.len).sum());
        for bytes in together {
            // SAFETY: the caller's promise.
            room.extend_from_slice(unsafe { slice("body", bytes.data, bytes.len) }?);
        }
        let mut room = Bytes::from(room);
        messages.extend(together.iter().map(|bytes| room.split_to(bytes.len)));
    }
    Ok(messages)
}

/// How many of the first bodies are small enough, together, to lie in one piece of memory.
fn sharers(bodies: &[primer_bytes_t]) -> usize {
    let mut room = SHARED_BYTES_MAX;
    let fits = |bytes: &&primer_bytes_t| match room.checked_sub(bytes.len) {
        Some(left) if bytes.len <= SHARED_BYTES_MAX / 4 => {
            room = left;
            true
        }
        _ => false,
    };
    bodies.iter().take_while(fits).count()
}

/// Room for `count` receipts, or none for NULL.
///
/// # Safety
/// As [`slice_out`].
pub unsafe fn receipts_out<'a>(
    receipts: *mut primer_receipt_t,
    count: usize,
) -> Result<&'a mut [MaybeUninit<primer_receipt_t>]> {
    let room = if receipts.is_null() { 0 } else { count };
    // SAFETY: the caller's promise.
    unsafe { slice_out("receipts", receipts, room) }
}

impl From<MessageId> for primer_message_id_t {
    fn from(id: MessageId) -> Self {
        Self {
            origin: id.origin.0,
            sequence: id.sequence,
        }
    }
}

impl From<Receipt> for primer_receipt_t {
    fn from(receipt: Receipt) -> Self {
        Self {
            id: receipt.id.into(),
            copies: receipt.copies,
            durable_copies: receipt.durable_copies,
            wanted: receipt.wanted,
            is_duplicate: receipt.is_duplicate.into(),
        }
    }
}

/// What is not there, which an empty text is not.
pub const NO_BYTES: primer_bytes_t = primer_bytes_t {
    data: ptr::null(),
    len: 0,
};

/// Views of our own bytes.
pub fn view(bytes: &[u8]) -> primer_bytes_t {
    primer_bytes_t {
        data: bytes.as_ptr(),
        len: bytes.len(),
    }
}

/// Writes a message's identity as text, NUL-terminated, as every language shows it: 16 hexadecimal
/// digits, a minus, a decimal number. `text` has room for PRIMER_MESSAGE_ID_TEXT_MAX characters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_message_id_text(
    id: primer_message_id_t,
    text: *mut c_char,
) -> primer_code_t {
    crate::boundary::boundary(|| {
        // SAFETY: the header's promise: room for that many characters.
        let room = unsafe { slice_out("text", text.cast::<u8>(), PRIMER_MESSAGE_ID_TEXT_MAX) }?;
        let mut shown = String::with_capacity(PRIMER_MESSAGE_ID_TEXT_MAX);
        // Writing to a String cannot fail.
        let _ = write!(shown, "{:016x}-{}\0", id.origin, id.sequence);
        room.iter_mut().zip(shown.bytes()).for_each(|(to, from)| {
            to.write(from);
        });
        Ok(PRIMER_OK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_stays_as_it_is() {
        assert_eq!(size_of::<primer_receipt_t>(), 24);
    }

    #[test]
    fn bodies_arrive_as_they_are_however_they_lie_in_memory() {
        let lengths = [100; 25]
            .into_iter()
            .chain([0, 0, 256, 257, 1, SHARED_BYTES_MAX, 256, 256, 256, 256, 1])
            .chain([3, 5_000, 7]);
        let bodies: Vec<Vec<u8>> = lengths
            .zip(0..)
            .map(|(len, byte)| vec![byte; len])
            .collect();
        let views: Vec<primer_bytes_t> = bodies.iter().map(|body| view(body)).collect();
        // SAFETY: the bodies live until the end.
        let ours = unsafe { messages(views.as_ptr(), views.len()) }.unwrap();
        assert_eq!(ours, bodies);
    }

    #[test]
    fn only_small_bodies_share_memory_and_only_so_much_of_it() {
        let of = |lengths: &[usize]| {
            let bodies: Vec<Vec<u8>> = lengths.iter().map(|len| vec![0; *len]).collect();
            let views: Vec<primer_bytes_t> = bodies.iter().map(|body| view(body)).collect();
            sharers(&views)
        };
        assert_eq!(of(&[100; 100]), SHARED_BYTES_MAX / 100);
        assert_eq!(of(&[SHARED_BYTES_MAX / 4; 5]), 4);
        assert_eq!(of(&[1, 2, SHARED_BYTES_MAX / 4 + 1, 3]), 2);
        assert_eq!(of(&[SHARED_BYTES_MAX / 4 + 1, 1]), 0);
        assert_eq!(of(&[]), 0);
    }

    #[test]
    fn a_body_that_is_nowhere_refuses_its_batch() {
        let body = [1_u8; 4];
        let nowhere = primer_bytes_t {
            data: ptr::null(),
            len: 4,
        };
        let negative = primer_bytes_t {
            data: body.as_ptr(),
            len: usize::MAX,
        };
        for wrong in [nowhere, negative] {
            let views = [view(&body), view(&body), wrong, view(&body)];
            // SAFETY: those that are somewhere live until the end.
            let answer = unsafe { messages(views.as_ptr(), views.len()) };
            assert_eq!(answer.unwrap_err().number(), 101);
        }
    }

    #[test]
    fn the_longest_identity_fits_its_text() {
        let id = primer_message_id_t {
            origin: u64::MAX,
            sequence: u64::MAX,
        };
        let mut text = [1_u8; PRIMER_MESSAGE_ID_TEXT_MAX];
        // SAFETY: room enough.
        unsafe { primer_message_id_text(id, text.as_mut_ptr().cast()) };
        assert_eq!(&text[..], b"ffffffffffffffff-18446744073709551615\0");
    }
}
