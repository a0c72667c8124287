//! Deliveries as terms, and the verbs that settle them.
//!
//! The handle inside a delivery is the lease. It is shared by whoever holds the term: a process may
//! hand a delivery to another one. When the last holder dies or lets go of it, the VM collects the
//! handle and the message goes back at once, the attempt not counted.

use std::sync::{Arc, LazyLock};

use primer::{Bytes, Delivery, Error, ErrorKind, Reply, limits};
use rustler::sys::ErlNifTerm;
use rustler::{Binary, Encoder, Env, NifResult, Term};

use crate::courier::Face;
use crate::later::{Waiting, answer};
use crate::lease::Lease;
use crate::terms::{Ids, Keys, failed, list, raw_list, record, result, some, text};
use crate::{atoms, body, options};

/// Terms of each delivery in a batch: its id, its body and its handle.
const FIELDS: usize = 3;

/// `#{attempts, body, handle, headers, id, key, priority, queue}`; the key is `undefined` for none.
pub(crate) fn encode<'a>(env: Env<'a>, face: &Arc<Face>, delivery: Delivery) -> Term<'a> {
    static KEYS: Keys<8> = LazyLock::new(|| {
        [
            atoms::attempts(),
            atoms::body(),
            atoms::handle(),
            atoms::headers(),
            atoms::id(),
            atoms::key(),
            atoms::priority(),
            atoms::queue(),
        ]
    });
    let attempts = delivery.attempts().encode(env);
    let body = body::encode(env, delivery.body());
    let headers = headers(env, delivery.headers());
    let id = Ids::default().encode(env, delivery.id());
    let key = key(env, &delivery);
    let priority = delivery.priority().encode(env);
    let queue = text(env, delivery.queue().name());
    let handle = Lease::encode(env, face, delivery);
    record(
        env,
        &KEYS,
        &[attempts, body, handle, headers, id, key, priority, queue],
    )
}

/// None or one as a list of maps; more, of one queue, as
/// `{Queue, [{Attempts, Priority, Headers, Key, [Id, Body, Handle | ...]}]}`, of which `primer.erl` makes the maps:
/// there a map shares its keys with all others, here it would get keys of its own. Neighbours that
/// were tried equally often, with one priority and one key and without headers share an entry.
pub(crate) fn encode_many<'a>(
    env: Env<'a>,
    face: &Arc<Face>,
    deliveries: Vec<Delivery>,
) -> Term<'a> {
    if deliveries.len() < 2 {
        let maps = deliveries.into_iter();
        return list(env, maps.map(|delivery| encode(env, face, delivery)));
    }
    let queue = deliveries.first().map_or("", |first| first.queue().name());
    let queue = text(env, queue);
    let bodies: Vec<&Bytes> = deliveries.iter().map(Delivery::body).collect();
    let bodies = body::encode_many(env, &bodies);
    let heads: Vec<(usize, (u32, u8, Term, Term))> = deliveries
        .chunk_by(is_alike)
        .filter_map(|group| {
            let first = group.first()?;
            let headers = headers(env, first.headers());
            let key = key(env, first);
            let head = (first.attempts(), first.priority(), headers, key);
            Some((group.len(), head))
        })
        .collect();
    let mut writer = Ids::default();
    let ids = deliveries.iter();
    let ids: Vec<Term> = ids
        .map(|delivery| writer.encode(env, delivery.id()))
        .collect();
    let handles = Lease::encode_many(env, face, deliveries);
    let mut fields: Vec<ErlNifTerm> = Vec::with_capacity(FIELDS * handles.len());
    for ((id, body), handle) in ids.iter().zip(&bodies).zip(&handles) {
        fields.extend([id.as_c_arg(), body.as_c_arg(), handle.as_c_arg()]);
    }
    let mut rest = fields.as_slice();
    let groups = heads
        .into_iter()
        .map(|(count, (attempts, priority, headers, key))| {
            let (group, after) = rest.split_at_checked(FIELDS * count).unwrap_or((rest, &[]));
            rest = after;
            // SAFETY: all of them were made in this environment just now.
            let group = unsafe { raw_list(env, group) };
            (attempts, priority, headers, key, group).encode(env)
        });
    let groups: Vec<Term> = groups.collect();
    (queue, groups).encode(env)
}

