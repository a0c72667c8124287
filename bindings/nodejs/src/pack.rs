//! How answers lie in memory that JavaScript owns: a tray. `lib/tray.cjs` reads what is written here.
//!
//! Words are 32 bits in the machine's order, 64-bit values are two words, low first. Every record starts at
//! a multiple of 8. A message's bytes are copied, once: a Buffer is writable, so one that shared Primer's
//! bytes would let a consumer change the copy that other consumers are given.
//!
//! | record | words |
//! |---|---|
//! | head of a tray | bytes used, head included (0: no space); bytes needed; records; 0 |
//! | receipt | id (origin, sequence): 4; copies; durable copies; wanted; 1 for a duplicate |
//! | delivery | handle; attempts; id: 4; priority (4 bits), bytes of key (8) and of headers (20); bytes of body; then body, headers, key, padding |
//! | reply | bytes of body; bytes of headers; 0; 0; then body, headers, padding |
//! | page | its bytes, head included and padding; messages; missing; bytes of cursor; then missing members: 4 each, cursor, padding, messages |
//! | message shown | id: 4; owner: 4; bytes of body; bytes of headers; of the whole body; attempts; state; priority; copies; bytes of key; accepted (ms): 2; ready: 2; expires: 2; lease: 2; then body, headers, key, padding |
//! | explanation | its bytes, head and padding included; accounts; missing; 0; then missing members: 4 each, accounts |
//! | account | member: 4; id: 4; owner: 4; lessee: 4; known; attempts; confirmed; holders; bytes of queue; of group; what is there (1 owner, 2 lessee, 4 lease); 0; accepted (ms): 2; ready: 2; expires: 2; lease: 2; then holders: 4 each, queue, group, padding |
//! | redriven | its bytes, head included; missing; leased: 2; matched: 2; moved: 2; refused: 2; skipped: 2; then missing members: 4 each |
//! | diagnosis | its bytes, head and padding included; findings; facts; missing; then missing members: 4 each, findings, facts |
//! | finding | messages: 2; bytes of code; of group; members; 0; 0; 0; then members: 4 each, code, group, padding |
//! | facts | member: 4; ready: 2; leased: 2; delayed: 2; standby: 2; stranded: 2; oldest: 2; next ready: 2; next lease: 2; receives: 2; subscriptions: 2; credit: 2; most messages: 2; most bytes: 2; lessees; owners; bytes of group; of who pauses it; paused (1 in, 2 out); memory (percent); what is there (1 oldest, 2 next ready, 4 next lease, 8 most messages, 16 most bytes, 32 full); 0; 0; 0; then lessees, owners: 4 each, group, who pauses it, padding |
//! | header | bytes of name; bytes of value; then both |
//! | broadcast | who: 4; bytes of body; 0; 0; 0; then body, padding |
//! | entry, or change | when (ms, 0 in a change): 2; bytes of key; values; then key, values, padding |
//! | value | bytes; then they |
//! | completion | ticket: 2; kind; records that follow, or the place of the failure |

use napi::bindgen_prelude::{Uint8ArraySlice, Uint32ArraySlice};
use primer::{
    Account, Broadcast, Browsed, Bytes, Delivery, Diagnosis, Explanation, Facts, Finding, MemberId,
    MessageId, Page, Receipt, Redriven, Reply, Result,
};

use crate::room::internal;

/// The memory behind a tray, for as long as a verb runs.
pub(crate) fn bytes_of<'a>(tray: &'a mut Uint8ArraySlice<'_>) -> &'a mut [u8] {
    // SAFETY: no JavaScript runs on this thread while a verb does, and `lib/` keeps trays and desks to
    // itself: they are no SharedArrayBuffers, so no other thread sees them, and it never gives a verb one
    // of them twice or together with a body that lies in it.
    unsafe { tray.as_mut() }
}

/// As [`bytes_of`], for a list of handles.
pub(crate) fn words_of<'a>(list: &'a mut Uint32ArraySlice<'_>) -> &'a mut [u32] {
    // SAFETY: as in `bytes_of`.
    unsafe { list.as_mut() }
}

