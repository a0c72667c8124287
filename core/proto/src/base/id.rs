//! Identities and their text forms (protocol.md 1.1).
//!
//! A member is a place in a cluster, a boot one life of its process, a store one life of its copies.
//! What must never repeat (dots, message ids) hangs on a [`BootId`], never on a clock or a file.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::error::{Error, ErrorKind};

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $width:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $width, "x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let digits: usize = $width.parse().unwrap_or_default();
                let is_whole =
                    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                let number = <$int>::from_str_radix(text, 16).ok().filter(|_| is_whole);
                number.map($name).ok_or_else(|| {
                    let shown: String = text.chars().take(100).collect();
                    Error::new(ErrorKind::InvalidArgument)
                        .because(concat!("an id is ", $width, " hexadecimal digits"))
                        .with(stringify!($name), shown)
                })
            }
        }
    };
}

hex_id!(
    /// Which cluster: a hash of its name. Handshakes of another cluster are refused, because
    /// merging two clusters cannot be undone.
    ClusterId, u128, "32"
);
hex_id!(
    /// A place in the cluster, kept over restarts where there is a name (or, later, a directory).
    MemberId, u128, "32"
);
hex_id!(
    /// One life of a process: 63 random bits, new at every start. The top bit is clear; derived
    /// message ids have it set.
    BootId, u64, "16"
);
hex_id!(
    /// One life of stored copies: new whenever copies were lost. Copies are counted against it.
    StoreId, u64, "16"
);

/// A message's identity: the boot that accepted it and its place in that boot's order, so that
/// acks, copies and tombstones can speak in runs (protocol.md 4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageId {
    /// The accepting boot.
    pub origin: BootId,
    /// Consecutive within the origin, from 1.
    pub sequence: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.origin, self.sequence)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::new(ErrorKind::InvalidArgument).with("message_id", text);
        let (origin, sequence) = text.split_once('-').ok_or_else(wrong)?;
        Ok(Self {
            origin: origin.parse()?,
            sequence: sequence.parse().map_err(|_| wrong())?,
        })
    }
}

macro_rules! plain_id {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $int);
    };
}

/// The write that created a group: a dot of the metadata. A group that was removed and made again has
/// another one, so the old one's messages are not the new one's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Birth {
    /// Who wrote.
    pub boot: u64,
    /// The how-manieth write of it.
    pub number: u64,
}

plain_id!(
    /// Names a command whose answer may come later; chosen by the driver, never reused. The top bit is
    /// clear: the engine marks its own with it.
    Ticket, u64
);
plain_id!(
    /// One connection pair to a peer; chosen by the driver, never reused.
    LinkId, u64
);
plain_id!(
    /// One subscription at this member; chosen by the engine, never reused.
    SessionId, u64
);
plain_id!(
    /// A queue's index at this member, so that a hot call never looks up a name.
    QueueKey, u32
);

/// Refuses a queue or header name that is empty, longer than the limit or holds control characters.
///
/// Errors: 101 with the reason.
pub fn check_name(what: &'static str, name: &str, bytes_max: usize) -> Result<(), Error> {
    let reason = if name.is_empty() {
        "is empty"
    } else if name.len() > bytes_max {
        "is too long"
    } else if name.chars().any(char::is_control) {
        "holds a control character"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(40).collect();
    Err(Error::new(ErrorKind::InvalidArgument)
        .because(reason)
        .with(what, shown)
        .with("bytes", name.len())
        .with("bytes_max", bytes_max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_message_id_survives_its_text_form() {
        let id = MessageId {
            origin: BootId(0x1234),
            sequence: 77,
        };
        assert_eq!(id.to_string(), "0000000000001234-77");
        assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
        assert!("12".parse::<MessageId>().is_err());
        assert!("zz-1".parse::<MessageId>().is_err());
    }

    #[test]
    fn names_are_bounded_and_printable() {
        assert!(check_name("queue", &"q".repeat(255), 255).is_ok());
        let long = check_name("queue", &"q".repeat(256), 255).unwrap_err();
        assert_eq!(long.number(), 101);
        assert!(check_name("queue", "", 255).is_err());
        assert!(check_name("queue", "a\nb", 255).is_err());
    }
}
