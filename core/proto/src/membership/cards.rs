//! How a member is called and found: one row a member, written by that member alone (protocol.md 1.2).
//!
//! Rows are soft: kept while the member is in the set, passed on at every link-up and when they
//! change. They are not in the set itself, or every change of an address would be an add that
//! undoes an evict at the same time.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use prost::Message as _;

use crate::base::{BootId, Error, ErrorKind, Instant, MemberId, Result, limits};

/// One member's row.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Card {
    /// Whose, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    member: Vec<u8>,
    /// Orders the lives of that member.
    #[prost(uint64, tag = "2")]
    pub incarnation: u64,
    /// This life of its process.
    #[prost(fixed64, tag = "3")]
    boot: u64,
    /// Orders the rows of one life.
    #[prost(uint64, tag = "4")]
    pub version: u64,
    /// Its name; may be empty.
    #[prost(string, tag = "5")]
    pub name: String,
    /// Where it listens; empty when it does not.
    #[prost(string, tag = "6")]
    pub address: String,
    /// The minor wire version it speaks.
    #[prost(uint32, tag = "7")]
    pub minor: u32,
    /// The zone that it is in: what fails together. May be empty.
    #[prost(string, tag = "8")]
    pub zone: String,
}

impl Card {
    /// A row.
    #[must_use]
    pub fn new(member: MemberId, incarnation: u64, boot: BootId) -> Self {
        Self {
            member: member.0.to_le_bytes().to_vec(),
            incarnation,
            boot: boot.0,
            ..Self::default()
        }
    }

    /// Whose it is; zero when malformed.
    #[must_use]
    pub fn member(&self) -> MemberId {
        let wide = self.member.as_slice().try_into();
        MemberId(wide.map_or(0, u128::from_le_bytes))
    }

    /// This life of its process.
    #[must_use]
    pub fn boot(&self) -> BootId {
        BootId(self.boot)
    }

    fn hash(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&self.encode_to_vec())
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// From bytes. Errors: 503.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes).map_err(|_| Error::new(ErrorKind::Corrupt).because("malformed row"))
    }

    fn is_well_formed(&self) -> bool {
        self.member().0 != 0
            && self.name.len() <= limits::NAME_BYTES_MAX
            && self.address.len() <= limits::NAME_BYTES_MAX
            && self.zone.len() <= limits::ZONE_BYTES_MAX
    }
}

/// Rows on their way.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CardList {
    /// At most `limits::MEMBERS_MAX`.
    #[prost(message, repeated, tag = "1")]
    pub cards: Vec<Card>,
}

impl CardList {
    /// Its bytes, for a broadcast.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// From bytes. Errors: 503.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes).map_err(|_| Error::new(ErrorKind::Corrupt).because("malformed rows"))
    }
}

/// The rows this member knows.
///
/// A row may come before its member does. Such an early one is kept for a while and told to nobody:
/// were it passed on, the rows of who never became a member would go round for ever, each member
/// hearing again from another what it had just forgotten.
#[derive(Debug, Default)]
pub struct Cards {
    rows: BTreeMap<MemberId, Card>,
    /// Whose rows came early, and until when they are kept.
    early: BTreeMap<MemberId, Instant>,
    /// The wrapping sum of the hashes of the members' rows.
    digest: u64,
}