/// Bytes of the head of a tray, of a receipt and of what precedes a delivery's body, and of a completion's head.
pub(crate) const HEAD: usize = 16;
pub(crate) const RECEIPT: usize = 32;
const DELIVERY: usize = 32;
/// Bytes of what precedes a broadcast's body, and an entry's key.
const BROADCAST: usize = 32;
const ENTRY: usize = 16;
/// Bytes of what precedes a reply's body.
const REPLY: usize = 16;
/// Bytes of a page's own head, of a missing member, and of what precedes a shown message's body.
const PAGE: usize = 16;
const MEMBER: usize = 16;
const SHOWN: usize = 96;
/// Bytes of an explanation's own head, and of what precedes an account's holders.
const EXPLANATION: usize = 16;
const ACCOUNT: usize = 128;
/// Bytes of what precedes the members that did not answer a redrive.
const REDRIVEN: usize = 48;
/// Bytes of a diagnosis' own head, and of what precedes the members of a finding and of facts.
const DIAGNOSIS: usize = 16;
const FINDING: usize = 32;
const FACTS: usize = 160;

/// What an account says that it has.
const HAS_OWNER: u32 = 1;
const HAS_LESSEE: u32 = 2;
const HAS_LEASE: u32 = 4;

/// Where a delivery's priority begins, in the word that also says how long its headers are: a word of its own
/// would cost every message eight bytes.
const PRIORITY_SHIFT: u32 = 28;
/// Where the bytes of its key begin in it.
const KEY_SHIFT: u32 = 20;

/// What a completion carries, by the numbers that `lib/tray.cjs` knows.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Failure = 0,
    Done = 1,
    Receipts = 2,
    Deliveries = 3,
    Ready = 4,
    Reply = 5,
    Page = 6,
    Explanation = 7,
    Redriven = 8,
    Diagnosis = 9,
}

