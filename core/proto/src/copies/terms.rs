//! What a producer may ask for a message beside its copies (protocol.md 4.1): most ask nothing.

use alloc::string::String;
use alloc::sync::Arc;

use super::fan::DERIVED;
use crate::base::{BootId, Error, ErrorKind, MemberId, MessageId, Millis, Now, Result, limits};
use crate::wire::SEQUENCE_MAX;

/// The terms of a message that has any; shared by a batch, never changed.
///
/// A prost struct on the wire, so that later versions may add to it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Terms {
    /// 0 (last) to 9 (first); none is `limits::PRIORITY`.
    #[prost(uint32, optional, tag = "1")]
    pub priority: Option<u32>,
    /// Wall-clock milliseconds since 1970 before which it is not given out; 0 for none.
    #[prost(uint64, tag = "2")]
    pub not_before: u64,
    /// Wall-clock milliseconds since 1970 from which on it is not given out; 0 for never.
    #[prost(uint64, tag = "3")]
    pub expires: u64,
    /// Given out this often it is a dead letter; 0 for the owner's default.
    #[prost(uint32, tag = "4")]
    pub max_attempts: u32,
    /// Finished when it is given out: one copy, never repeated.
    #[prost(bool, tag = "5")]
    pub is_at_most_once: bool,
    /// A dead letter itself: it has none, however often it is tried.
    #[prost(bool, tag = "6")]
    pub is_dead_letter: bool,
    /// Those of one key are given out in line; "" for none.
    #[prost(string, tag = "7")]
    pub key: String,
    /// Within one window those with the same are one; "" for none.
    #[prost(string, tag = "8")]
    pub dedup: String,
    /// How long that is, in ms.
    #[prost(uint64, tag = "9")]
    pub dedup_window: u64,
    /// Wall-clock milliseconds since 1970 at which its own window ends; 0 until it is accepted.
    #[prost(uint64, tag = "10")]
    pub dedup_until: u64,
}

/// The same as they are asked for, with times from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// 0 (last) to 9 (first).
    pub priority: Option<u8>,
    /// Given out only after so long.
    pub delay: Option<Millis>,
    /// Given out only from then on, in wall-clock milliseconds since 1970.
    pub at: Option<u64>,
    /// Not given out after so long.
    pub ttl: Option<Millis>,
    /// Given out this often it is a dead letter.
    pub max_attempts: Option<u32>,
    /// Finished when it is given out.
    pub is_at_most_once: bool,
    /// Messages of one key are given out in line, 1 to `limits::KEY_BYTES_MAX` bytes.
    pub key: Option<Arc<str>>,
    /// Within one window messages with the same are one, 1 to `limits::KEY_BYTES_MAX` bytes.
    pub dedup: Option<Arc<str>>,
    /// How long that is; none for `limits::DEDUP_WINDOW_MS`.
    pub dedup_window: Option<Millis>,
}

impl Asked {
    /// The terms; none where nothing was asked for. Errors: 101.
    pub fn terms(&self, now: Now) -> Result<Option<Arc<Terms>>> {
        if *self == Self::default() {
            return Ok(None);
        }
        if self.delay.is_some() && self.at.is_some() {
            return Err(Error::new(ErrorKind::InvalidArgument)
                .because("delay and at are two ways to say the same: give one"));
        }
        let priority = self.priority.map(u32::from);
        within("priority", priority.unwrap_or(0).into(), 0, 9)?;
        within("delay_ms", self.delay.unwrap_or(0), 0, limits::DELAY_MS_MAX)?;
        within("ttl_ms", self.ttl.unwrap_or(1), 1, limits::DELAY_MS_MAX)?;
        let at = self.at.unwrap_or(0).saturating_sub(now.wall_ms);
        within("at_ms", at, 0, limits::DELAY_MS_MAX)?;
        let attempts = self.max_attempts.unwrap_or(1);
        within("max_attempts", attempts.into(), 1, u32::MAX.into())?;
        let key = self.key.as_deref();
        check_key("the key of a message is empty or too long", key)?;
        self.check_dedup()?;
        let dedup = self.dedup.as_deref().unwrap_or_default();
        let window = self.dedup_window.unwrap_or(limits::DEDUP_WINDOW_MS);
        let due = self.delay.filter(|delay| *delay > 0);
        let terms = Terms {
            priority: priority.filter(|priority| *priority != limits::PRIORITY),
            not_before: due.map_or(self.at.unwrap_or(0), |delay| now.wall_ms + delay),
            expires: self.ttl.map_or(0, |ttl| now.wall_ms + ttl),
            max_attempts: self.max_attempts.unwrap_or(0),
            is_at_most_once: self.is_at_most_once,
            is_dead_letter: false,
            key: key.unwrap_or_default().into(),
            dedup: dedup.into(),
            dedup_window: if dedup.is_empty() { 0 } else { window },
            dedup_until: 0,
        };
        // What asks for the usual by name asks for nothing: it is the same at whoever accepts it.
        Ok((terms != Terms::default()).then(|| Arc::new(terms)))
    }
}