impl Cards {
    /// Differs when the members' rows differ.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// True when no further member's row fits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rows.len() >= limits::MEMBERS_MAX
    }

    /// Takes a row in, of a member or of who may become one; true when it is newer than what was
    /// known.
    pub fn hear(&mut self, now: Instant, card: &Card, is_member: bool) -> bool {
        let known = self.rows.get(&card.member());
        let is_news = known.is_none_or(|known| {
            (card.incarnation, card.version, card.boot)
                > (known.incarnation, known.version, known.boot)
        });
        let has_room = known.is_some() || self.rows.len() < limits::MEMBERS_MAX;
        if is_news && has_room && card.is_well_formed() {
            let until = self.forget(card.member());
            self.rows.insert(card.member(), card.clone());
            if is_member {
                self.digest = self.digest.wrapping_add(card.hash());
            } else {
                let until = until.unwrap_or(now + limits::EARLY_ROW_MS);
                self.early.insert(card.member(), until);
            }
            return true;
        }
        false
    }

    /// A member came into the set: a row that came early is a member's now.
    pub fn joined(&mut self, member: MemberId) {
        if self.early.remove(&member).is_some()
            && let Some(card) = self.rows.get(&member)
        {
            self.digest = self.digest.wrapping_add(card.hash());
        }
    }

    /// A member's row.
    #[must_use]
    pub fn get(&self, member: MemberId) -> Option<&Card> {
        self.rows.get(&member)
    }

    /// Its name; empty when it is not known.
    #[must_use]
    pub fn name(&self, member: MemberId) -> String {
        let row = self.rows.get(&member);
        row.map(|card| card.name.clone()).unwrap_or_default()
    }

    /// Its address; empty when it has none or it is not known.
    #[must_use]
    pub fn address(&self, member: MemberId) -> &str {
        self.rows
            .get(&member)
            .map_or("", |card| card.address.as_str())
    }

    /// Whoever listens there.
    pub fn at<'a>(&'a self, address: &'a str) -> impl Iterator<Item = MemberId> + 'a {
        let rows = self.rows.iter();
        let there = rows.filter(move |(_, card)| !address.is_empty() && card.address == address);
        there.map(|(member, _)| *member)
    }

    /// Each row.
    pub fn rows(&self) -> impl Iterator<Item = &Card> {
        self.rows.values()
    }

    /// The members' rows.
    #[must_use]
    pub fn whole(&self) -> CardList {
        let rows = self.rows.iter();
        let rows = rows.filter(|(member, _)| !self.early.contains_key(member));
        CardList {
            cards: rows.map(|(_, card)| card.clone()).collect(),
        }
    }

    /// A member left the set, or never came; answers until when its row would have been kept if it
    /// came early.
    pub fn forget(&mut self, member: MemberId) -> Option<Instant> {
        let old = self.rows.remove(&member);
        let until = self.early.remove(&member);
        if let (Some(old), None) = (old, until) {
            self.digest = self.digest.wrapping_sub(old.hash());
        }
        until
    }

    /// When [`Cards::tidy`] is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        self.early.values().min().copied().unwrap_or(Instant::NEVER)
    }

    /// Drops early rows whose members did not come in time, but for those whose links last.
    pub fn tidy(&mut self, now: Instant, is_linked: impl Fn(MemberId) -> bool) {
        let due = self.early.iter_mut().filter(|(_, until)| **until <= now);
        let (linked, gone): (Vec<_>, Vec<_>) = due.partition(|(member, _)| is_linked(**member));
        let gone: Vec<MemberId> = gone.into_iter().map(|(member, _)| *member).collect();
        for (_, until) in linked {
            *until = now + limits::EARLY_ROW_MS;
        }
        for member in gone {
            self.forget(member);
        }
    }

    /// Drops the rows of those that are not members (a row may come before its member does, so
    /// this is for tidying up, not for judging).
    pub fn keep(&mut self, is_member: impl Fn(MemberId) -> bool) {
        let gone: Vec<MemberId> = self.rows.keys().copied().collect();
        for member in gone.into_iter().filter(|member| !is_member(*member)) {
            self.forget(member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(incarnation: u64, version: u64, address: &str) -> Card {
        let mut card = Card::new(MemberId(1), incarnation, BootId(incarnation));
        card.version = version;
        card.address = address.into();
        card
    }

    fn hear(cards: &mut Cards, card: &Card) -> bool {
        cards.hear(Instant(0), card, true)
    }

    #[test]
    fn the_newest_row_of_the_newest_life_stays_in_any_order() {
        let rows = [card(1, 1, "a:1"), card(1, 2, "b:1"), card(2, 1, "c:1")];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut cards = Cards::default();
            order.iter().for_each(|one| {
                hear(&mut cards, &rows[*one]);
            });
            assert_eq!(cards.address(MemberId(1)), "c:1");
            assert!(!hear(&mut cards, &rows[2]), "told twice");
        }
    }

    #[test]
    fn a_malformed_row_is_not_taken() {
        let mut cards = Cards::default();
        assert!(!hear(&mut cards, &Card::default()));
        let long = card(1, 1, &"x".repeat(300));
        assert!(!hear(&mut cards, &long));
        assert!(cards.whole().cards.is_empty());
    }

    #[test]
    fn an_early_row_is_told_to_nobody_until_its_member_comes() {
        let row = card(1, 1, "a:1");
        let (mut early, mut plain) = (Cards::default(), Cards::default());
        assert!(early.hear(Instant(0), &row, false));
        assert_eq!(early.digest(), Cards::default().digest());
        assert!(early.whole().cards.is_empty());
        assert_eq!(early.address(MemberId(1)), "a:1", "it says where to dial");
        hear(&mut plain, &row);
        early.joined(MemberId(1));
        early.joined(MemberId(1));
        assert_eq!(early.digest(), plain.digest());
        assert_eq!(early.whole(), plain.whole());
        assert_eq!(early.next(), Instant::NEVER);
    }

    #[test]
    fn an_early_row_whose_member_does_not_come_is_dropped_however_often_it_changes() {
        let mut cards = Cards::default();
        let none = cards.digest();
        cards.hear(Instant(0), &card(1, 1, "a:1"), false);
        let due = cards.next();
        cards.hear(Instant(1), &card(1, 2, "b:1"), false);
        assert_eq!(cards.next(), due);
        cards.tidy(due, |_| true);
        assert_eq!(cards.address(MemberId(1)), "b:1", "its link lasts");
        assert!(cards.next() > due);
        let due = cards.next();
        cards.tidy(due, |_| false);
        assert_eq!(cards.rows().count(), 0);
        assert_eq!((cards.next(), cards.digest()), (Instant::NEVER, none));
    }
}