/// Writes records into a tray from a place on. Errors: 599 past its end, which the sizes rule out.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// Writes into `out` from `at` on.
    pub(crate) fn new(out: &'a mut [u8], at: usize) -> Self {
        Self { out, at }
    }

    /// The next byte to write.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub(crate) fn left(&self) -> usize {
        self.out.len().saturating_sub(self.at)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.at.saturating_add(bytes.len());
        let Some(place) = self.out.get_mut(self.at..end) else {
            return Err(internal("a tray is too small"));
        };
        place.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    fn words(&mut self, words: [u32; 4]) -> Result<()> {
        let mut bytes = [0; 16];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        self.bytes(&bytes)
    }

    fn id(&mut self, id: MessageId) -> Result<()> {
        let ([low, high], [first, last]) = (halves(id.origin.0), halves(id.sequence));
        self.words([low, high, first, last])
    }

    /// Leaves space for a head.
    pub(crate) fn skip_head(&mut self) {
        self.at = self.at.saturating_add(HEAD);
    }

    /// Writes a completion's head; `count` is the records that follow, or the place of the failure.
    pub(crate) fn completion(&mut self, ticket: u64, kind: Kind, count: u32) -> Result<()> {
        let [low, high] = halves(ticket);
        self.words([low, high, kind as u32, count])
    }

    /// Writes a receipt.
    pub(crate) fn receipt(&mut self, receipt: &Receipt) -> Result<()> {
        self.id(receipt.id)?;
        let Receipt {
            copies,
            durable_copies,
            wanted,
            is_duplicate,
            ..
        } = receipt;
        self.words([
            u32::from(*copies),
            u32::from(*durable_copies),
            u32::from(*wanted),
            u32::from(*is_duplicate),
        ])
    }

    /// Writes a delivery whose handle is `handle`.
    pub(crate) fn delivery(&mut self, handle: u32, delivery: &Delivery) -> Result<()> {
        let id = delivery.id();
        let ([low, high], [first, last]) = (halves(id.origin.0), halves(id.sequence));
        let headers = word(headers_bytes(delivery.headers()));
        let key = delivery.key().unwrap_or_default().as_bytes();
        if headers >> KEY_SHIFT != 0 || key.len() > usize::from(u8::MAX) {
            return Err(internal("the headers or the key are too large"));
        }
        let headers = headers | word(key.len()) << KEY_SHIFT;
        let headers = headers | u32::from(delivery.priority()) << PRIORITY_SHIFT;
        self.words([handle, delivery.attempts(), low, high])?;
        self.words([first, last, headers, word(delivery.body().len())])?;
        self.bytes(delivery.body())?;
        self.headers(delivery.headers())?;
        self.bytes(key)?;
        self.at = self.at.next_multiple_of(8);
        Ok(())
    }

    fn headers(&mut self, headers: &[(String, String)]) -> Result<()> {
        for (name, value) in headers {
            self.bytes(&word(name.len()).to_ne_bytes())?;
            self.bytes(&word(value.len()).to_ne_bytes())?;
            self.bytes(name.as_bytes())?;
            self.bytes(value.as_bytes())?;
        }
        Ok(())
    }

    /// Writes a reply.
    pub(crate) fn reply(&mut self, reply: &Reply) -> Result<()> {
        let headers = headers_bytes(&reply.headers);
        self.words([word(reply.body.len()), word(headers), 0, 0])?;
        self.bytes(&reply.body)?;
        self.headers(&reply.headers)?;
        self.at = self.at.next_multiple_of(8);
        Ok(())
    }

    /// Writes a page.
    pub(crate) fn page(&mut self, page: &Page) -> Result<()> {
        let cursor = page.cursor.as_deref().unwrap_or_default();
        let (messages, missing) = (word(page.messages.len()), word(page.missing.len()));
        self.words([
            word(page_bytes(page)),
            messages,
            missing,
            word(cursor.len()),
        ])?;
        self.members(&page.missing)?;
        self.bytes(cursor.as_bytes())?;
        self.at = self.at.next_multiple_of(8);
        page.messages.iter().try_for_each(|one| self.browsed(one))
    }

    fn browsed(&mut self, browsed: &Browsed) -> Result<()> {
        let headers = word(headers_bytes(&browsed.headers));
        let whole = word(usize::try_from(browsed.body_bytes).unwrap_or(usize::MAX));
        let (state, priority) = (browsed.state as u32, u32::from(browsed.priority));
        let date = |date: Option<u64>| halves(date.unwrap_or_default());
        let [accepted, ready] = [halves(browsed.accepted_ms), date(browsed.ready_at_ms)];
        let [expires, lease] = [date(browsed.expires_ms), date(browsed.lease_ms)];
        self.id(browsed.id)?;
        self.member(browsed.owner)?;
        self.words([word(browsed.body.len()), headers, whole, browsed.attempts])?;
        let key = browsed.key.as_deref().unwrap_or_default().as_bytes();
        self.words([state, priority, browsed.copies, word(key.len())])?;
        self.words([accepted[0], accepted[1], ready[0], ready[1]])?;
        self.words([expires[0], expires[1], lease[0], lease[1]])?;
        self.bytes(&browsed.body)?;
        self.headers(&browsed.headers)?;
        self.bytes(key)?;
        self.at = self.at.next_multiple_of(8);
        Ok(())
    }

    /// Writes an explanation.
    pub(crate) fn explanation(&mut self, explanation: &Explanation) -> Result<()> {
        let Explanation { accounts, missing } = explanation;
        let bytes = word(explanation_bytes(explanation));
        self.words([bytes, word(accounts.len()), word(missing.len()), 0])?;
        self.members(missing)?;
        accounts.iter().try_for_each(|one| self.account(one))
    }

    /// Writes what became of a redrive.
    pub(crate) fn redriven(&mut self, redriven: &Redriven) -> Result<()> {
        let (bytes, missing) = (redriven_bytes(redriven), redriven.missing.len());
        let leased = halves(redriven.leased);
        let [matched, moved] = [halves(redriven.matched), halves(redriven.moved)];
        let [refused, skipped] = [halves(redriven.refused), halves(redriven.skipped)];
        self.words([word(bytes), word(missing), leased[0], leased[1]])?;
        self.words([matched[0], matched[1], moved[0], moved[1]])?;
        self.words([refused[0], refused[1], skipped[0], skipped[1]])?;
        self.members(&redriven.missing)
    }

    /// Writes a diagnosis.
    pub(crate) fn diagnosis(&mut self, diagnosis: &Diagnosis) -> Result<()> {
        let Diagnosis {
            findings,
            facts,
            missing,
        } = diagnosis;
        let bytes = word(diagnosis_bytes(diagnosis));
        let (found, told) = (word(findings.len()), word(facts.len()));
        self.words([bytes, found, told, word(missing.len())])?;
        self.members(missing)?;
        findings.iter().try_for_each(|one| self.finding(one))?;
        facts.iter().try_for_each(|one| self.facts(one))
    }

    fn finding(&mut self, finding: &Finding) -> Result<()> {
        let group = finding.group.as_deref().unwrap_or_default();
        let messages = halves(finding.messages);
        let (code, name) = (word(finding.code.len()), word(group.len()));
        self.words([messages[0], messages[1], code, name])?;
        self.words([word(finding.members.len()), 0, 0, 0])?;
        self.members(&finding.members)?;
        self.bytes(finding.code.as_bytes())?;
        self.bytes(group.as_bytes())?;
        self.at = self.at.next_multiple_of(8);
        Ok(())
    }

    fn facts(&mut self, facts: &Facts) -> Result<()> {
        let group = facts.group.as_deref().unwrap_or_default();
        let pauser = facts.paused_by.as_deref().unwrap_or_default();
        let flag = |is_there: bool, flag: u32| u32::from(is_there) * flag;
        let has = flag(facts.oldest_ms.is_some(), 1)
            | flag(facts.next_ready_ms.is_some(), 2)
            | flag(facts.next_lease_ms.is_some(), 4)
            | flag(facts.messages_max.is_some(), 8)
            | flag(facts.bytes_max.is_some(), 16)
            | flag(facts.is_full, 32);
        let paused = match facts.paused {
            Some("in") => 1,
            Some("out") => 2,
            Some(_) => 3,
            None => 0,
        };
        let some = |number: Option<u64>| number.unwrap_or_default();
        let pairs = [
            (facts.ready, facts.leased),
            (facts.delayed, facts.standby),
            (facts.stranded, some(facts.oldest_ms)),
            (some(facts.next_ready_ms), some(facts.next_lease_ms)),
            (facts.receives, facts.subscriptions),
            (facts.credit, some(facts.messages_max)),
        ];
        self.member(facts.member)?;
        for (one, next) in pairs {
            let (one, next) = (halves(one), halves(next));
            self.words([one[0], one[1], next[0], next[1]])?;
        }
        let bytes = halves(some(facts.bytes_max));
        let (lessees, owners) = (word(facts.lessees.len()), word(facts.owners.len()));
        self.words([bytes[0], bytes[1], lessees, owners])?;
        self.words([
            word(group.len()),
            word(pauser.len()),
            paused,
            facts.memory_percent,
        ])?;
        self.words([has, 0, 0, 0])?;
        self.members(&facts.lessees)?;
        self.members(&facts.owners)?;
        self.bytes(group.as_bytes())?;
        self.bytes(pauser.as_bytes())?;
        self.at = self.at.next_multiple_of(8);
        Ok(())
    }

    fn account(&mut self, account: &Account) -> Result<()> {
        let name = |name: &Option<String>| word(name.as_deref().map_or(0, str::len));
        let flag = |is_there: bool, flag: u32| u32::from(is_there) * flag;
        let has = flag(account.owner.is_some(), HAS_OWNER)
            | flag(account.lessee.is_some(), HAS_LESSEE)
            | flag(account.lease_ms.is_some(), HAS_LEASE);
        let date = |date: Option<u64>| halves(date.unwrap_or_default());
        let [accepted, ready] = [date(account.accepted_ms), date(account.ready_at_ms)];
        let [expires, lease] = [date(account.expires_ms), date(account.lease_ms)];
        let (known, holders) = (account.known as u32, word(account.holders.len()));
        self.member(account.member)?;
        self.id(account.id)?;
        self.member(account.owner.unwrap_or(MemberId(0)))?;
        self.member(account.lessee.unwrap_or(MemberId(0)))?;
        self.words([known, account.attempts, account.confirmed, holders])?;
        self.words([name(&account.queue), name(&account.group), has, 0])?;
        self.words([accepted[0], accepted[1], ready[0], ready[1]])?;
        self.words([expires[0], expires[1], lease[0], lease[1]])?;
        self.members(&account.holders)?;
        for name in [&account.queue, &account.group] {
            self.bytes(name.as_deref().unwrap_or_default().as_bytes())?;
        }
        self.at = self.at.next_multiple_of(8);
        Ok(())
    }

    fn members(&mut self, members: &[MemberId]) -> Result<()> {
        members.iter().try_for_each(|member| self.member(*member))
    }

    fn member(&mut self, member: MemberId) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let low = member.0 as u64;
        let ([a, b], [c, d]) = (halves(low), halves((member.0 >> 64) as u64));
        self.words([a, b, c, d])
    }

    /// Writes a broadcast; its topic is its reader's.
    pub(crate) fn broadcast(&mut self, broadcast: &Broadcast) -> Result<()> {
        self.member(broadcast.from)?;
        self.words([word(broadcast.body.len()), 0, 0, 0])?;
        self.bytes(&broadcast.body)?;
        self.at = self.at.next_multiple_of(8);
        Ok(())
    }

    /// Writes a key with its values.
    pub(crate) fn entry<'v>(
        &mut self,
        at_ms: u64,
        key: &str,
        values: impl Iterator<Item = &'v Bytes> + Clone,
    ) -> Result<()> {
        let [low, high] = halves(at_ms);
        let count = word(values.clone().count());
        self.words([low, high, word(key.len()), count])?;
        self.bytes(key.as_bytes())?;
        for value in values {
            self.bytes(&word(value.len()).to_ne_bytes())?;
            self.bytes(value)?;
        }
        self.at = self.at.next_multiple_of(8);
        Ok(())
    }
}

