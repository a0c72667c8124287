//! [`SubscriptionRes`]: deliveries under credit for one process.
//!
//! In push mode the courier sends each delivery as `{primer, Subscription, Delivery}`; unsettled ones
//! never exceed the credit, so neither does the mailbox. In pull mode the process asks with `next`.
//! In both the subscribing process is monitored: when it dies, everything unsettled goes back at
//! once, also what it had handed to others.

use std::sync::Arc;

use parking_lot::Mutex;
use primer::{Error, ErrorKind, Subscription};
use rustler::{Encoder, Env, LocalPid, Monitor, NifResult, OwnedEnv, Resource, ResourceArc, Term};

use crate::courier::{Face, Flow, Stream, message};
use crate::later::{Waiting, answer};
use crate::reader::{ReaderRes, tell_closed};
use crate::terms::{failed, result};
use crate::{atoms, delivery};

/// Deliveries pushed under one hold of the gate, so that `close` waits a few dozen microseconds at most.
const PUSH_MAX: usize = 64;

/// A subscription of one process.
pub(crate) struct SubscriptionRes {
    subscription: Subscription,
    face: Arc<Face>,
    pid: LocalPid,
    pushes: bool,
    token: u64,
    /// Whoever holds it may push; false once no message may follow.
    gate: Mutex<bool>,
}

#[rustler::resource_impl]
impl Resource for SubscriptionRes {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _: Env<'a>, _: LocalPid, _: Monitor) {
        self.subscription.abandon();
        self.face.detach(self.token);
    }
}

impl SubscriptionRes {
    pub(crate) fn new(
        subscription: Subscription,
        face: Arc<Face>,
        pid: LocalPid,
        pushes: bool,
    ) -> Self {
        let token = face.token();
        Self {
            subscription,
            face,
            pid,
            pushes,
            token,
            gate: Mutex::new(true),
        }
    }

    /// Lets the courier push.
    pub(crate) fn begin(&self, this: Stream) {
        self.face.attach(self.token, this);
        self.subscription
            .notify(self.face.completions(), self.token);
    }

    /// Sends what is there; on the courier's thread only.
    pub(crate) fn push(&self, this: &ResourceArc<Self>, env: &mut OwnedEnv) -> Flow {
        let mut is_open = self.gate.lock();
        if !*is_open {
            return Flow::Ended;
        }
        match self.subscription.take(PUSH_MAX) {
            Ok(batch) => {
                let flow = if batch.len() == PUSH_MAX {
                    Flow::More
                } else {
                    Flow::Idle
                };
                for given in batch {
                    let sent = env.send_and_clear(&self.pid, |env| {
                        let map = delivery::encode(env, &self.face, given);
                        message(env, this.encode(env), map)
                    });
                    if sent.is_err() {
                        // The process died; its monitor gives the rest back.
                        return Flow::Ended;
                    }
                }
                flow
            }
            Err(error) => {
                *is_open = false;
                let _ = env.send_and_clear(&self.pid, |env| {
                    message(env, this.encode(env), failed(env, &error))
                });
                Flow::Ended
            }
        }
    }

    /// Ends it; no message follows, except 501 for a subscriber whose subscription another process
    /// closes.
    pub(crate) fn close<'a>(&self, env: Env<'a>, this: Term<'a>) {
        let was_open = std::mem::replace(&mut *self.gate.lock(), false);
        self.subscription.close();
        self.face.detach(self.token);
        if was_open && self.pushes {
            tell_closed(env, &self.pid, this);
        }
    }
}

#[rustler::nif]
fn credit<'a>(env: Env<'a>, subscription: &SubscriptionRes, more: u32) -> Term<'a> {
    result(
        env,
        &subscription.face,
        subscription.subscription.credit(more),
    )
}

/// `{push, ok | {error, Error}}` where messages come by themselves (an error: no more of them), else
/// `{ok, Delivery}`, `empty`, or with `waits` also `{later, Later}`.
#[rustler::nif]
fn next<'a>(env: Env<'a>, stream: Term<'a>, waits: bool) -> NifResult<Term<'a>> {
    if let Ok(reader) = stream.decode::<&ReaderRes>() {
        return Ok(pushed(env, reader.is_open()));
    }
    let subscription: &SubscriptionRes = stream.decode()?;
    if subscription.pushes {
        return Ok(pushed(env, *subscription.gate.lock()));
    }
    Ok(pulled(env, subscription, waits))
}

fn pushed(env: Env, is_open: bool) -> Term {
    let state = if is_open {
        atoms::ok().encode(env)
    } else {
        failed(
            env,
            &Error::new(ErrorKind::Closed).because("this stream is closed"),
        )
    };
    (atoms::push(), state).encode(env)
}

fn pulled<'a>(env: Env<'a>, subscription: &SubscriptionRes, waits: bool) -> Term<'a> {
    match subscription.subscription.take(1) {
        Ok(batch) => match batch.into_iter().next() {
            Some(given) => result(env, &subscription.face, Ok(given)),
            None if waits => answer(
                env,
                &subscription.face,
                subscription.subscription.next(),
                Waiting::Delivery,
            ),
            None => atoms::empty().encode(env),
        },
        Err(error) => failed(env, &error),
    }
}
