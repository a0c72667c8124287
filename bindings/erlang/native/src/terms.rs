//! Primer's values as Erlang terms.
//!
//! A result is `ok`, `{ok, Value}` or `{error, {Hundred, Kind, Info}}`. Values are maps with atom
//! keys; names, ids and bodies are binaries.

use std::mem::MaybeUninit;
use std::sync::{Arc, LazyLock};

use primer::{
    Account, Broadcast, Browsed, Bytes, Change, Entry, Error, Event, Explanation, Member, MemberId,
    MessageId, Outcome, Page, Receipt, Reply, Result, Stats,
};
use rustler::sys::{ErlNifTerm, c_uint, enif_make_list_from_array, enif_make_map_from_arrays};
use rustler::{Atom, Encoder, Env, NewBinary, Term};

use crate::courier::Face;
use crate::options::state_atom;
use crate::{atoms, body, delivery};

/// A value that a verb answers. `face` is the member's, for handles inside the value.
pub(crate) trait ToTerm {
    /// What follows `ok`: none where `ok` alone is the answer.
    fn to_term<'a>(self, env: Env<'a>, face: &Arc<Face>) -> Option<Term<'a>>;
}

/// `ok | {ok, Value} | {error, Error}`.
pub(crate) fn result<'a, T: ToTerm>(
    env: Env<'a>,
    face: &Arc<Face>,
    outcome: Result<T>,
) -> Term<'a> {
    match outcome {
        Ok(value) => match value.to_term(env, face) {
            Some(term) => (atoms::ok(), term).encode(env),
            None => atoms::ok().encode(env),
        },
        Err(error) => failed(env, &error),
    }
}

/// `{error, {Hundred, Kind, #{number, reason, ...}}}`.
pub(crate) fn failed<'a>(env: Env<'a>, error: &Error) -> Term<'a> {
    let hundred = match error.number() / 100 {
        1 => atoms::wrong_call(),
        2 => atoms::not_now(),
        3 => atoms::in_doubt(),
        4 => atoms::too_late(),
        _ => atoms::member_down(),
    };
    let mut keys = vec![atoms::number().encode(env), atoms::reason().encode(env)];
    let mut values = vec![error.number().encode(env), text(env, error.reason())];
    for (key, value) in error.context() {
        keys.push(fixed(env, key).encode(env));
        values.push(text(env, value));
    }
    // A context may name one key twice, which a map from arrays refuses: then without context.
    let info = map(env, &keys, &values).unwrap_or_else(|| short_info(env, error));
    let kind = fixed(env, &snake(error.kind().name()));
    (atoms::error(), (hundred, kind, info)).encode(env)
}

fn short_info<'a>(env: Env<'a>, error: &Error) -> Term<'a> {
    let keys = [atoms::number().encode(env), atoms::reason().encode(env)];
    let values = [error.number().encode(env), text(env, error.reason())];
    map(env, &keys, &values).unwrap_or_else(|| Term::map_new(env))
}

/// An atom of a name that is part of this library, hence one of a fixed set. `undefined` for a name
/// that no atom can have.
pub(crate) fn fixed(env: Env, name: &str) -> Atom {
    Atom::from_str(env, name).unwrap_or_else(|_| atoms::undefined())
}

/// `InvalidArgument` as `invalid_argument`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// A string as a binary.
pub(crate) fn text<'a>(env: Env<'a>, string: &str) -> Term<'a> {
    NewBinary::from_slice(env, string.as_bytes()).into()
}

/// `[{Key, Value}]`, in the order of the keys.
pub(crate) fn settings<'a>(env: Env<'a>, options: &primer::QueueOptions) -> Term<'a> {
    let pairs = options.iter();
    let pairs = pairs.map(|(key, value)| (text(env, key), text(env, value)).encode(env));
    let pairs: Vec<Term> = pairs.collect();
    list(env, pairs.into_iter())
}

/// A map. Sorted keys are cheapest. None when a key is there twice.
pub(crate) fn map<'a>(env: Env<'a>, keys: &[Term<'a>], values: &[Term<'a>]) -> Option<Term<'a>> {
    Term::map_from_term_arrays(env, keys, values).ok()
}