/// Writes the head of a tray that starts at `start` and ends at `end`.
pub(crate) fn head(out: &mut [u8], start: usize, end: usize, records: u32) -> Result<()> {
    Writer::new(out, start).words([word(end.saturating_sub(start)), 0, records, 0])
}

/// Writes the head of a tray that was too small: `needed` bytes would do.
pub(crate) fn no_space(out: &mut [u8], start: usize, needed: usize) -> Result<()> {
    Writer::new(out, start).words([0, word(needed), 0, 0])
}

/// Bytes that these deliveries take, padding included.
pub(crate) fn deliveries_bytes(deliveries: &[Delivery]) -> usize {
    let each = |delivery: &Delivery| {
        DELIVERY
            + headers_bytes(delivery.headers())
            + delivery.key().map_or(0, str::len)
            + delivery.body().len()
    };
    deliveries
        .iter()
        .map(|delivery| each(delivery).next_multiple_of(8))
        .sum()
}

/// Bytes that a broadcast takes, padding included.
pub(crate) fn broadcast_bytes(broadcast: &Broadcast) -> usize {
    (BROADCAST + broadcast.body.len()).next_multiple_of(8)
}

/// Bytes that a key with its values takes, padding included.
pub(crate) fn entry_bytes<'v>(key: &str, values: impl Iterator<Item = &'v Bytes>) -> usize {
    let values: usize = values.map(|value| 4 + value.len()).sum();
    (ENTRY + key.len() + values).next_multiple_of(8)
}

