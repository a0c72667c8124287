//! [`MemberRes`]: this process's place in a cluster; [`WeakRes`], which knows one and holds it not.

use std::sync::{Arc, Weak};

use primer::{Error, ErrorKind, Options};
use rustler::{Encoder, Env, NifResult, Resource, ResourceArc, Term};

use crate::courier::Face;
use crate::later::{Waiting, answer};
use crate::queue::QueueRes;
use crate::reader::{News, ReaderRes};
use crate::subscription::SubscriptionRes;
use crate::terms::{failed, result, text};
use crate::{atoms, options};

/// A member.
pub(crate) struct MemberRes {
    pub(crate) face: Arc<Face>,
}

#[rustler::resource_impl]
impl Resource for MemberRes {}

/// A member for those who are to forget it when nobody else refers to it.
struct WeakRes {
    face: Weak<Face>,
}

#[rustler::resource_impl]
impl Resource for WeakRes {}

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
fn explain<'a>(env: Env<'a>, member: &MemberRes, id: &str) -> Term<'a> {
    match id.parse() {
        Ok(id) => answer(
            env,
            &member.face,
            member.face.primer().explain(id),
            Waiting::Explanation,
        ),
        Err(error) => failed(env, &error),
    }
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

/// Closes a member; or a subscription or a reader of news, and answers `flush`: its last messages
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
        subscription.close(env, handle);
        return Ok(atoms::flush().encode(env));
    }
    let reader: &ReaderRes = handle.decode()?;
    reader.close(env, handle);
    Ok(atoms::flush().encode(env))
}

/// Of a member, or of a weak handle of one: true as well when the member is gone.
#[rustler::nif]
fn is_closed(handle: Term) -> NifResult<bool> {
    if let Ok(member) = handle.decode::<&MemberRes>() {
        return Ok(member.face.primer().is_closed());
    }
    let weak: &WeakRes = handle.decode()?;
    let face = weak.face.upgrade();
    Ok(face.is_none_or(|face| face.primer().is_closed()))
}

/// A handle that does not keep the member open.
#[rustler::nif]
fn weak<'a>(env: Env<'a>, member: &MemberRes) -> Term<'a> {
    let face = Arc::downgrade(&member.face);
    ResourceArc::new(WeakRes { face }).encode(env)
}

/// `{ok, Member}`, or `undefined` when nobody refers to it any more.
#[rustler::nif]
fn strong<'a>(env: Env<'a>, weak: &WeakRes) -> Term<'a> {
    match weak.face.upgrade() {
        Some(face) => (atoms::ok(), ResourceArc::new(MemberRes { face })).encode(env),
        None => atoms::undefined().encode(env),
    }
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
    let events = member.face.primer().events();
    ReaderRes::open(env, &member.face, News::Events(events))
}
