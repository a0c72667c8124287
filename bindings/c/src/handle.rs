//! The handles that C holds, and the one value that each owns.
//!
//! One type, one table, one owner: whoever got a handle from an output frees it, once.

use std::ffi::{CString, c_char};

use primer::{Error, ErrorKind, Result};

use crate::boundary::{contained, wrong};
use crate::table::{Pin, Table};
use crate::values::Out;

/// A value that C holds by a handle.
pub trait Held: Sized + Send + Sync + 'static {
    /// What C sees: a type without a body.
    type Opaque;
    /// The handle's name in messages.
    const NAME: &'static str;
    /// Where all values of this type are.
    fn table() -> &'static Table<Self>;
}

/// The value of a handle, alive until the answer is dropped. Errors: 101 when it is not live.
pub fn borrow<T: Held>(handle: *const T::Opaque) -> Result<Pin<'static, T>> {
    T::table()
        .pin(handle.addr() as u64)
        .ok_or_else(|| not_live::<T>(handle.is_null()))
}

/// The value of a handle, for reads whose result points into it. Errors: 101 when it is not live.
///
/// # Safety
/// The handle is not freed while the answer is used.
pub unsafe fn look<T: Held>(handle: *const T::Opaque) -> Result<&'static T> {
    // SAFETY: the caller's promise is the table's.
    unsafe { T::table().peek(handle.addr() as u64) }.ok_or_else(|| not_live::<T>(handle.is_null()))
}

/// A text of a handle's value; "" for a handle that is not live.
///
/// # Safety
/// The handle is not freed while the answer is used.
pub unsafe fn word<T: Held>(
    handle: *const T::Opaque,
    pick: impl FnOnce(&'static T) -> &'static CString,
) -> *const c_char {
    contained(c"".as_ptr(), || {
        // SAFETY: the caller's promise.
        unsafe { look::<T>(handle) }.map_or(c"".as_ptr(), |value| pick(value).as_ptr())
    })
}

/// Ends a handle; NULL, a freed or a foreign one is nothing.
pub fn free<T: Held>(handle: *const T::Opaque) {
    T::table().remove(handle.addr() as u64);
}

/// Ends several handles; NULLs, freed and foreign ones among them are nothing.
pub fn free_many<T: Held>(handles: &[*mut T::Opaque]) {
    T::table().remove_many(handles.iter().map(|handle| handle.addr() as u64));
}

/// Hands a value out: from now on it is the caller's. Errors: 201 when no handle is left.
pub fn give<T: Held>(value: T, out: Out<*mut T::Opaque>) -> Result<()> {
    let handle = T::table().insert(value).map_err(|_| full::<T>())?;
    out.put(pointer::<T>(handle));
    Ok(())
}

/// Hands several values out, as many as there are. Errors: as [`give`], and then none.
pub fn give_many<T: Held>(
    values: impl ExactSizeIterator<Item = T>,
    mut tell: impl FnMut(*mut T::Opaque),
) -> Result<()> {
    if T::table().insert_many(values, |handle| tell(pointer::<T>(handle))) {
        Ok(())
    } else {
        Err(full::<T>())
    }
}

fn pointer<T: Held>(handle: u64) -> *mut T::Opaque {
    std::ptr::without_provenance_mut(handle as usize)
}

fn not_live<T: Held>(is_null: bool) -> Error {
    wrong(
        T::NAME,
        if is_null {
            "is NULL"
        } else {
            "is not a live handle of this type"
        },
    )
}

fn full<T: Held>() -> Error {
    Error::new(ErrorKind::Full)
        .because("no handle is left")
        .with("type", T::NAME)
}

/// Declares a handle: its opaque type, the value behind it and its tag. cbindgen reads the opaque
/// types where they are written, so each module writes its own above this.
macro_rules! held {
    ($value:ty, $opaque:ident, $tag:literal) => {
        impl $crate::handle::Held for $value {
            type Opaque = $opaque;
            const NAME: &'static str = stringify!($opaque);
            fn table() -> &'static $crate::table::Table<Self> {
                static TABLE: $crate::table::Table<$value> = $crate::table::Table::new($tag);
                &TABLE
            }
        }
    };
}
pub(crate) use held;

/// How many handles of all types are not freed yet, in the whole process: for tests and for hunting
/// a leak.
#[unsafe(no_mangle)]
pub extern "C" fn primer_handles_live() -> usize {
    use crate::reader::Reader;
    use crate::{
        completion, delivery, event, keys, lists, primer, queue, subscription, topic, watch,
    };

    fn live<T: Held>() -> usize {
        T::table().live()
    }
    live::<primer::Place>()
        + live::<queue::NamedQueue>()
        + live::<subscription::Feed>()
        + live::<delivery::Leased>()
        + live::<Reader<::primer::Events>>()
        + live::<event::Told>()
        + live::<Reader<::primer::Topic>>()
        + live::<topic::Heard>()
        + live::<Reader<::primer::Watch>>()
        + live::<watch::Changed>()
        + live::<keys::Value>()
        + live::<keys::Entries>()
        + live::<completion::Late>()
        + live::<completion::Inbox>()
        + live::<lists::Members>()
        + live::<lists::Counters>()
}
