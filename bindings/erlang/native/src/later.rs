//! [`LaterRes`]: an answer that is not here yet.
//!
//! A verb that has to wait answers `{later, Later}`. The calling process makes a reference, calls
//! [`await_later`] with it and receives `{primer, Reference, Result}`. Its death in between gives up
//! the wait: before `await_later` because the handle is collected, after it by a monitor.

use std::sync::Arc;

use parking_lot::Mutex;
use primer::{
    Answer, Completions, Delivery, Diagnosis, Explanation, Outcome, Page, Pending, Receipt,
    Redriven, Reply, Result,
};
use rustler::{Encoder, Env, LocalPid, Monitor, NifResult, Resource, ResourceArc, Term};

use crate::atoms;
use crate::courier::{Face, Slot};
use crate::terms::{self, ToTerm};

/// A pending answer of any verb.
pub(crate) enum Waiting {
    Done(Pending<()>),
    Receipt(Pending<Receipt>),
    Reply(Pending<Reply>),
    Page(Pending<Page>),
    Explanation(Pending<Explanation>),
    Redriven(Pending<Redriven>),
    Diagnosis(Pending<Diagnosis>),
    Receipts(Pending<Vec<Receipt>>),
    Deliveries(Pending<Vec<Delivery>>),
    Delivery(Pending<Delivery>),
}

impl Waiting {
    fn complete_on(self, completions: &Completions) -> Result<Answer<Outcome>> {
        fn widen<T: Into<Outcome>>(answer: Answer<T>) -> Answer<Outcome> {
            match answer {
                Answer::Now(value) => Answer::Now(value.into()),
                Answer::Later(ticket) => Answer::Later(ticket),
            }
        }
        match self {
            Waiting::Done(pending) => pending.complete_on(completions).map(widen),
            Waiting::Receipt(pending) => pending.complete_on(completions).map(widen),
            Waiting::Reply(pending) => pending.complete_on(completions).map(widen),
            Waiting::Page(pending) => pending.complete_on(completions).map(widen),
            Waiting::Explanation(pending) => pending.complete_on(completions).map(widen),
            Waiting::Redriven(pending) => pending.complete_on(completions).map(widen),
            Waiting::Diagnosis(pending) => pending.complete_on(completions).map(widen),
            Waiting::Receipts(pending) => pending.complete_on(completions).map(widen),
            Waiting::Deliveries(pending) => pending.complete_on(completions).map(widen),
            Waiting::Delivery(pending) => pending.complete_on(completions).map(widen),
        }
    }
}

/// The life of one late answer.
enum Stage {
    /// Asked of the engine, nobody waits yet.
    Asked(Waiting),
    /// A process waits for this ticket's message.
    Awaited(u64),
    /// Answered or given up.
    Over,
}

/// A late answer's handle.
pub(crate) struct LaterRes {
    face: Arc<Face>,
    stage: Mutex<Stage>,
}

#[rustler::resource_impl]
impl Resource for LaterRes {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _: Env<'a>, _: LocalPid, _: Monitor) {
        self.give_up();
    }
}

impl LaterRes {
    pub(crate) fn face(&self) -> &Arc<Face> {
        &self.face
    }

    /// True: no message will come. False: it is in the mailbox or on its way.
    fn give_up(&self) -> bool {
        let stage = std::mem::replace(&mut *self.stage.lock(), Stage::Over);
        match stage {
            Stage::Awaited(ticket) => self.face.cancel(ticket),
            Stage::Asked(_) | Stage::Over => true,
        }
    }
}

/// The result if the engine has it, else `{later, Later}`.
pub(crate) fn answer<'a, T: ToTerm>(
    env: Env<'a>,
    face: &Arc<Face>,
    mut pending: Pending<T>,
    wrap: fn(Pending<T>) -> Waiting,
) -> Term<'a> {
    match pending.ready() {
        Some(outcome) => terms::result(env, face, outcome),
        None => later(env, face, wrap(pending)),
    }
}

/// `{later, Later}`.
pub(crate) fn later<'a>(env: Env<'a>, face: &Arc<Face>, waiting: Waiting) -> Term<'a> {
    let later = LaterRes {
        face: Arc::clone(face),
        stage: Mutex::new(Stage::Asked(waiting)),
    };
    (atoms::later(), ResourceArc::new(later)).encode(env)
}

/// Asks for `{primer, Reference, Result}`: answers `later`, or the result if it has come by now.
#[rustler::nif]
fn await_later<'a>(
    env: Env<'a>,
    later: ResourceArc<LaterRes>,
    reference: Term<'a>,
) -> NifResult<Term<'a>> {
    if !reference.is_ref() {
        return Err(rustler::Error::BadArg);
    }
    let mut stage = later.stage.lock();
    let waiting = match std::mem::replace(&mut *stage, Stage::Over) {
        Stage::Asked(waiting) => waiting,
        other => {
            *stage = other;
            return Err(rustler::Error::BadArg);
        }
    };
    let pid = env.pid();
    let slot = Slot::new(pid, reference, later.clone());
    // The death of the waiting process is told to `down`, which finds the stage set.
    env.monitor(&later, &pid);
    let mut slots = later.face.slots();
    match waiting.complete_on(later.face.completions()) {
        Ok(Answer::Later(ticket)) => {
            slots.insert(ticket, slot);
            *stage = Stage::Awaited(ticket);
            Ok(atoms::later().encode(env))
        }
        Ok(Answer::Now(outcome)) => {
            drop(slots);
            Ok(terms::result(env, &later.face, Ok(outcome)))
        }
        Err(error) => {
            drop(slots);
            Ok(terms::failed(env, &error))
        }
    }
}

/// Gives up the wait. True: no message will come. False: it came, or is about to.
#[rustler::nif]
fn cancel_later(later: ResourceArc<LaterRes>) -> bool {
    later.give_up()
}
