//! [`Secret`]: what all members of a cluster share and nobody else knows.
//!
//! It is taken as text. Weak ones are refused, because whoever records one handshake may try
//! secrets for years: at least 128 bits, counted as length times the bits of the alphabet that the
//! text uses. That is an upper bound for what a person made up, and right for what a machine drew.

use std::fmt;

use primer_proto::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

/// Secrets that may be held at a time: the one in use, its successor, and one to spare.
pub(crate) const SECRETS_MAX: usize = 3;
/// Bits that a secret must have.
const BITS_MIN: f64 = 128.0;
/// Characters that must differ: guards against one key held down.
const DISTINCT_MIN: usize = 8;
/// Longest secret; a limit like any other.
const BYTES_MAX: usize = 1_024;

/// A secret. It is wiped when dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// What is between the commas of `text`, without blanks around it.
    pub(crate) fn list(text: &str) -> Vec<Secret> {
        text.split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(Secret::from)
            .collect()
    }

    /// The bytes, to be hashed.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.into()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Errors: 101 for too many or a weak one; it says how to make a good one, and never shows this one.
pub(crate) fn check(secrets: &[Secret]) -> Result<()> {
    if secrets.len() > SECRETS_MAX {
        return Err(wrong("too many secrets at a time").with("most", SECRETS_MAX));
    }
    for secret in secrets {
        let text = secret.0.as_str();
        if text.len() > BYTES_MAX {
            return Err(wrong("a secret is too long").with("most", BYTES_MAX));
        }
        let bits = bits(text);
        if bits < BITS_MIN || distinct(text) < DISTINCT_MIN {
            return Err(wrong("a secret is too easily guessed")
                .with("bits", bits.floor())
                .with("needed", BITS_MIN)
                .with("make one with", "openssl rand -base64 32"));
        }
    }
    Ok(())
}

/// 101 about the option.
pub(crate) fn wrong(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because(reason)
        .with("option", "secret")
}

/// Length times the bits of a character.
fn bits(text: &str) -> f64 {
    let has = |is: fn(&char) -> bool| text.chars().any(|c| is(&c));
    let is_hex = text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        || text.chars().all(|c| matches!(c, '0'..='9' | 'A'..='F'));
    let classes = [
        (has(char::is_ascii_lowercase), 26.0),
        (has(char::is_ascii_uppercase), 26.0),
        (has(char::is_ascii_digit), 10.0),
        (has(|c| !c.is_ascii_alphanumeric()), 33.0),
    ];
    let alphabet: f64 = classes
        .iter()
        .filter(|(is_used, _)| *is_used)
        .map(|(_, size)| size)
        .sum();
    let alphabet = if is_hex { alphabet.min(16.0) } else { alphabet };
    text.chars().count() as f64 * alphabet.max(1.0).log2()
}

fn distinct(text: &str) -> usize {
    let mut letters: Vec<char> = text.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    letters.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> u16 {
        check(&Secret::list(text)).map_or_else(|error| error.number(), |()| 0)
    }

    #[test]
    fn what_a_machine_draws_is_taken() {
        // openssl rand -hex 16, -base64 16 and -base64 32.
        for good in [
            "8f14e45fceea167a5a36dedd4bea2543",
            "q83vASNFZ4mrze8BI0VniQ==",
            "mNh6Ez0cDk2YqVt1Gf8sWc5rJxKb3LpTuA9oIe7yQ4w=",
        ] {
            assert_eq!(number(good), 0, "{good}");
        }
    }

    #[test]
    fn what_is_short_or_dull_is_refused_without_being_shown() {
        for bad in [
            "hunter2",
            "correct horse battery",
            "8f14e45fceea167a5a36dedd4bea254",
            "00000000000000000000000000000000000000000000000000",
            "abcabcabcabcabcabcabcabcabcabcabcabcabcabc",
            "12345678901234567890123456789012345678",
        ] {
            let error = check(&Secret::list(bad)).unwrap_err();
            assert_eq!(error.number(), 101, "{bad}");
            assert!(!error.to_string().contains(bad), "{error}");
            assert!(error.to_string().contains("openssl rand"), "{error}");
        }
        let long = "q83vASNFZ4mrze8BI0VniQ==".repeat(50);
        assert_eq!(number(&long), 101);
    }

    #[test]
    fn three_at_a_time_are_enough() {
        let one = "8f14e45fceea167a5a36dedd4bea2543";
        assert_eq!(number(&format!(" {one}, {one} ,{one},")), 0);
        assert_eq!(number(&format!("{one},{one},{one},{one}")), 101);
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(
            format!("{:?}", Secret::list("one,two")),
            "[Secret(..), Secret(..)]"
        );
    }
}