/// Bytes that a reply takes, padding included.
pub(crate) fn reply_bytes(reply: &Reply) -> usize {
    (REPLY + reply.body.len() + headers_bytes(&reply.headers)).next_multiple_of(8)
}

/// Bytes that a page takes, its messages and padding included.
pub(crate) fn page_bytes(page: &Page) -> usize {
    let cursor = page.cursor.as_deref().map_or(0, str::len);
    let head = PAGE + page.missing.len() * MEMBER + cursor;
    let each = |one: &Browsed| {
        let key = one.key.as_ref().map_or(0, String::len);
        SHOWN + one.body.len() + headers_bytes(&one.headers) + key
    };
    let messages = page.messages.iter();
    let messages = messages.map(|one| each(one).next_multiple_of(8));
    head.next_multiple_of(8) + messages.sum::<usize>()
}

/// Bytes that an explanation takes, its accounts and padding included.
pub(crate) fn explanation_bytes(explanation: &Explanation) -> usize {
    let name = |name: &Option<String>| name.as_deref().map_or(0, str::len);
    let each = |one: &Account| {
        let names = name(&one.queue) + name(&one.group);
        (ACCOUNT + one.holders.len() * MEMBER + names).next_multiple_of(8)
    };
    let accounts = explanation.accounts.iter().map(each).sum::<usize>();
    EXPLANATION + explanation.missing.len() * MEMBER + accounts
}

/// Bytes that a redrive's outcome takes.
pub(crate) fn redriven_bytes(redriven: &Redriven) -> usize {
    REDRIVEN + redriven.missing.len() * MEMBER
}

/// Bytes that a diagnosis takes, its findings, facts and padding included.
pub(crate) fn diagnosis_bytes(diagnosis: &Diagnosis) -> usize {
    let name = |name: &Option<String>| name.as_deref().map_or(0, str::len);
    let found = |one: &Finding| {
        let texts = one.code.len() + name(&one.group);
        (FINDING + one.members.len() * MEMBER + texts).next_multiple_of(8)
    };
    let told = |one: &Facts| {
        let members = one.lessees.len() + one.owners.len();
        (FACTS + members * MEMBER + name(&one.group) + name(&one.paused_by)).next_multiple_of(8)
    };
    let findings = diagnosis.findings.iter().map(found).sum::<usize>();
    let facts = diagnosis.facts.iter().map(told).sum::<usize>();
    DIAGNOSIS + diagnosis.missing.len() * MEMBER + findings + facts
}

fn headers_bytes(headers: &[(String, String)]) -> usize {
    headers
        .iter()
        .map(|(name, value)| 8 + name.len() + value.len())
        .sum()
}

/// A size as a word; sizes are bounded far below by the limits of bodies and batches.
pub(crate) fn word(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}
