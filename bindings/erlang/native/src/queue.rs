//! [`QueueRes`]: the verbs of a queue.

use std::sync::Arc;

use primer::{EnqueueOptions, Queue, ReceiveOptions, limits};
use rustler::schedule::consume_timeslice;
use rustler::{Binary, Encoder, Env, NifResult, Resource, ResourceArc, Term};

use crate::courier::{Face, Stream};
use crate::later::{Waiting, answer, later};
use crate::subscription::SubscriptionRes;
use crate::terms::{failed, result, settings};
use crate::{atoms, body, options};

/// A queue as seen from one member.
pub(crate) struct QueueRes {
    pub(crate) queue: Queue,
    pub(crate) face: Arc<Face>,
}

#[rustler::resource_impl]
impl Resource for QueueRes {}

/// Messages of a batch that take about one per cent of a scheduler's timeslice (1 ms).
const MESSAGES_PER_PERCENT: usize = 40;

/// Tells the scheduler what a batch cost, so that the calling process is preempted in its turn.
fn account(env: Env, messages: usize) {
    let percent = (messages / MESSAGES_PER_PERCENT).min(100);
    if percent > 0 {
        consume_timeslice(env, i32::try_from(percent).unwrap_or(100));
    }
}

#[rustler::nif]
fn enqueue<'a>(env: Env<'a>, queue: &QueueRes, message: Binary<'a>) -> Term<'a> {
    let pending = queue
        .queue
        .enqueue_with(body::decode(&message), &EnqueueOptions::default());
    answer(env, &queue.face, pending, Waiting::Receipt)
}

#[rustler::nif]
fn enqueue_with<'a>(
    env: Env<'a>,
    queue: &QueueRes,
    message: Binary<'a>,
    map: Term<'a>,
) -> Term<'a> {
    match options::enqueue(map) {
        Ok(options) => {
            let pending = queue.queue.enqueue_with(body::decode(&message), &options);
            answer(env, &queue.face, pending, Waiting::Receipt)
        }
        Err(error) => failed(env, &error),
    }
}

#[rustler::nif]
fn call<'a>(env: Env<'a>, queue: &QueueRes, message: Binary<'a>, map: Term<'a>) -> Term<'a> {
    match options::call(map) {
        Ok((options, timeout)) => {
            let body = body::decode(&message);
            let pending = queue.queue.call_with(body, &options, timeout);
            answer(env, &queue.face, pending, Waiting::Reply)
        }
        Err(error) => failed(env, &error),
    }
}

#[rustler::nif]
fn browse<'a>(env: Env<'a>, queue: &QueueRes, map: Term<'a>) -> Term<'a> {
    match options::browse(map) {
        Ok(options) => answer(
            env,
            &queue.face,
            queue.queue.browse(&options),
            Waiting::Page,
        ),
        Err(error) => failed(env, &error),
    }
}

#[rustler::nif]
fn redrive<'a>(env: Env<'a>, queue: &QueueRes, map: Term<'a>) -> Term<'a> {
    match options::redrive(map) {
        Ok(options) => answer(
            env,
            &queue.face,
            queue.queue.redrive(&options),
            Waiting::Redriven,
        ),
        Err(error) => failed(env, &error),
    }
}

#[rustler::nif]
fn doctor<'a>(env: Env<'a>, queue: &QueueRes) -> Term<'a> {
    answer(env, &queue.face, queue.queue.doctor(), Waiting::Diagnosis)
}

#[rustler::nif]
fn enqueue_many<'a>(
    env: Env<'a>,
    queue: &QueueRes,
    list: Term<'a>,
    map: Term<'a>,
) -> NifResult<Term<'a>> {
    let mut batch = body::Batch::default();
    // One more than is allowed, so that the verb sees that there are too many.
    let read = options::cells(list, limits::BATCH_MAX + 1, |term| {
        batch.push(&Binary::from_term(term).ok()?);
        Some(())
    });
    read.ok_or(rustler::Error::BadArg)?;
    account(env, batch.len());
    Ok(match options::enqueue(map) {
        Ok(options) => {
            let pending = queue.queue.enqueue_many(batch.finish(), &options);
            answer(env, &queue.face, pending, Waiting::Receipts)
        }
        Err(error) => failed(env, &error),
    })
}

