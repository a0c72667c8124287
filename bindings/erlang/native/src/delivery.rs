//! [`DeliveryRes`]: a message on lease, and the verbs that settle it.
//!
//! The handle inside a delivery is the lease. It is shared by whoever holds the term: a process may
//! hand a delivery to another one. When the last holder dies or lets go of it, the VM collects the
//! handle and the message goes back at once, the attempt not counted.

use std::sync::{Arc, LazyLock};

use primer::{Bytes, Delivery, Error, ErrorKind, limits};
use rustler::{Encoder, Env, NifResult, Resource, ResourceArc, Term};

use crate::courier::Face;
use crate::later::{Waiting, answer};
use crate::terms::{Keys, failed, list, message_id, record, result, text};
use crate::{atoms, body, options};

/// A lease.
pub(crate) struct DeliveryRes {
    delivery: Delivery,
    face: Arc<Face>,
}

#[rustler::resource_impl]
impl Resource for DeliveryRes {}

/// `#{attempts, body, handle, headers, id, queue}`.
pub(crate) fn encode<'a>(env: Env<'a>, face: &Arc<Face>, delivery: Delivery) -> Term<'a> {
    let queue = text(env, delivery.queue().name());
    let body = body::encode(env, delivery.body());
    encode_of(env, face, delivery, queue, body)
}

/// A list of them. They are of one queue, so they share its name.
pub(crate) fn encode_many<'a>(
    env: Env<'a>,
    face: &Arc<Face>,
    deliveries: Vec<Delivery>,
) -> Term<'a> {
    let Some(first) = deliveries.first() else {
        return Term::list_new_empty(env);
    };
    let queue = text(env, first.queue().name());
    let bodies: Vec<&Bytes> = deliveries.iter().map(Delivery::body).collect();
    let bodies = body::encode_many(env, &bodies);
    let terms = deliveries.into_iter().zip(bodies);
    list(
        env,
        terms.map(|(delivery, body)| encode_of(env, face, delivery, queue, body)),
    )
}

fn encode_of<'a>(
    env: Env<'a>,
    face: &Arc<Face>,
    delivery: Delivery,
    queue: Term<'a>,
    body: Term<'a>,
) -> Term<'a> {
    static KEYS: Keys<6> = LazyLock::new(|| {
        [
            atoms::attempts(),
            atoms::body(),
            atoms::handle(),
            atoms::headers(),
            atoms::id(),
            atoms::queue(),
        ]
    });
    let attempts = delivery.attempts().encode(env);
    let id = message_id(env, delivery.id());
    let headers = delivery.headers().iter();
    let headers = headers.map(|(key, value)| (text(env, key), text(env, value)).encode(env));
    let headers = list(env, headers);
    let face = Arc::clone(face);
    let handle = ResourceArc::new(DeliveryRes { delivery, face }).encode(env);
    record(env, &KEYS, &[attempts, body, handle, headers, id, queue])
}

#[rustler::nif]
fn ack<'a>(env: Env<'a>, handle: &DeliveryRes) -> Term<'a> {
    result(env, &handle.face, handle.delivery.ack())
}

/// `{ok, [0 | 402 | ...]}`. All handles are of one member.
#[rustler::nif]
fn ack_many<'a>(env: Env<'a>, list: Term<'a>) -> NifResult<Term<'a>> {
    let handles = options::cells(list, limits::BATCH_MAX + 1, |term| {
        term.decode::<&DeliveryRes>().ok()
    });
    let handles = handles.ok_or(rustler::Error::BadArg)?;
    let Some(first) = handles.first() else {
        return Ok((atoms::ok(), Vec::<u16>::new()).encode(env));
    };
    if !handles
        .iter()
        .all(|handle| Arc::ptr_eq(&handle.face, &first.face))
    {
        let error = Error::new(ErrorKind::InvalidArgument).because("deliveries of several members");
        return Ok(failed(env, &error));
    }
    let deliveries: Vec<&Delivery> = handles.iter().map(|handle| &handle.delivery).collect();
    Ok(match first.delivery.queue().ack_many(&deliveries) {
        Ok(codes) => (atoms::ok(), codes).encode(env),
        Err(error) => failed(env, &error),
    })
}

#[rustler::nif]
fn nack<'a>(env: Env<'a>, handle: &DeliveryRes, map: Term<'a>) -> Term<'a> {
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
fn release<'a>(env: Env<'a>, handle: &DeliveryRes) -> Term<'a> {
    answer(env, &handle.face, handle.delivery.release(), Waiting::Done)
}

#[rustler::nif]
fn extend<'a>(env: Env<'a>, handle: &DeliveryRes, map: Term<'a>) -> Term<'a> {
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
