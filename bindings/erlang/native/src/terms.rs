//! Primer's values as Erlang terms.
//!
//! A result is `ok`, `{ok, Value}` or `{error, {Hundred, Kind, Info}}`. Values are maps with atom
//! keys; names, ids and bodies are binaries.

use std::mem::MaybeUninit;
use std::sync::{Arc, LazyLock};

use primer::{Error, Event, Member, MessageId, Outcome, Receipt, Result, Stats};
use rustler::sys::{ErlNifTerm, enif_make_map_from_arrays};
use rustler::{Atom, Encoder, Env, NewBinary, Term};

use crate::courier::Face;
use crate::{atoms, delivery};

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
fn fixed(env: Env, name: &str) -> Atom {
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

/// A message's identity as a binary, in its text form. By hand: it is made for every message.
pub(crate) fn message_id<'a>(env: Env<'a>, id: MessageId) -> Term<'a> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // 16 hexadecimal digits, a dash and at most 20 decimal ones, filled from the end.
    let mut buffer = [0_u8; 37];
    let mut start = buffer.len();
    let mut put = |byte: u8| {
        start -= 1;
        if let Some(place) = buffer.get_mut(start) {
            *place = byte;
        }
    };
    let mut rest = id.sequence;
    loop {
        put(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    put(b'-');
    let mut rest = id.origin.0;
    for _ in 0..16 {
        put(DIGITS.get((rest & 15) as usize).copied().unwrap_or(b'0'));
        rest >>= 4;
    }
    NewBinary::from_slice(env, buffer.get(start..).unwrap_or_default()).into()
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

fn receipt_term<'a>(env: Env<'a>, receipt: &Receipt) -> Term<'a> {
    static KEYS: Keys<4> = LazyLock::new(|| {
        [
            atoms::copies(),
            atoms::durable_copies(),
            atoms::id(),
            atoms::wanted(),
        ]
    });
    let values = [
        receipt.copies.encode(env),
        receipt.durable_copies.encode(env),
        message_id(env, receipt.id),
        receipt.wanted.encode(env),
    ];
    record(env, &KEYS, &values)
}

fn member_term<'a>(env: Env<'a>, member: &Member) -> Term<'a> {
    static KEYS: Keys<6> = LazyLock::new(|| {
        [
            atoms::address(),
            atoms::boot(),
            atoms::id(),
            atoms::is_reachable(),
            atoms::is_self(),
            atoms::name(),
        ]
    });
    let values = [
        text(env, &member.address),
        text(env, &member.boot.to_string()),
        text(env, &member.id.to_string()),
        member.is_reachable.encode(env),
        member.is_self.encode(env),
        text(env, &member.name),
    ];
    record(env, &KEYS, &values)
}

impl ToTerm for Event {
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        Some(event(env, &self, 0))
    }
}

/// An event; `missed` is how many its reader has missed so far.
pub(crate) fn event<'a>(env: Env<'a>, event: &Event, missed: u64) -> Term<'a> {
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
    fn to_term<'a>(self, env: Env<'a>, _: &Arc<Face>) -> Option<Term<'a>> {
        Some(list(
            env,
            self.iter().map(|receipt| receipt_term(env, receipt)),
        ))
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
            Outcome::Receipts(receipts) => receipts.to_term(env, face),
            Outcome::Deliveries(deliveries) => deliveries.to_term(env, face),
            Outcome::Delivery(delivery) => delivery.to_term(env, face),
            Outcome::Event(event) => event.to_term(env, face),
        }
    }
}
