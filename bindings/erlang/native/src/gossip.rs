//! The verbs about what everyone hears: topics, keys, and who may be a member.

use primer::{Error, ErrorKind, MemberId};
use rustler::{Binary, Encoder, Env, NifResult, Term};

use crate::member::MemberRes;
use crate::reader::{News, ReaderRes};
use crate::terms::{failed, list, result, settings, text};
use crate::{atoms, body, options};

/// Secrets that are read from a list: more than the verb takes, so that it sees that there are too many.
const SECRETS_READ: usize = 8;

#[rustler::nif]
fn evict<'a>(env: Env<'a>, member: &MemberRes, id: &str) -> Term<'a> {
    let id = id.parse::<MemberId>().map_err(|_| {
        Error::new(ErrorKind::InvalidArgument).because("a member's id is 32 hexadecimal digits")
    });
    let primer = member.face.primer();
    result(env, &member.face, id.and_then(|id| primer.evict(id)))
}

/// Dirty: it takes as long as there are messages.
#[rustler::nif(schedule = "DirtyCpu")]
fn reclaim<'a>(env: Env<'a>, member: &MemberRes, keep: bool) -> Term<'a> {
    result(env, &member.face, member.face.primer().reclaim(keep))
}

#[rustler::nif]
fn rotate<'a>(env: Env<'a>, member: &MemberRes, list: Term<'a>) -> NifResult<Term<'a>> {
    let secrets = options::cells(list, SECRETS_READ, options::utf8);
    let secrets = secrets.ok_or(rustler::Error::BadArg)?;
    Ok(result(
        env,
        &member.face,
        member.face.primer().rotate(secrets),
    ))
}

#[rustler::nif]
fn broadcast<'a>(env: Env<'a>, member: &MemberRes, topic: &str, message: Binary<'a>) -> Term<'a> {
    let told = member
        .face
        .primer()
        .broadcast(topic, body::decode(&message));
    result(env, &member.face, told)
}

/// Broadcasts to `topic` from now on go to the calling process as messages.
#[rustler::nif]
fn on<'a>(env: Env<'a>, member: &MemberRes, topic: &str) -> Term<'a> {
    match member.face.primer().on(topic) {
        Ok(topic) => ReaderRes::open(env, &member.face, News::Topic(topic)),
        Err(error) => failed(env, &error),
    }
}

#[rustler::nif]
fn put<'a>(env: Env<'a>, member: &MemberRes, key: &str, value: Binary<'a>) -> Term<'a> {
    let put = member.face.primer().put(key, body::decode(&value));
    result(env, &member.face, put)
}

/// `{ok, Value} | undefined | {error, Error}`.
#[rustler::nif]
fn get<'a>(env: Env<'a>, member: &MemberRes, key: &str) -> Term<'a> {
    match member.face.primer().get(key).transpose() {
        Some(value) => result(env, &member.face, value),
        None => atoms::undefined().encode(env),
    }
}

#[rustler::nif]
fn delete<'a>(env: Env<'a>, member: &MemberRes, key: &str) -> Term<'a> {
    result(env, &member.face, member.face.primer().delete(key))
}

/// Dirty: it takes as long as there are keys.
#[rustler::nif(schedule = "DirtyCpu")]
fn list<'a>(env: Env<'a>, member: &MemberRes, prefix: &str) -> Term<'a> {
    result(env, &member.face, member.face.primer().list(prefix))
}

#[rustler::nif]
fn set_policy<'a>(
    env: Env<'a>,
    member: &MemberRes,
    prefix: &str,
    settings: Vec<(String, String)>,
) -> Term<'a> {
    let options = settings.into_iter().collect();
    let set = member.face.primer().set_policy(prefix, &options);
    result(env, &member.face, set)
}

#[rustler::nif]
fn remove_policy<'a>(env: Env<'a>, member: &MemberRes, prefix: &str) -> Term<'a> {
    let removed = member.face.primer().remove_policy(prefix);
    result(env, &member.face, removed)
}

/// `{ok, [{Prefix, [{Key, Value}]}]}`.
#[rustler::nif]
fn policies<'a>(env: Env<'a>, member: &MemberRes) -> Term<'a> {
    match member.face.primer().policies() {
        Ok(policies) => {
            let rows = policies.iter();
            let rows = rows
                .map(|(prefix, options)| (text(env, prefix), settings(env, options)).encode(env));
            (atoms::ok(), list(env, rows)).encode(env)
        }
        Err(error) => failed(env, &error),
    }
}

/// Changes of the keys that begin with `prefix` go to the calling process as messages.
#[rustler::nif]
fn watch<'a>(env: Env<'a>, member: &MemberRes, prefix: &str) -> Term<'a> {
    let watch = member.face.primer().watch(prefix);
    ReaderRes::open(env, &member.face, News::Watch(watch))
}
