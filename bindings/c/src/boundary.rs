//! The way in and out: no panic passes, and an error is left where its thread finds it.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use primer::{Error, ErrorKind, Result};

use crate::code::{PRIMER_E_INTERNAL, PRIMER_OK, name, primer_code_t};

/// What went wrong in the last call of this thread that answered an error.
#[repr(C)]
pub struct primer_error_t {
    /// Its number, 100 or above; PRIMER_OK when this thread has seen no error yet.
    pub number: primer_code_t,
    /// The number's name, such as "CopiesShort". Never NULL, lives for ever.
    pub kind: *const c_char,
    /// One line for people: number, name, reason and the values that matter. Never NULL, good until
    /// this thread's next call that fails.
    pub message: *const c_char,
}

thread_local! {
    static LAST: RefCell<Option<(Error, Option<CString>)>> = const { RefCell::new(None) };
}

/// Runs a function's body: answers its code, or leaves its error as this thread's last one and answers
/// the number; a panic is 599.
pub fn boundary(body: impl FnOnce() -> Result<primer_code_t>) -> primer_code_t {
    // Nothing of the host's is broken half-way: the closure only reads arguments and writes outputs.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => leave(error),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("a panic without a text");
            leave(Error::new(ErrorKind::Internal).because(text))
        }
    }
}

/// Runs the body of a function that cannot fail but might panic; `otherwise` is its answer then.
pub fn contained<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Makes `error` this thread's last one and answers its number.
pub fn leave(error: Error) -> primer_code_t {
    let number = primer_code_t::from(error.number());
    // Gone only while the thread itself ends; the number still tells.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = Some((error, None));
        }
    });
    number
}

/// An error of the wrong-call kind about one argument.
pub fn wrong(argument: &'static str, reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because(reason)
        .with("argument", argument)
}

/// Writes what this thread's last failed call left and answers its number; PRIMER_OK when none
/// failed yet. A call that succeeds leaves it alone. `error` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_last_error(error: *mut primer_error_t) -> primer_code_t {
    contained(PRIMER_E_INTERNAL, || {
        let (number, message) = last();
        if !error.is_null() {
            let told = primer_error_t {
                number,
                kind: name(number).as_ptr(),
                message,
            };
            // SAFETY: the header's promise: an output is NULL or may be written.
            unsafe { error.write(told) };
        }
        number
    })
}

/// The message of this thread's last failed call; "" when none failed yet. Never NULL, good until
/// this thread's next call that fails.
#[unsafe(no_mangle)]
pub extern "C" fn primer_last_error_message() -> *const c_char {
    contained(c"".as_ptr(), || last().1)
}

/// Number and message of the last error. The message is made when it is asked for, so that a caller
/// who looks at numbers only pays nothing for it.
fn last() -> (primer_code_t, *const c_char) {
    let none = (PRIMER_OK, c"".as_ptr());
    LAST.try_with(|last| {
        let Ok(mut last) = last.try_borrow_mut() else {
            return none;
        };
        let Some((error, message)) = last.as_mut() else {
            return none;
        };
        let message = message.get_or_insert_with(|| terminated(&error.to_string()));
        (primer_code_t::from(error.number()), message.as_ptr())
    })
    .unwrap_or(none)
}

/// A text as C reads it; what stands behind a NUL inside it is shown as another character.
pub fn terminated(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// A text's address, or NULL.
pub fn address_of(text: Option<&CString>) -> *const c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn message() -> String {
        // SAFETY: never NULL and NUL-terminated; read before the next error.
        unsafe { CStr::from_ptr(primer_last_error_message()) }
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_panic_becomes_599_and_its_text_the_message() {
        assert_eq!(boundary(|| panic!("the {} broke", "shelf")), 599);
        assert_eq!(message(), "599 Internal: the shelf broke");
    }

    #[test]
    fn an_error_stays_until_the_next_one_and_only_in_its_thread() {
        let code = boundary(|| Err(wrong("name", "holds a NUL\0!")));
        assert_eq!(code, 101);
        assert_eq!(boundary(|| Ok(PRIMER_OK)), 0);
        assert_eq!(
            message(),
            "101 InvalidArgument: holds a NUL\u{fffd}! (argument = name)"
        );
        std::thread::spawn(|| assert_eq!(message(), ""))
            .join()
            .unwrap();
    }
}
