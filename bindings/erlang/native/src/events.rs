//! [`EventsRes`]: a member's events for one process, as `{primer, Events, Event}` messages.

use std::sync::Arc;

use parking_lot::Mutex;
use primer::{Error, ErrorKind, Events};
use rustler::{Encoder, Env, LocalPid, Monitor, OwnedEnv, Resource, ResourceArc};

use crate::courier::{Face, Flow, Stream, message};
use crate::terms;

/// Events sent at a time.
const PUSH_MAX: usize = 64;

/// A reader of events of one process.
pub(crate) struct EventsRes {
    events: Events,
    face: Arc<Face>,
    pid: LocalPid,
    token: u64,
    /// Whoever holds it may push; false once no message may follow.
    gate: Mutex<bool>,
}

#[rustler::resource_impl]
impl Resource for EventsRes {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _: Env<'a>, _: LocalPid, _: Monitor) {
        self.face.detach(self.token);
    }
}

impl EventsRes {
    pub(crate) fn new(face: Arc<Face>, pid: LocalPid) -> Self {
        let token = face.token();
        Self {
            events: face.primer().events(),
            face,
            pid,
            token,
            gate: Mutex::new(true),
        }
    }

    /// Lets the courier push.
    pub(crate) fn begin(&self, this: Stream) {
        self.face.attach(self.token, this);
        self.events.notify(self.face.completions(), self.token);
    }

    /// Sends what is there, and 501 as the last message when the member is closed; on the courier's
    /// thread only.
    pub(crate) fn push(&self, this: &ResourceArc<Self>, env: &mut OwnedEnv) -> Flow {
        let mut is_open = self.gate.lock();
        if !*is_open {
            return Flow::Ended;
        }
        // Asked before taking: what happened until it closed is then in the batch.
        let is_last = self.face.primer().is_closed();
        let batch = self.events.take(PUSH_MAX);
        let is_full = batch.len() == PUSH_MAX;
        for event in batch {
            let missed = self.events.missed();
            let sent = env.send_and_clear(&self.pid, |env| {
                message(env, this.encode(env), terms::event(env, &event, missed))
            });
            if sent.is_err() {
                return Flow::Ended;
            }
        }
        if is_full {
            return Flow::More;
        }
        if is_last {
            *is_open = false;
            let error = Error::new(ErrorKind::Closed).because("the member is closed");
            let _ = env.send_and_clear(&self.pid, |env| {
                message(env, this.encode(env), terms::failed(env, &error))
            });
            return Flow::Ended;
        }
        Flow::Idle
    }

    /// False once no message may follow.
    pub(crate) fn is_open(&self) -> bool {
        *self.gate.lock()
    }

    /// Ends it; no message follows.
    pub(crate) fn close(&self) {
        *self.gate.lock() = false;
        self.face.detach(self.token);
    }
}