#[rustler::nif]
fn receive<'a>(env: Env<'a>, queue: &QueueRes) -> Term<'a> {
    let pending = queue.queue.receive(&ReceiveOptions::default());
    answer(env, &queue.face, pending, Waiting::Deliveries)
}

#[rustler::nif]
fn receive_with<'a>(env: Env<'a>, queue: &QueueRes, map: Term<'a>) -> Term<'a> {
    let options = match options::receive(map) {
        Ok(options) => options,
        Err(error) => return failed(env, &error),
    };
    let mut pending = queue.queue.receive(&options);
    match pending.ready() {
        Some(outcome) => {
            account(env, outcome.as_ref().map_or(0, Vec::len));
            result(env, &queue.face, outcome)
        }
        None => later(env, &queue.face, Waiting::Deliveries(pending)),
    }
}

/// Deliveries go to the calling process, or wait for its `next`; its death gives them all back.
#[rustler::nif]
fn subscribe<'a>(env: Env<'a>, queue: &QueueRes, map: Term<'a>) -> Term<'a> {
    let opened = options::subscribe(map)
        .and_then(|(options, pushes)| Ok((queue.queue.subscribe(&options)?, pushes)));
    match opened {
        Ok((subscription, pushes)) => {
            let pid = env.pid();
            let subscription =
                SubscriptionRes::new(subscription, Arc::clone(&queue.face), pid, pushes);
            let subscription = ResourceArc::new(subscription);
            env.monitor(&subscription, &pid);
            if pushes {
                subscription.begin(Stream::Deliveries(subscription.clone()));
            }
            (atoms::ok(), subscription).encode(env)
        }
        Err(error) => failed(env, &error),
    }
}

#[rustler::nif]
fn create_group<'a>(env: Env<'a>, queue: &QueueRes, group: &str, map: Term<'a>) -> Term<'a> {
    let created =
        options::create_group(map).and_then(|backlog| queue.queue.create_group(group, backlog));
    result(env, &queue.face, created)
}

#[rustler::nif]
fn remove_group<'a>(env: Env<'a>, queue: &QueueRes, group: &str) -> Term<'a> {
    result(env, &queue.face, queue.queue.remove_group(group))
}

#[rustler::nif]
fn configure<'a>(env: Env<'a>, queue: &QueueRes, settings: Vec<(String, String)>) -> Term<'a> {
    let options = settings.into_iter().collect();
    result(env, &queue.face, queue.queue.configure(&options))
}

/// `{ok, [{Key, Value}]}`.
#[rustler::nif]
fn configuration<'a>(env: Env<'a>, queue: &QueueRes) -> Term<'a> {
    match queue.queue.configuration() {
        Ok(options) => (atoms::ok(), settings(env, &options)).encode(env),
        Err(error) => failed(env, &error),
    }
}

#[rustler::nif]
fn purge<'a>(env: Env<'a>, queue: &QueueRes) -> Term<'a> {
    result(env, &queue.face, queue.queue.purge())
}

#[rustler::nif]
fn pause<'a>(env: Env<'a>, queue: &QueueRes, direction: &str) -> Term<'a> {
    result(env, &queue.face, queue.queue.pause(direction))
}

#[rustler::nif]
fn resume<'a>(env: Env<'a>, queue: &QueueRes) -> Term<'a> {
    result(env, &queue.face, queue.queue.resume())
}

#[rustler::nif]
fn groups<'a>(env: Env<'a>, queue: &QueueRes) -> Term<'a> {
    result(env, &queue.face, queue.queue.groups())
}