/// The keys of one kind of map, made once. Sorted, because that is cheapest for the VM.
pub(crate) type Keys<const N: usize> = LazyLock<[Atom; N]>;

/// A map with these keys, which must differ from each other. Made for every message, so by hand:
/// nothing is allocated outside the VM's heap.
pub(crate) fn record<'a, const N: usize>(
    env: Env<'a>,
    keys: &[Atom; N],
    values: &[Term<'a>; N],
) -> Term<'a> {
    let mut raw = [const { MaybeUninit::<ErlNifTerm>::uninit() }; N];
    for (place, value) in raw.iter_mut().zip(values) {
        place.write(value.as_c_arg());
    }
    let mut map = MaybeUninit::uninit();
    // SAFETY: both arrays hold N terms of `env` (atoms belong to every one; `Atom` is one term and
    // nothing else), all written above, and the VM only reads them during the call.
    let made = unsafe {
        let (keys, raw) = (keys.as_ptr().cast(), raw.as_ptr().cast());
        enif_make_map_from_arrays(env.as_c_arg(), keys, raw, N, map.as_mut_ptr())
    };
    if made == 0 {
        return Term::map_new(env);
    }
    // SAFETY: the VM has just made this term in `env`.
    unsafe { Term::new(env, map.assume_init()) }
}

/// A list of as many terms as the iterator gives.
pub(crate) fn list<'a>(env: Env<'a>, terms: impl DoubleEndedIterator<Item = Term<'a>>) -> Term<'a> {
    // From the end, cell by cell: no array in between.
    let mut list = Term::list_new_empty(env);
    for term in terms.rev() {
        list = list.list_prepend(term);
    }
    list
}

/// A list of these terms.
///
/// # Safety
/// All of them belong to `env`, or to every environment, as atoms and small numbers do.
pub(crate) unsafe fn raw_list<'a>(env: Env<'a>, terms: &[ErlNifTerm]) -> Term<'a> {
    // A batch is far smaller than the largest number; a longer list would be cut, not misread.
    let count = c_uint::try_from(terms.len()).unwrap_or(c_uint::MAX);
    // SAFETY: the array holds `count` terms that belong here, and the VM only reads it.
    unsafe {
        let list = enif_make_list_from_array(env.as_c_arg(), terms.as_ptr(), count);
        Term::new(env, list)
    }
}

/// Bytes of an identity before its number: 16 hexadecimal digits and a dash.
const ORIGIN: usize = 17;

/// Writes messages' identities as binaries, in their text form: the origin in 16 hexadecimal digits,
/// a dash, the number in decimal ones. By hand: one is made for every message, and a batch is mostly
/// of one origin.
#[derive(Default)]
pub(crate) struct Ids {
    origin: Option<(u64, [u8; ORIGIN])>,
}

impl Ids {
    pub(crate) fn encode<'a>(&mut self, env: Env<'a>, id: MessageId) -> Term<'a> {
        let origin = match &self.origin {
            Some((known, text)) if *known == id.origin.0 => text,
            _ => &self.origin.insert((id.origin.0, origin(id.origin.0))).1,
        };
        let digits = id
            .sequence
            .checked_ilog10()
            .map_or(1, |log| log as usize + 1);
        let mut binary = NewBinary::new(env, ORIGIN + digits);
        if let Some((start, end)) = binary.as_mut_slice().split_first_chunk_mut() {
            *start = *origin;
            let mut rest = id.sequence;
            for place in end.iter_mut().rev() {
                *place = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        binary.into()
    }
}

fn origin(origin: u64) -> [u8; ORIGIN] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; ORIGIN];
    let mut rest = origin;
    for place in text.iter_mut().rev().skip(1) {
        *place = DIGITS.get((rest & 15) as usize).copied().unwrap_or(b'0');
        rest >>= 4;
    }
    text
}

impl ToTerm for () {
    fn to_term<'a>(self, _: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        None
    }
}