impl Asked {
    /// Errors: 101.
    fn check_dedup(&self) -> Result<()> {
        let wrong = |why| Err(Error::new(ErrorKind::InvalidArgument).because(why));
        let dedup = self.dedup.as_deref();
        check_key("the dedup key of a message is empty or too long", dedup)?;
        if dedup.is_none() {
            return match self.dedup_window {
                Some(_) => wrong("a window is the dedup key's, and there is none"),
                None => Ok(()),
            };
        }
        if self.is_at_most_once {
            return wrong("a message that is given out at most once has no dedup key");
        }
        let window = self.dedup_window.unwrap_or(limits::DEDUP_WINDOW_MS);
        within("dedup_window_ms", window, 1, limits::DEDUP_WINDOW_MS_MAX)
    }
}

fn check_key(why: &str, key: Option<&str>) -> Result<()> {
    let bytes = key.map_or(1, str::len);
    if (1..=limits::KEY_BYTES_MAX).contains(&bytes) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument)
        .because(why)
        .with("bytes", bytes)
        .with("bytes_max", limits::KEY_BYTES_MAX))
}

/// The word "key": this hash serves that purpose alone.
const KEY_SEED: u64 = 0x006b_6579;

/// The rendezvous value of a member for a key of a queue: the highest is the key's home.
#[must_use]
pub fn key_rank(queue: &str, key: &str, member: MemberId) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(KEY_SEED);
    hash.update(&(queue.len() as u64).to_le_bytes());
    hash.update(queue.as_bytes());
    hash.update(key.as_bytes());
    hash.update(&member.0.to_le_bytes());
    hash.digest()
}

fn within(name: &'static str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument)
        .because("an option is out of its range")
        .with(name, value)
        .with("least", least)
        .with("most", most))
}

/// The word "dead": this hash serves that purpose alone.
const DEAD_SEED: u64 = 0x6465_6164;

/// The word "redrive", as far as eight bytes hold it: this hash serves that purpose alone.
const REDRIVE_SEED: u64 = 0x72_6564_7269_7665;

/// The id of a message's dead letter: the same wherever it is made, so that two sides of a split
/// make one.
#[must_use]
pub fn dead_letter_of(id: MessageId) -> MessageId {
    next_of(id, DEAD_SEED)
}

/// The id of the message that a dead letter becomes when it goes back: the same wherever that is done.
/// Its own dead letter has another id than the first one, and so on, however often it goes round.
#[must_use]
pub fn redriven_of(id: MessageId) -> MessageId {
    next_of(id, REDRIVE_SEED)
}

