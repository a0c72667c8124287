//! Keys and values of the whole cluster: primer_put and its kin, primer_value_t, primer_entries_t.

use std::ffi::{CString, c_char, c_void};

use primer::Bytes;

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::handle::{borrow, free, give, held, look};
use crate::primer::{Place, primer_t};
use crate::values::{handle_out, message, out, primer_bytes_t, text, view};

/// What is under a key. Free it with primer_value_free; its bytes are good until then.
pub struct primer_value_t {
    _opaque: (),
}

held!(Value, primer_value_t, 14);

/// A value.
pub struct Value(Bytes);

/// Keys and their values at one moment. Free it with primer_entries_free; its texts and bytes are good
/// until then.
pub struct primer_entries_t {
    _opaque: (),
}

held!(Entries, primer_entries_t, 15);

/// Entries, their keys as C reads them.
pub struct Entries(Vec<Row>);

struct Row {
    key: CString,
    entry: primer::Entry,
}

/// A key and its value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_entry_t {
    /// The key.
    pub key: *const c_char,
    /// The value that is read.
    pub value: primer_bytes_t,
    /// When that was written, by its writer's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// How many values were written at the same time and lost to it: see primer_entries_other.
    pub others_len: usize,
}

/// Writes a value under `key` for the whole cluster: here at once, elsewhere soon. Of two writes that did
/// not know of each other the later one is read, and the other can be listed. A key has 1 to 255 bytes, a
/// value 64 KiB at most; it is copied, and may be NULL when it is empty. Never waits.
/// Errors: 101, 104, 201 (100,000 keys), 203 (200 writes a second; the message says for how long), 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_put(
    primer: *const primer_t,
    key: *const c_char,
    value: *const c_void,
    value_len: usize,
) -> primer_code_t {
    boundary(|| {
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let (key, value) = unsafe { (text("key", key)?, message(value.cast(), value_len)?) };
        place.primer.put(key, value)?;
        Ok(PRIMER_OK)
    })
}

/// What is under `key` as this member knows it; the caller frees it. PRIMER_EMPTY, and NULL, when there is
/// nothing. Never waits. Errors: 101, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_get(
    primer: *const primer_t,
    key: *const c_char,
    value: *mut *mut primer_value_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("value", value) }?;
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let key = unsafe { text("key", key) }?;
        let Some(value) = place.primer.get(key)? else {
            return Ok(PRIMER_EMPTY);
        };
        give(Value(value), out)?;
        Ok(PRIMER_OK)
    })
}

/// Removes `key` for the whole cluster; one that is not there is no error. A write that did not know of
/// it wins. Never waits. Errors: 101, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delete(
    primer: *const primer_t,
    key: *const c_char,
) -> primer_code_t {
    boundary(|| {
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        place.primer.delete(unsafe { text("key", key) }?)?;
        Ok(PRIMER_OK)
    })
}

/// The keys that begin with `prefix`, "" for all, ascending, with their values; there may be none. Never
/// waits. Errors: 101, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_list(
    primer: *const primer_t,
    prefix: *const c_char,
    entries: *mut *mut primer_entries_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("entries", entries) }?;
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let prefix = unsafe { text("prefix", prefix) }?;
        let rows = place.primer.list(prefix)?.into_iter().map(|entry| Row {
            key: terminated(&entry.key),
            entry,
        });
        give(Entries(rows.collect()), out)?;
        Ok(PRIMER_OK)
    })
}

/// The value's bytes, good until it is freed. Nothing for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_value_bytes(value: *const primer_value_t) -> primer_bytes_t {
    contained(view(&[]), || {
        // SAFETY: the header's promise: not freed while its bytes are used.
        unsafe { look::<Value>(value) }.map_or(view(&[]), |value| view(&value.0))
    })
}

/// Frees a value. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_value_free(value: *mut primer_value_t) {
    contained((), || free::<Value>(value));
}

/// How many keys. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_entries_len(entries: *const primer_entries_t) -> usize {
    contained(0, || {
        borrow::<Entries>(entries).map_or(0, |entries| entries.0.len())
    })
}

/// Writes entry number `index`, from 0, in the order of the keys. PRIMER_EMPTY when there are no more.
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_entries_at(
    entries: *const primer_entries_t,
    index: usize,
    entry: *mut primer_entry_t,
) -> primer_code_t {
    boundary(|| {
        let none = primer_entry_t {
            key: c"".as_ptr(),
            value: view(&[]),
            at_ms: 0,
            others_len: 0,
        };
        // SAFETY: the header's promise.
        let out = unsafe { out("entry", entry, none) }?;
        // SAFETY: the header's promise: not freed while its texts and bytes are used.
        let Some(row) = unsafe { look::<Entries>(entries) }?.0.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(primer_entry_t {
            key: row.key.as_ptr(),
            value: view(&row.entry.value),
            at_ms: row.entry.at_ms,
            others_len: row.entry.others.len(),
        });
        Ok(PRIMER_OK)
    })
}

/// Writes value number `other`, from 0, of those that lost to entry `index`, newest first. PRIMER_EMPTY
/// when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_entries_other(
    entries: *const primer_entries_t,
    index: usize,
    other: usize,
    value: *mut primer_bytes_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("value", value, view(&[])) }?;
        // SAFETY: the header's promise: not freed while the bytes are used.
        let row = unsafe { look::<Entries>(entries) }?.0.get(index);
        let Some(other) = row.and_then(|row| row.entry.others.get(other)) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(view(other));
        Ok(PRIMER_OK)
    })
}

/// Frees the list. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_entries_free(entries: *mut primer_entries_t) {
    contained((), || free::<Entries>(entries));
}