impl ToTerm for Receipt {
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        Some(receipt_term(env, &self))
    }
}

impl ToTerm for Reply {
    /// `#{body, headers}`.
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        static KEYS: Keys<2> = LazyLock::new(|| [atoms::body(), atoms::headers()]);
        let values = [
            body::encode(env, &self.body),
            delivery::headers(env, &self.headers),
        ];
        Some(record(env, &KEYS, &values))
    }
}

impl ToTerm for Page {
    /// `#{cursor, messages, missing}`.
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        static KEYS: Keys<3> =
            LazyLock::new(|| [atoms::cursor(), atoms::messages(), atoms::missing()]);
        let values = [
            some(env, self.cursor.as_deref().map(|cursor| text(env, cursor))),
            list(env, self.messages.iter().map(|one| browsed(env, one))),
            members(env, &self.missing),
        ];
        Some(record(env, &KEYS, &values))
    }
}

impl ToTerm for Explanation {
    /// `#{accounts, missing}`.
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        static KEYS: Keys<2> = LazyLock::new(|| [atoms::accounts(), atoms::missing()]);
        let values = [
            list(env, self.accounts.iter().map(|one| account(env, one))),
            members(env, &self.missing),
        ];
        Some(record(env, &KEYS, &values))
    }
}

/// Their ids.
pub(crate) fn members<'a>(env: Env<'a>, members: &[MemberId]) -> Term<'a> {
    let ids = members.iter();
    list(env, ids.map(|member| text(env, &member.to_string())))
}

fn account<'a>(env: Env<'a>, account: &Account) -> Term<'a> {
    static KEYS: Keys<14> = LazyLock::new(|| {
        [
            atoms::accepted_ms(),
            atoms::attempts(),
            atoms::confirmed(),
            atoms::expires_ms(),
            atoms::group(),
            atoms::holders(),
            atoms::id(),
            atoms::known(),
            atoms::lease_ms(),
            atoms::lessee(),
            atoms::member(),
            atoms::owner(),
            atoms::queue(),
            atoms::ready_at_ms(),
        ]
    });
    let number = |number: Option<u64>| some(env, number.map(|number| number.encode(env)));
    let member =
        |member: Option<MemberId>| some(env, member.map(|member| text(env, &member.to_string())));
    let name = |name: &Option<String>| some(env, name.as_deref().map(|name| text(env, name)));
    let values = [
        number(account.accepted_ms),
        account.attempts.encode(env),
        account.confirmed.encode(env),
        number(account.expires_ms),
        name(&account.group),
        members(env, &account.holders),
        Ids::default().encode(env, account.id),
        fixed(env, account.known.name()).encode(env),
        number(account.lease_ms),
        member(account.lessee),
        member(Some(account.member)),
        member(account.owner),
        name(&account.queue),
        number(account.ready_at_ms),
    ];
    record(env, &KEYS, &values)
}

/// A term, or `undefined`.
pub(crate) fn some<'a>(env: Env<'a>, term: Option<Term<'a>>) -> Term<'a> {
    term.unwrap_or_else(|| atoms::undefined().encode(env))
}

fn browsed<'a>(env: Env<'a>, browsed: &Browsed) -> Term<'a> {
    static KEYS: Keys<15> = LazyLock::new(|| {
        [
            atoms::accepted_ms(),
            atoms::attempts(),
            atoms::body(),
            atoms::body_bytes(),
            atoms::copies(),
            atoms::expires_ms(),
            atoms::group(),
            atoms::headers(),
            atoms::id(),
            atoms::key(),
            atoms::lease_ms(),
            atoms::owner(),
            atoms::priority(),
            atoms::ready_at_ms(),
            atoms::state(),
        ]
    });
    let number = |number: Option<u64>| some(env, number.map(|number| number.encode(env)));
    let group = browsed.group.as_deref().map(|group| text(env, group));
    let values = [
        browsed.accepted_ms.encode(env),
        browsed.attempts.encode(env),
        body::encode(env, &browsed.body),
        browsed.body_bytes.encode(env),
        browsed.copies.encode(env),
        number(browsed.expires_ms),
        some(env, group),
        delivery::headers(env, &browsed.headers),
        Ids::default().encode(env, browsed.id),
        some(env, browsed.key.as_deref().map(|key| text(env, key))),
        number(browsed.lease_ms),
        text(env, &browsed.owner.to_string()),
        browsed.priority.encode(env),
        number(browsed.ready_at_ms),
        state_atom(browsed.state).encode(env),
    ];
    record(env, &KEYS, &values)
}

