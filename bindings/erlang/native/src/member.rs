//! [`MemberRes`]: this process's place in a cluster.

use std::sync::Arc;

use primer::{Error, ErrorKind, Options};
use rustler::{Encoder, Env, NifResult, Resource, ResourceArc, Term};

use crate::courier::{Face, Stream};
use crate::events::EventsRes;
use crate::later::{Waiting, answer};
use crate::queue::QueueRes;
use crate::subscription::SubscriptionRes;
use crate::terms::{failed, result, text};
use crate::{atoms, options};

/// A member.
pub(crate) struct MemberRes {
    face: Arc<Face>,
}

#[rustler::resource_impl]
impl Resource for MemberRes {}

/// Starts a member of these pairs: `{ok, Member, Later}`, where `Later` waits for a seed.
///
/// Dirty: it binds a socket and starts threads.
#[rustler::nif(schedule = "DirtyIo")]
fn open<'a>(env: Env<'a>, pairs: Vec<(String, String)>) -> Term<'a> {
    match Options::from_pairs(pairs).and_then(Face::start) {
        Ok(face) => {
            let joined = answer(env, &face, face.primer().joined(), Waiting::Done);
            (atoms::ok(), ResourceArc::new(MemberRes { face }), joined).encode(env)
        }
        Err(error) => failed(env, &error),
    }
}

#[rustler::nif]
fn join<'a>(env: Env<'a>, member: &MemberRes, address: &str) -> Term<'a> {
    answer(
        env,
        &member.face,
        member.face.primer().join(address),
        Waiting::Done,
    )
}

#[rustler::nif]
fn leave<'a>(env: Env<'a>, member: &MemberRes, map: Term<'a>) -> Term<'a> {
    match options::leave(map) {
        Ok((drain, force)) => answer(
            env,
            &member.face,
            member.face.primer().leave(drain, force),
            Waiting::Done,
        ),
        Err(error) => failed(env, &error),
    }
}

/// Closes a member; or a subscription or a reader of events, and answers `flush`: its last messages
/// may be in the mailbox.
#[rustler::nif]
fn close<'a>(env: Env<'a>, handle: Term<'a>) -> NifResult<Term<'a>> {
    if let Ok(member) = handle.decode::<&MemberRes>() {
        return Ok(answer(
            env,
            &member.face,
            member.face.primer().close(),
            Waiting::Done,
        ));
    }
    if let Ok(subscription) = handle.decode::<&SubscriptionRes>() {
        subscription.close();
        return Ok(atoms::flush().encode(env));
    }
    let events: &EventsRes = handle.decode()?;
    events.close();
    Ok(atoms::flush().encode(env))
}

#[rustler::nif]
fn is_closed(member: &MemberRes) -> bool {
    member.face.primer().is_closed()
}

#[rustler::nif]
fn address<'a>(env: Env<'a>, member: &MemberRes) -> Term<'a> {
    match member.face.primer().address() {
        Some(address) => text(env, &address),
        None => atoms::undefined().encode(env),
    }
}

#[rustler::nif]
fn members<'a>(env: Env<'a>, member: &MemberRes) -> Term<'a> {
    result(env, &member.face, member.face.primer().members())
}

#[rustler::nif]
fn stats<'a>(env: Env<'a>, member: &MemberRes) -> Term<'a> {
    result(env, &member.face, member.face.primer().stats())
}

#[rustler::nif]
fn queue<'a>(env: Env<'a>, member: &MemberRes, name: Term<'a>) -> NifResult<Term<'a>> {
    let name: rustler::Binary = name.decode()?;
    let found = std::str::from_utf8(name.as_slice())
        .map_err(|_| Error::new(ErrorKind::InvalidArgument).because("a queue's name is not UTF-8"))
        .and_then(|name| member.face.primer().queue(name));
    Ok(match found {
        Ok(queue) => {
            let queue = QueueRes {
                queue,
                face: Arc::clone(&member.face),
            };
            (atoms::ok(), ResourceArc::new(queue)).encode(env)
        }
        Err(error) => failed(env, &error),
    })
}

/// Events from now on go to the calling process as messages.
#[rustler::nif]
fn events<'a>(env: Env<'a>, member: &MemberRes) -> Term<'a> {
    let pid = env.pid();
    let events = ResourceArc::new(EventsRes::new(Arc::clone(&member.face), pid));
    env.monitor(&events, &pid);
    events.begin(Stream::Events(events.clone()));
    (atoms::ok(), events).encode(env)
}
