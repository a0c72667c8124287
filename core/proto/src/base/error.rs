//! The one error type and its numbers (house.md 4).
//!
//! The hundred says what the caller should do; a number is never reused. Every face shows the same
//! numbers: `tests/conformance/surface.toml` is the table that tidy compares them with.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A result whose error is Primer's.
pub type Result<T, E = Error> = core::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        /// What went wrong. The hundred of its number says what the caller should do:
        /// 1xx mend the call, 2xx try again later (nothing happened), 3xx in doubt (retry if a
        /// duplicate is harmless), 4xx too late, 5xx this member must stop or be opened again.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $name,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of its number.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$name),*];

            /// The stable number.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(ErrorKind::$name => $number,)* }
            }

            /// The stable name, as in the table.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(ErrorKind::$name => stringify!($name),)* }
            }

            /// The kind with that number.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<ErrorKind> {
                match number { $($number => Some(ErrorKind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// An argument is out of its range, or an option is unknown.
    InvalidArgument = 101,
    /// There is nothing of that name.
    NotFound = 102,
    /// It exists already, with other properties.
    AlreadyExists = 103,
    /// The body, the headers or the batch is over the limit.
    TooLarge = 104,
    /// A mapping's text cannot be read.
    BadRule = 105,
    /// Not possible here: a blocking call on a Primer thread, a feature that is not built in.
    Unsupported = 106,
    /// The other member belongs to another cluster.
    ClusterMismatch = 107,
    /// Another live process has this member's identity.
    IdentityConflict = 108,
    /// The queue is at its maximum length, or a table is full.
    Full = 201,
    /// Nobody who could serve this can be reached, and nothing was sent.
    Unreachable = 202,
    /// Too little room: of this member's memory budget, and of those that could take it instead; or too much is
    /// under way. Nothing was stored.
    Overloaded = 203,
    /// The queue is paused.
    Paused = 204,
    /// `leave` could not hand over every copy in time; the member stays.
    LeftBehind = 205,
    /// Fewer copies than wanted by the deadline; the message may still be delivered.
    CopiesShort = 301,
    /// The answer did not come, after something was sent.
    Interrupted = 302,
    /// The append's sequence lies below the producer's window.
    TooOld = 303,
    /// The lease ran out or was given to another; a late ack would still count.
    LeaseLost = 401,
    /// The message is finished already.
    AlreadyDone = 402,
    /// This member is closed.
    Closed = 501,
    /// The operating system refused.
    Io = 502,
    /// Stored or received data is damaged.
    Corrupt = 503,
    /// A failed sync stopped this store.
    Poisoned = 504,
    /// A bug in Primer; the member closed itself.
    Internal = 599,
}

/// What went wrong, why, and the values that matter. One pointer wide.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    kind: ErrorKind,
    reason: String,
    context: Vec<(&'static str, String)>,
}

impl Error {
    /// An error of that kind, without a reason yet.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Parts {
            kind,
            reason: String::new(),
            context: Vec::new(),
        }))
    }

    /// Adds what happened, as a phrase.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// Adds a value that matters. Never a body, never a secret.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The kind's stable number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.0.kind.number()
    }

    /// What happened, as a phrase; may be empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The values that matter, in the order they were added.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Error::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.0.kind.name())?;
        if !self.0.reason.is_empty() {
            write!(f, ": {}", self.0.reason)?;
        }
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            let lead = if index == 0 { " (" } else { ", " };
            write!(f, "{lead}{key} = {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_unique_and_leads_back_to_its_kind() {
        for pair in ErrorKind::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number());
        }
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_number(kind.number()), Some(*kind));
        }
    }

    #[test]
    fn an_error_tells_its_number_its_reason_and_its_values() {
        let error = Error::new(ErrorKind::CopiesShort)
            .because("two members answered")
            .with("wanted", 3);
        assert_eq!(
            error.to_string(),
            "301 CopiesShort: two members answered (wanted = 3)"
        );
        assert_eq!(core::mem::size_of::<Error>(), core::mem::size_of::<usize>());
    }
}