fn receipt_term<'a>(env: Env<'a>, receipt: &Receipt) -> Term<'a> {
    static KEYS: Keys<5> = LazyLock::new(|| {
        [
            atoms::copies(),
            atoms::durable_copies(),
            atoms::id(),
            atoms::is_duplicate(),
            atoms::wanted(),
        ]
    });
    let values = [
        receipt.copies.encode(env),
        receipt.durable_copies.encode(env),
        Ids::default().encode(env, receipt.id),
        receipt.is_duplicate.encode(env),
        receipt.wanted.encode(env),
    ];
    record(env, &KEYS, &values)
}

fn member_term<'a>(env: Env<'a>, member: &Member) -> Term<'a> {
    static KEYS: Keys<8> = LazyLock::new(|| {
        [
            atoms::address(),
            atoms::boot(),
            atoms::id(),
            atoms::is_reachable(),
            atoms::is_self(),
            atoms::memory_level(),
            atoms::name(),
            atoms::zone(),
        ]
    });
    let values = [
        text(env, &member.address),
        text(env, &member.boot.to_string()),
        text(env, &member.id.to_string()),
        member.is_reachable.encode(env),
        member.is_self.encode(env),
        member.memory_level.encode(env),
        text(env, &member.name),
        text(env, &member.zone),
    ];
    record(env, &KEYS, &values)
}

/// What a reader heard; `missed` is how many items it has missed so far. `undefined` of what no reader
/// hears.
pub(crate) fn news<'a>(env: Env<'a>, item: &Outcome, missed: u64) -> Term<'a> {
    match item {
        Outcome::Event(item) => event(env, item, missed),
        Outcome::Broadcast(item) => broadcast(env, item, missed),
        Outcome::Change(item) => change(env, item, missed),
        _ => atoms::undefined().encode(env),
    }
}

fn event<'a>(env: Env<'a>, event: &Event, missed: u64) -> Term<'a> {
    static KEYS: Keys<6> = LazyLock::new(|| {
        [
            atoms::at_ms(),
            atoms::detail(),
            atoms::kind(),
            atoms::member(),
            atoms::missed(),
            atoms::name(),
        ]
    });
    let values = [
        event.at_ms.encode(env),
        text(env, &event.detail),
        fixed(env, event.kind.name()).encode(env),
        text(env, &event.member.to_string()),
        missed.encode(env),
        text(env, &event.name),
    ];
    record(env, &KEYS, &values)
}

fn broadcast<'a>(env: Env<'a>, broadcast: &Broadcast, missed: u64) -> Term<'a> {
    static KEYS: Keys<4> = LazyLock::new(|| {
        [
            atoms::body(),
            atoms::from(),
            atoms::missed(),
            atoms::topic(),
        ]
    });
    let values = [
        body::encode(env, &broadcast.body),
        text(env, &broadcast.from.to_string()),
        missed.encode(env),
        text(env, &broadcast.topic),
    ];
    record(env, &KEYS, &values)
}

/// Its value is `undefined` when the key was removed.
fn change<'a>(env: Env<'a>, change: &Change, missed: u64) -> Term<'a> {
    static KEYS: Keys<3> = LazyLock::new(|| [atoms::key(), atoms::missed(), atoms::value()]);
    let value = match &change.value {
        Some(value) => body::encode(env, value),
        None => atoms::undefined().encode(env),
    };
    let values = [text(env, &change.key), missed.encode(env), value];
    record(env, &KEYS, &values)
}