/// Whether two deliveries have everything in common that an entry of a batch says once.
fn is_alike(one: &Delivery, next: &Delivery) -> bool {
    one.attempts() == next.attempts()
        && one.priority() == next.priority()
        && one.key() == next.key()
        && one.headers().is_empty()
        && next.headers().is_empty()
}

/// The key that it was put in with.
fn key<'a>(env: Env<'a>, delivery: &Delivery) -> Term<'a> {
    some(env, delivery.key().map(|key| text(env, key)))
}

/// `[{Name, Value}]`.
pub(crate) fn headers<'a>(env: Env<'a>, headers: &[(String, String)]) -> Term<'a> {
    let pairs = headers.iter();
    list(
        env,
        pairs.map(|(key, value)| (text(env, key), text(env, value)).encode(env)),
    )
}

#[rustler::nif]
fn ack<'a>(env: Env<'a>, handle: &Lease) -> Term<'a> {
    result(env, &handle.face, handle.delivery.ack())
}

/// `{ok, [0 | 402 | ...]}`. All handles are of one member.
#[rustler::nif]
fn ack_many<'a>(env: Env<'a>, list: Term<'a>) -> NifResult<Term<'a>> {
    let mut face: Option<&Arc<Face>> = None;
    let mut is_mixed = false;
    let deliveries = options::cells(list, limits::BATCH_MAX + 1, |term| {
        let lease = term.decode::<&Lease>().ok()?;
        is_mixed |= !Arc::ptr_eq(face.get_or_insert(&lease.face), &lease.face);
        Some(&lease.delivery)
    });
    let deliveries = deliveries.ok_or(rustler::Error::BadArg)?;
    let Some(first) = deliveries.first() else {
        return Ok((atoms::ok(), Vec::<u16>::new()).encode(env));
    };
    if is_mixed {
        let error = Error::new(ErrorKind::InvalidArgument).because("deliveries of several members");
        return Ok(failed(env, &error));
    }
    Ok(match first.queue().ack_many(&deliveries) {
        Ok(codes) => (atoms::ok(), numbers(env, &codes)).encode(env),
        Err(error) => failed(env, &error),
    })
}

/// A list of numbers, mostly zeros.
fn numbers<'a>(env: Env<'a>, codes: &[u16]) -> Term<'a> {
    let zero = 0_u16.encode(env).as_c_arg();
    let terms: Vec<ErlNifTerm> = codes
        .iter()
        .map(|code| match code {
            0 => zero,
            _ => code.encode(env).as_c_arg(),
        })
        .collect();
    // SAFETY: small numbers belong to every environment.
    unsafe { raw_list(env, &terms) }
}

#[rustler::nif]
fn reply<'a>(env: Env<'a>, handle: &Lease, message: Binary<'a>, map: Term<'a>) -> Term<'a> {
    let replied = options::reply(map).and_then(|headers| {
        let body = body::decode(&message);
        handle.delivery.reply(Reply { body, headers })
    });
    result(env, &handle.face, replied)
}

#[rustler::nif]
fn nack<'a>(env: Env<'a>, handle: &Lease, map: Term<'a>) -> Term<'a> {
    match options::one_duration(map, atoms::delay()) {
        Ok(delay) => answer(
            env,
            &handle.face,
            handle.delivery.nack(delay),
            Waiting::Done,
        ),
        Err(error) => failed(env, &error),
    }
}

#[rustler::nif]
fn reject<'a>(env: Env<'a>, handle: &Lease, reason: &str) -> Term<'a> {
    answer(
        env,
        &handle.face,
        handle.delivery.reject(reason),
        Waiting::Done,
    )
}

#[rustler::nif]
fn release<'a>(env: Env<'a>, handle: &Lease) -> Term<'a> {
    answer(env, &handle.face, handle.delivery.release(), Waiting::Done)
}

#[rustler::nif]
fn extend<'a>(env: Env<'a>, handle: &Lease, map: Term<'a>) -> Term<'a> {
    match options::one_duration(map, atoms::lease()) {
        Ok(lease) => answer(
            env,
            &handle.face,
            handle.delivery.extend(lease),
            Waiting::Done,
        ),
        Err(error) => failed(env, &error),
    }
}
