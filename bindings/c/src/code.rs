//! The numbers that every function answers: house numbers, never reused, the same in every language.

use std::ffi::{CStr, c_char};

/// What every function that can fail answers: PRIMER_OK, PRIMER_EMPTY, PRIMER_LATER, or the number
/// of an error. An error's hundred says what to do: 1xx mend the call, 2xx try again later (nothing
/// happened), 3xx in doubt (retry if a duplicate is harmless), 4xx too late, 5xx this member must stop
/// or be opened again.
pub type primer_code_t = i32;

/// It is done.
pub const PRIMER_OK: primer_code_t = 0;
/// There is nothing (yet); not an error.
pub const PRIMER_EMPTY: primer_code_t = 1;
/// A `_start` function's answer will come through the completions, under the ticket it wrote.
pub const PRIMER_LATER: primer_code_t = 2;

/// An argument is out of its range, NULL where it must not be, not UTF-8, or a handle that is not live.
pub const PRIMER_E_INVALID_ARGUMENT: primer_code_t = 101;
/// There is nothing of that name.
pub const PRIMER_E_NOT_FOUND: primer_code_t = 102;
/// It exists already, with other properties.
pub const PRIMER_E_ALREADY_EXISTS: primer_code_t = 103;
/// The body, the headers or the batch is over the limit.
pub const PRIMER_E_TOO_LARGE: primer_code_t = 104;
/// A mapping's text cannot be read.
pub const PRIMER_E_BAD_RULE: primer_code_t = 105;
/// Not possible here: an address that is not loopback, a feature that is not built in.
pub const PRIMER_E_UNSUPPORTED: primer_code_t = 106;
/// The other member belongs to another cluster.
pub const PRIMER_E_CLUSTER_MISMATCH: primer_code_t = 107;
/// Another live process has this member's identity.
pub const PRIMER_E_IDENTITY_CONFLICT: primer_code_t = 108;
/// The queue is at its maximum length, or a table is full.
pub const PRIMER_E_FULL: primer_code_t = 201;
/// Nobody who could serve this can be reached, and nothing was sent.
pub const PRIMER_E_UNREACHABLE: primer_code_t = 202;
/// Too little room: this member's memory budget is used up and nobody took it instead, or the member that
/// has to take it is full, or too much is under way. Nothing was stored.
pub const PRIMER_E_OVERLOADED: primer_code_t = 203;
/// The queue is paused.
pub const PRIMER_E_PAUSED: primer_code_t = 204;
/// primer_leave could not hand over every copy in time; the member stays.
pub const PRIMER_E_LEFT_BEHIND: primer_code_t = 205;
/// Fewer copies than wanted by the deadline; the message may still be delivered.
pub const PRIMER_E_COPIES_SHORT: primer_code_t = 301;
/// The answer did not come, after something was sent.
pub const PRIMER_E_INTERRUPTED: primer_code_t = 302;
/// The append's sequence lies below the producer's window.
pub const PRIMER_E_TOO_OLD: primer_code_t = 303;
/// The lease ran out or was given to another; a late ack would still count.
pub const PRIMER_E_LEASE_LOST: primer_code_t = 401;
/// The message is finished already.
pub const PRIMER_E_ALREADY_DONE: primer_code_t = 402;
/// This member, subscription or reader is closed.
pub const PRIMER_E_CLOSED: primer_code_t = 501;
/// The operating system refused.
pub const PRIMER_E_IO: primer_code_t = 502;
/// Stored or received data is damaged.
pub const PRIMER_E_CORRUPT: primer_code_t = 503;
/// A failed sync stopped this store.
pub const PRIMER_E_POISONED: primer_code_t = 504;
/// A bug in Primer; the member closed itself.
pub const PRIMER_E_INTERNAL: primer_code_t = 599;

/// The version of this interface; it grows with every incompatible change, as the soname does.
pub const PRIMER_ABI_VERSION: u32 = 0;

const NAMES: &[(primer_code_t, &CStr)] = &[
    (PRIMER_OK, c"Ok"),
    (PRIMER_EMPTY, c"Empty"),
    (PRIMER_LATER, c"Later"),
    (PRIMER_E_INVALID_ARGUMENT, c"InvalidArgument"),
    (PRIMER_E_NOT_FOUND, c"NotFound"),
    (PRIMER_E_ALREADY_EXISTS, c"AlreadyExists"),
    (PRIMER_E_TOO_LARGE, c"TooLarge"),
    (PRIMER_E_BAD_RULE, c"BadRule"),
    (PRIMER_E_UNSUPPORTED, c"Unsupported"),
    (PRIMER_E_CLUSTER_MISMATCH, c"ClusterMismatch"),
    (PRIMER_E_IDENTITY_CONFLICT, c"IdentityConflict"),
    (PRIMER_E_FULL, c"Full"),
    (PRIMER_E_UNREACHABLE, c"Unreachable"),
    (PRIMER_E_OVERLOADED, c"Overloaded"),
    (PRIMER_E_PAUSED, c"Paused"),
    (PRIMER_E_LEFT_BEHIND, c"LeftBehind"),
    (PRIMER_E_COPIES_SHORT, c"CopiesShort"),
    (PRIMER_E_INTERRUPTED, c"Interrupted"),
    (PRIMER_E_TOO_OLD, c"TooOld"),
    (PRIMER_E_LEASE_LOST, c"LeaseLost"),
    (PRIMER_E_ALREADY_DONE, c"AlreadyDone"),
    (PRIMER_E_CLOSED, c"Closed"),
    (PRIMER_E_IO, c"Io"),
    (PRIMER_E_CORRUPT, c"Corrupt"),
    (PRIMER_E_POISONED, c"Poisoned"),
    (PRIMER_E_INTERNAL, c"Internal"),
];

/// The name of a code.
pub fn name(code: primer_code_t) -> &'static CStr {
    NAMES
        .iter()
        .find(|(known, _)| *known == code)
        .map_or(c"Unknown", |(_, name)| name)
}

/// The stable name of a code, "InvalidArgument" for 101; "Unknown" for a number that has none. Never
/// NULL, lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn primer_code_name(code: primer_code_t) -> *const c_char {
    name(code).as_ptr()
}

/// The PRIMER_ABI_VERSION of the library that was loaded, to compare with the header's.
#[unsafe(no_mangle)]
pub extern "C" fn primer_abi_version() -> u32 {
    PRIMER_ABI_VERSION
}

/// The version of the library that was loaded, such as "0.1.0". Lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn primer_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use primer::ErrorKind;

    #[test]
    fn the_codes_are_exactly_the_kinds_of_the_middle() {
        let ours: Vec<(u16, &str)> = NAMES
            .iter()
            .filter(|(code, _)| *code >= 100)
            .map(|(code, name)| (u16::try_from(*code).unwrap(), name.to_str().unwrap()))
            .collect();
        let theirs: Vec<(u16, &str)> = ErrorKind::ALL
            .iter()
            .map(|kind| (kind.number(), kind.name()))
            .collect();
        assert_eq!(ours, theirs);
        assert_eq!(name(77), c"Unknown");
    }
}