fn entry<'a>(env: Env<'a>, entry: &Entry) -> Term<'a> {
    static KEYS: Keys<4> = LazyLock::new(|| {
        [
            atoms::at_ms(),
            atoms::key(),
            atoms::others(),
            atoms::value(),
        ]
    });
    let others = entry.others.iter().map(|other| body::encode(env, other));
    let values = [
        entry.at_ms.encode(env),
        text(env, &entry.key),
        list(env, others),
        body::encode(env, &entry.value),
    ];
    record(env, &KEYS, &values)
}

impl ToTerm for Vec<Entry> {
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        Some(list(env, self.iter().map(|one| entry(env, one))))
    }
}

impl ToTerm for Vec<String> {
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        Some(list(env, self.iter().map(|name| text(env, name))))
    }
}

impl ToTerm for u64 {
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        Some(self.encode(env))
    }
}

impl ToTerm for Bytes {
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        Some(body::encode(env, &self))
    }
}

impl ToTerm for Stats {
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        let (keys, values): (Vec<_>, Vec<_>) = self
            .iter()
            .map(|(name, value)| (fixed(env, name).encode(env), value.encode(env)))
            .unzip();
        Some(map(env, &keys, &values).unwrap_or_else(|| Term::map_new(env)))
    }
}

impl ToTerm for primer::Delivery {
    fn to_term<'a>(self, env: Env<'a>, face: &Arc<Face>) -> Option<Term<'a>> {
        Some(delivery::encode(env, face, self))
    }
}

impl ToTerm for Vec<Receipt> {
    /// `[{Copies, DurableCopies, Wanted, IsDuplicate, [Id]}]`, of which `primer.erl` makes the maps: neighbours
    /// with the same numbers share an entry, and a batch mostly has but one.
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        let mut ids = Ids::default();
        let numbers = |receipt: &Receipt| {
            let copies = (receipt.copies, receipt.durable_copies, receipt.wanted);
            (copies, receipt.is_duplicate)
        };
        let groups = self.chunk_by(|one, next| numbers(one) == numbers(next));
        let groups: Vec<Term> = groups
            .filter_map(|group| Some((numbers(group.first()?), group)))
            .map(|(((copies, durable, wanted), is_duplicate), group)| {
                let terms = group
                    .iter()
                    .map(|receipt| ids.encode(env, receipt.id).as_c_arg());
                let terms: Vec<ErlNifTerm> = terms.collect();
                // SAFETY: the ids were made in this environment just now.
                let all = unsafe { raw_list(env, &terms) };
                (copies, durable, wanted, is_duplicate, all).encode(env)
            })
            .collect();
        Some(groups.encode(env))
    }
}

impl ToTerm for Vec<Member> {
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        Some(list(
            env,
            self.iter().map(|member| member_term(env, member)),
        ))
    }
}

impl ToTerm for Vec<primer::Delivery> {
    fn to_term<'a>(self, env: Env<'a>, face: &Arc<Face>) -> Option<Term<'a>> {
        Some(delivery::encode_many(env, face, self))
    }
}

impl ToTerm for Outcome {
    fn to_term<'a>(self, env: Env<'a>, face: &Arc<Face>) -> Option<Term<'a>> {
        match self {
            Outcome::Done | Outcome::Ready => None,
            Outcome::Receipt(receipt) => receipt.to_term(env, face),
            Outcome::Reply(reply) => reply.to_term(env, face),
            Outcome::Page(page) => page.to_term(env, face),
            Outcome::Explanation(explanation) => explanation.to_term(env, face),
            Outcome::Redriven(redriven) => redriven.to_term(env, face),
            Outcome::Diagnosis(diagnosis) => diagnosis.to_term(env, face),
            Outcome::Receipts(receipts) => receipts.to_term(env, face),
            Outcome::Deliveries(deliveries) => deliveries.to_term(env, face),
            Outcome::Delivery(delivery) => delivery.to_term(env, face),
            Outcome::Event(_) | Outcome::Broadcast(_) | Outcome::Change(_) => {
                Some(news(env, &self, 0))
            }
        }
    }
}
