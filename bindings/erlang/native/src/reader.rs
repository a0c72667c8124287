//! [`ReaderRes`]: news of one kind for one process, as `{primer, Reader, What}` messages: events of the
//! cluster, broadcasts to a topic, changes of keys.
//!
//! The messages come as fast as the news does, so the mailbox is the only buffer that matters here;
//! what a reader itself missed is counted in each of them.

use std::sync::Arc;

use parking_lot::Mutex;
use primer::{Completions, Error, ErrorKind, Events, Outcome, Topic, Watch};
use rustler::{Encoder, Env, LocalPid, Monitor, OwnedEnv, Resource, ResourceArc, Term};

use crate::courier::{Face, Flow, Stream, message};
use crate::{atoms, terms};

/// Items sent at a time.
const PUSH_MAX: usize = 64;

/// Where news comes from.
pub(crate) enum News {
    Events(Events),
    Topic(Topic),
    Watch(Watch),
}

impl News {
    /// Up to `max` items that are here, each as the outcome that it would be of `next`.
    fn take(&self, max: usize) -> Vec<Outcome> {
        fn widen<T: Into<Outcome>>(items: Vec<T>) -> Vec<Outcome> {
            items.into_iter().map(Into::into).collect()
        }
        match self {
            News::Events(events) => widen(events.take(max)),
            News::Topic(topic) => widen(topic.take(max)),
            News::Watch(watch) => widen(watch.take(max)),
        }
    }

    fn missed(&self) -> u64 {
        match self {
            News::Events(events) => events.missed(),
            News::Topic(topic) => topic.missed(),
            News::Watch(watch) => watch.missed(),
        }
    }

    fn notify(&self, completions: &Completions, token: u64) {
        match self {
            News::Events(events) => events.notify(completions, token),
            News::Topic(topic) => topic.notify(completions, token),
            News::Watch(watch) => watch.notify(completions, token),
        }
    }

    fn close(&self) {
        match self {
            News::Events(events) => events.close(),
            News::Topic(topic) => topic.close(),
            News::Watch(watch) => watch.close(),
        }
    }
}

/// Answers 501 to a process that may be waiting for what `this` sends, unless it is the calling one.
pub(crate) fn tell_closed<'a>(env: Env<'a>, pid: &LocalPid, this: Term<'a>) {
    if env.pid() == *pid {
        return;
    }
    let error = Error::new(ErrorKind::Closed).because("another process closed it");
    // It may be dead.
    let _ = env.send(pid, message(env, this, terms::failed(env, &error)));
}

/// A reader of one process.
pub(crate) struct ReaderRes {
    news: News,
    face: Arc<Face>,
    pid: LocalPid,
    token: u64,
    /// Whoever holds it may push; false once no message may follow.
    gate: Mutex<bool>,
}

#[rustler::resource_impl]
impl Resource for ReaderRes {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _: Env<'a>, _: LocalPid, _: Monitor) {
        // Another process may have the handle; nothing is kept for that one.
        self.end();
    }
}

impl ReaderRes {
    /// `{ok, Reader}`: what is new from now on goes to the calling process.
    pub(crate) fn open<'a>(env: Env<'a>, face: &Arc<Face>, news: News) -> Term<'a> {
        let pid = env.pid();
        let token = face.token();
        let reader = ResourceArc::new(Self {
            news,
            face: Arc::clone(face),
            pid,
            token,
            gate: Mutex::new(true),
        });
        env.monitor(&reader, &pid);
        face.attach(token, Stream::News(reader.clone()));
        reader.news.notify(face.completions(), token);
        (atoms::ok(), reader).encode(env)
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
        let batch = self.news.take(PUSH_MAX);
        let is_full = batch.len() == PUSH_MAX;
        for item in batch {
            let missed = self.news.missed();
            let sent = env.send_and_clear(&self.pid, |env| {
                message(env, this.encode(env), terms::news(env, &item, missed))
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

    /// Ends it; no message follows, except 501 for a reader that another process closes.
    pub(crate) fn close<'a>(&self, env: Env<'a>, this: Term<'a>) {
        if self.end() {
            tell_closed(env, &self.pid, this);
        }
    }

    /// False when it had ended already.
    fn end(&self) -> bool {
        let was_open = std::mem::replace(&mut *self.gate.lock(), false);
        self.news.close();
        self.face.detach(self.token);
        was_open
    }
}