fn next_of(id: MessageId, seed: u64) -> MessageId {
    let mut key = [0_u8; 16];
    let (origin, sequence) = key.split_at_mut(8);
    origin.copy_from_slice(&id.origin.0.to_le_bytes());
    sequence.copy_from_slice(&id.sequence.to_le_bytes());
    let hash = xxhash_rust::xxh3::xxh3_128_with_seed(&key, seed);
    MessageId {
        origin: BootId((hash >> 64) as u64 | DERIVED),
        sequence: (hash as u64 & SEQUENCE_MAX).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;

    const NOW: Now = Now {
        mono: Instant(5),
        wall_ms: 1_000_000,
    };

    #[test]
    fn who_asks_for_nothing_has_no_terms() {
        assert_eq!(Asked::default().terms(NOW).unwrap(), None);
        let usual = Asked {
            priority: Some(limits::PRIORITY as u8),
            delay: Some(0),
            ..Asked::default()
        };
        assert_eq!(usual.terms(NOW).unwrap(), None);
    }

    #[test]
    fn times_become_dates_at_acceptance() {
        let asked = Asked {
            delay: Some(500),
            ttl: Some(2_000),
            ..Asked::default()
        };
        let terms = asked.terms(NOW).unwrap().unwrap();
        assert_eq!((terms.not_before, terms.expires), (1_000_500, 1_002_000));
    }

    #[test]
    fn a_dedup_key_has_a_window_which_begins_when_it_is_accepted() {
        let asked = Asked {
            dedup: Some("order-42".into()),
            ..Asked::default()
        };
        let terms = asked.terms(NOW).unwrap().unwrap();
        assert_eq!(terms.dedup, "order-42");
        let window = (terms.dedup_window, terms.dedup_until);
        assert_eq!(window, (limits::DEDUP_WINDOW_MS, 0));
    }

    #[test]
    fn what_is_out_of_its_range_is_refused_by_name() {
        let wrong = [
            Asked {
                priority: Some(10),
                ..Asked::default()
            },
            Asked {
                delay: Some(limits::DELAY_MS_MAX + 1),
                ..Asked::default()
            },
            Asked {
                at: Some(NOW.wall_ms + limits::DELAY_MS_MAX + 1),
                ..Asked::default()
            },
            Asked {
                ttl: Some(0),
                ..Asked::default()
            },
            Asked {
                max_attempts: Some(0),
                ..Asked::default()
            },
            Asked {
                key: Some("".into()),
                ..Asked::default()
            },
            Asked {
                key: Some("x".repeat(256).into()),
                ..Asked::default()
            },
            Asked {
                dedup: Some("".into()),
                ..Asked::default()
            },
            Asked {
                dedup: Some("x".repeat(256).into()),
                ..Asked::default()
            },
            Asked {
                dedup: Some("x".into()),
                dedup_window: Some(0),
                ..Asked::default()
            },
            Asked {
                dedup: Some("x".into()),
                dedup_window: Some(limits::DEDUP_WINDOW_MS_MAX + 1),
                ..Asked::default()
            },
            Asked {
                dedup_window: Some(1),
                ..Asked::default()
            },
            Asked {
                dedup: Some("x".into()),
                is_at_most_once: true,
                ..Asked::default()
            },
            Asked {
                delay: Some(1),
                at: Some(NOW.wall_ms),
                ..Asked::default()
            },
        ];
        for asked in wrong {
            assert_eq!(asked.terms(NOW).unwrap_err().number(), 101, "{asked:?}");
        }
    }

    #[test]
    fn a_key_has_one_home_and_a_queue_is_no_part_of_a_key() {
        let home = |queue, key: &str| {
            let members = (1..=3).map(MemberId);
            members
                .max_by_key(|member| key_rank(queue, key, *member))
                .unwrap()
        };
        let mut homes = [0; 3];
        for key in 0..300 {
            let key = alloc::format!("k{key}");
            homes[home("jobs", &key).0 as usize - 1] += 1;
        }
        assert!(
            homes.iter().all(|count| (70..130).contains(count)),
            "{homes:?}"
        );
        assert_ne!(
            key_rank("a", "bc", MemberId(1)),
            key_rank("ab", "c", MemberId(1))
        );
    }

    #[test]
    fn a_dead_letters_id_is_no_boots() {
        let id = |sequence| MessageId {
            origin: BootId(7),
            sequence,
        };
        assert_eq!(dead_letter_of(id(1)), dead_letter_of(id(1)));
        assert_ne!(dead_letter_of(id(1)), dead_letter_of(id(2)));
        assert!(dead_letter_of(id(1)).origin.0 & DERIVED != 0);
        assert!((1..=SEQUENCE_MAX).contains(&dead_letter_of(id(1)).sequence));
    }

    #[test]
    fn a_message_that_goes_round_has_another_id_each_time() {
        let mut id = MessageId {
            origin: BootId(7),
            sequence: 1,
        };
        let mut seen = alloc::collections::BTreeSet::from([id]);
        for _ in 0..3 {
            let letter = dead_letter_of(id);
            id = redriven_of(letter);
            assert!(id.origin.0 & DERIVED != 0);
            assert!(seen.insert(letter) && seen.insert(id));
        }
    }
}
