//! primer_completions_t and primer_completion_t: late answers for event loops.
//!
//! A `_start` function answers at once when the engine has the answer, and else gives a ticket; the
//! answer then waits here, and one descriptor tells a loop that there is something to drain. No thread
//! of Primer's ever runs the host's code.

use std::ffi::c_int;
use std::sync::Mutex;
use std::time::Duration;

use primer::{
    Answer, Completion, Completions, Delivery, Error, Events, Outcome, Pending, Receipt, Result,
    Topic, Watch,
};

use crate::boundary::{boundary, contained, leave, wrong};
use crate::browse::{self, Shown, primer_page_t};
use crate::calls::{Replied, Waiting, primer_reply_t};
use crate::code::{PRIMER_EMPTY, PRIMER_LATER, PRIMER_OK, primer_code_t};
use crate::delivery::{hand_out, primer_delivery_t};
use crate::doctor;
use crate::event::primer_event_t;
use crate::explain::{self, Explained, primer_explanation_t};
use crate::handle::{Held, borrow, free, give, give_many, held};
use crate::options::patience;
use crate::reader::News;
use crate::redrive::{self, primer_redriven_t};
use crate::topic::primer_broadcast_t;
use crate::values::{Out, handle_out, out, primer_receipt_t, slice_out};
use crate::watch::primer_change_t;

/// A queue of late answers, with one descriptor to poll. One is enough for a loop, however many members,
/// queues and subscriptions it has. Free it with primer_completions_free.
pub struct primer_completions_t {
    _opaque: (),
}

held!(Inbox, primer_completions_t, 1);

/// A queue of late answers.
pub struct Inbox {
    pub completions: Completions,
}

/// One late answer. Free it with primer_completion_free.
pub struct primer_completion_t {
    _opaque: (),
}

held!(Late, primer_completion_t, 2);

/// A late answer, opened: what is handed out leaves it.
pub struct Late {
    ticket: u64,
    kind: i32,
    error: Option<Error>,
    receipts: Vec<Receipt>,
    deliveries: Mutex<Vec<Delivery>>,
    /// An event, a broadcast or a change.
    news: Mutex<Option<Outcome>>,
    reply: Waiting,
    page: browse::Waiting,
    explanation: explain::Waiting,
    redriven: redrive::Waiting,
    pub diagnosis: doctor::Waiting,
}

/// primer_completion_kind: it failed; primer_completion_code tells why.
pub const PRIMER_COMPLETION_FAILED: i32 = 0;
/// primer_completion_kind: it is done, and has no value.
pub const PRIMER_COMPLETION_DONE: i32 = 1;
/// primer_completion_kind: the receipts of an enqueue.
pub const PRIMER_COMPLETION_RECEIPTS: i32 = 2;
/// primer_completion_kind: the deliveries of a receive or a next; there may be none.
pub const PRIMER_COMPLETION_DELIVERIES: i32 = 3;
/// primer_completion_kind: an event.
pub const PRIMER_COMPLETION_EVENT: i32 = 4;
/// primer_completion_kind: a subscription or a reader has something, or is closed; the ticket is the
/// token that was given to its notify function.
pub const PRIMER_COMPLETION_READY: i32 = 5;
/// primer_completion_kind: a broadcast.
pub const PRIMER_COMPLETION_BROADCAST: i32 = 6;
/// primer_completion_kind: a change.
pub const PRIMER_COMPLETION_CHANGE: i32 = 7;
/// primer_completion_kind: the reply to a call.
pub const PRIMER_COMPLETION_REPLY: i32 = 8;
/// primer_completion_kind: a page of messages that were looked at.
pub const PRIMER_COMPLETION_PAGE: i32 = 9;
/// primer_completion_kind: what members know of a message.
pub const PRIMER_COMPLETION_EXPLANATION: i32 = 10;
/// primer_completion_kind: what became of a redrive.
pub const PRIMER_COMPLETION_REDRIVEN: i32 = 11;
/// primer_completion_kind: why a queue delivers nothing.
pub const PRIMER_COMPLETION_DIAGNOSIS: i32 = 12;

/// Makes a queue of late answers. Errors: 502 when the system gives no descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completions_new(
    completions: *mut *mut primer_completions_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("completions", completions) }?;
        let completions = Completions::new()?;
        give(Inbox { completions }, out)?;
        Ok(PRIMER_OK)
    })
}

/// The descriptor to poll for reading; Primer's own, never read, write or close it. It is readable
/// from when an answer is there until a drain leaves none. -1 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completions_fd(completions: *const primer_completions_t) -> c_int {
    contained(-1, || {
        borrow::<Inbox>(completions).map_or(-1, |inbox| inbox.completions.descriptor())
    })
}

/// Takes up to `capacity` answers that are there: writes their handles and how many. The caller frees
/// each. PRIMER_EMPTY when there was none. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completions_drain(
    completions: *const primer_completions_t,
    answers: *mut *mut primer_completion_t,
    capacity: usize,
    len: *mut usize,
) -> primer_code_t {
    boundary(|| {
        let take = || Ok(borrow::<Inbox>(completions)?.completions.drain(capacity));
        // SAFETY: the header's promise.
        unsafe { open_answers(answers, capacity, len, take) }
    })
}

/// As primer_completions_drain, waiting for up to `wait_ms` (or PRIMER_FOREVER) for the first answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completions_wait(
    completions: *const primer_completions_t,
    answers: *mut *mut primer_completion_t,
    capacity: usize,
    wait_ms: i64,
    len: *mut usize,
) -> primer_code_t {
    boundary(|| {
        let take = || {
            let wait = patience(wait_ms)?.unwrap_or(FOREVER);
            Ok(borrow::<Inbox>(completions)?
                .completions
                .wait(capacity, wait))
        };
        // SAFETY: the header's promise.
        unsafe { open_answers(answers, capacity, len, take) }
    })
}

/// Stops waiting for a ticket: its answer never comes, and a message that was leased for it goes back.
/// PRIMER_EMPTY when the answer had come already and waits to be drained. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completions_cancel(
    completions: *const primer_completions_t,
    ticket: u64,
) -> primer_code_t {
    boundary(|| {
        let is_cancelled = borrow::<Inbox>(completions)?.completions.cancel(ticket);
        Ok(if is_cancelled {
            PRIMER_OK
        } else {
            PRIMER_EMPTY
        })
    })
}

/// Wakes every thread in primer_completions_wait, now and from now on. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completions_close(
    completions: *const primer_completions_t,
) -> primer_code_t {
    boundary(|| {
        borrow::<Inbox>(completions)?.completions.close();
        Ok(PRIMER_OK)
    })
}

/// Frees the queue and wakes the threads that wait in it; answers that were not drained are dropped,
/// and deliveries in them released. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completions_free(completions: *mut primer_completions_t) {
    contained((), || {
        if let Ok(inbox) = borrow::<Inbox>(completions) {
            inbox.completions.close();
        }
        free::<Inbox>(completions);
    });
}

/// The ticket that the `_start` function wrote, or the token given to a notify function when the kind
/// is PRIMER_COMPLETION_READY. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_ticket(completion: *const primer_completion_t) -> u64 {
    contained(0, || {
        borrow::<Late>(completion).map_or(0, |late| late.ticket)
    })
}

/// What the answer holds: PRIMER_COMPLETION_FAILED, _DONE, _RECEIPTS, _DELIVERIES, _EVENT, _BROADCAST,
/// _CHANGE, _REPLY, _PAGE, _EXPLANATION, _REDRIVEN, _DIAGNOSIS
/// or _READY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_kind(completion: *const primer_completion_t) -> i32 {
    contained(PRIMER_COMPLETION_FAILED, || {
        borrow::<Late>(completion).map_or(PRIMER_COMPLETION_FAILED, |late| late.kind)
    })
}

/// What the waiting function would have answered: PRIMER_OK, PRIMER_EMPTY for a receive without
/// deliveries, or the error's number, which is then this thread's last error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_code(
    completion: *const primer_completion_t,
) -> primer_code_t {
    boundary(|| {
        let late = borrow::<Late>(completion)?;
        match &late.error {
            Some(error) => Ok(leave(error.clone())),
            None => Ok(late.code()),
        }
    })
}

/// Writes up to `capacity` receipts of the answer, and how many it has. PRIMER_EMPTY when it has none.
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_receipts(
    completion: *const primer_completion_t,
    receipts: *mut primer_receipt_t,
    capacity: usize,
    len: *mut usize,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let len = unsafe { out("len", len, 0) }?;
        // SAFETY: the header's promise.
        let receipts = unsafe { slice_out("receipts", receipts, capacity) }?;
        let late = borrow::<Late>(completion)?;
        for (to, from) in receipts.iter_mut().zip(&late.receipts) {
            to.write((*from).into());
        }
        len.put(late.receipts.len());
        Ok(if late.receipts.is_empty() {
            PRIMER_EMPTY
        } else {
            PRIMER_OK
        })
    })
}

/// Takes up to `capacity` deliveries out of the answer: writes their handles and how many. The caller
/// frees each; what is not taken is released when the answer is freed. PRIMER_EMPTY when none is left.
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_deliveries(
    completion: *const primer_completion_t,
    deliveries: *mut *mut primer_delivery_t,
    capacity: usize,
    len: *mut usize,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let len = unsafe { out("len", len, 0) }?;
        // SAFETY: the header's promise.
        let room = unsafe { slice_out("deliveries", deliveries, capacity) }?;
        let late = borrow::<Late>(completion)?;
        let mut waiting = late
            .deliveries
            .lock()
            .unwrap_or_else(|held| held.into_inner());
        let count = capacity.min(waiting.len());
        let taken: Vec<Delivery> = waiting.drain(..count).collect();
        drop(waiting);
        hand_out(taken, room, len)
    })
}

/// Takes the reply out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_reply(
    completion: *const primer_completion_t,
    reply: *mut *mut primer_reply_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("reply", reply) }?;
        let late = borrow::<Late>(completion)?;
        let taken = late
            .reply
            .lock()
            .unwrap_or_else(|held| held.into_inner())
            .take();
        let Some(reply) = taken else {
            return Ok(PRIMER_EMPTY);
        };
        give(Replied(reply), out)?;
        Ok(PRIMER_OK)
    })
}

/// Takes the page out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_page(
    completion: *const primer_completion_t,
    page: *mut *mut primer_page_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("page", page) }?;
        let late = borrow::<Late>(completion)?;
        let taken = late
            .page
            .lock()
            .unwrap_or_else(|held| held.into_inner())
            .take();
        let Some(page) = taken else {
            return Ok(PRIMER_EMPTY);
        };
        give(Shown::from(page), out)?;
        Ok(PRIMER_OK)
    })
}

/// Takes the explanation out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_explanation(
    completion: *const primer_completion_t,
    explanation: *mut *mut primer_explanation_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("explanation", explanation) }?;
        let late = borrow::<Late>(completion)?;
        let taken = late
            .explanation
            .lock()
            .unwrap_or_else(|held| held.into_inner())
            .take();
        let Some(explanation) = taken else {
            return Ok(PRIMER_EMPTY);
        };
        give(Explained::from(explanation), out)?;
        Ok(PRIMER_OK)
    })
}

/// Takes what became of a redrive out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any
/// more). Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_redriven(
    completion: *const primer_completion_t,
    redriven: *mut *mut primer_redriven_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("redriven", redriven) }?;
        let late = borrow::<Late>(completion)?;
        let taken = late
            .redriven
            .lock()
            .unwrap_or_else(|held| held.into_inner())
            .take();
        let Some(redriven) = taken else {
            return Ok(PRIMER_EMPTY);
        };
        give(redrive::Told::from(redriven), out)?;
        Ok(PRIMER_OK)
    })
}

/// Takes the event out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_event(
    completion: *const primer_completion_t,
    event: *mut *mut primer_event_t,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { take_news::<Events>(completion, "event", event) }
}

/// Takes the broadcast out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any
/// more). Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_broadcast(
    completion: *const primer_completion_t,
    broadcast: *mut *mut primer_broadcast_t,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { take_news::<Topic>(completion, "broadcast", broadcast) }
}

/// Takes the change out of the answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_change(
    completion: *const primer_completion_t,
    change: *mut *mut primer_change_t,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { take_news::<Watch>(completion, "change", change) }
}

/// Frees an answer, and releases the deliveries that were not taken out of it. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_free(completion: *mut primer_completion_t) {
    contained((), || free::<Late>(completion));
}

/// A wait without a limit, for verbs that take a time: too long for any clock.
pub const FOREVER: Duration = Duration::MAX;

/// Where a ticket goes, 0 until there is one.
///
/// # Safety
/// `ticket` is NULL or may be written until the call ends.
pub unsafe fn ticket_out(ticket: *mut u64) -> Result<Out<u64>> {
    // SAFETY: the caller's promise.
    unsafe { out("ticket", ticket, 0) }
}

/// Starts a verb and hands its answer out, or its ticket.
pub fn later<T: Into<Outcome>>(
    completions: *const primer_completions_t,
    ticket: Out<u64>,
    start: impl FnOnce() -> Result<Pending<T>>,
    now: impl FnOnce(T) -> Result<()>,
) -> Result<primer_code_t> {
    let inbox = borrow::<Inbox>(completions)?;
    match start()?.complete_on(&inbox.completions)? {
        Answer::Now(value) => {
            now(value)?;
            Ok(PRIMER_OK)
        }
        Answer::Later(number) => {
            ticket.put(number);
            Ok(PRIMER_LATER)
        }
    }
}

/// # Safety
/// `answers` is NULL or has room for `capacity`, `len` is NULL or may be written.
unsafe fn open_answers(
    answers: *mut *mut primer_completion_t,
    capacity: usize,
    len: *mut usize,
    take: impl FnOnce() -> Result<Vec<Completion>>,
) -> Result<primer_code_t> {
    // SAFETY: the caller's promise.
    let len = unsafe { out("len", len, 0) }?;
    // SAFETY: the caller's promise.
    let room = unsafe { slice_out("answers", answers, capacity) }?;
    if capacity == 0 {
        return Err(wrong("capacity", "is 0"));
    }
    let late = take()?.into_iter().map(Late::new);
    let count = late.len();
    let mut room = room.iter_mut();
    give_many(late, |handle| {
        if let Some(place) = room.next() {
            place.write(handle);
        }
    })?;
    len.put(count);
    Ok(if count == 0 { PRIMER_EMPTY } else { PRIMER_OK })
}

/// Takes the news of one kind out of an answer.
///
/// # Safety
/// `item` is NULL or may be written.
unsafe fn take_news<N: News>(
    completion: *const primer_completion_t,
    argument: &'static str,
    item: *mut *mut <N::Shown as Held>::Opaque,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the caller's promise.
        let out = unsafe { handle_out(argument, item) }?;
        let late = borrow::<Late>(completion)?;
        if late.kind != N::KIND {
            return Ok(PRIMER_EMPTY);
        }
        let taken = late
            .news
            .lock()
            .unwrap_or_else(|held| held.into_inner())
            .take();
        let Some(item) = taken.and_then(N::open) else {
            return Ok(PRIMER_EMPTY);
        };
        give(N::Shown::from(&item), out)?;
        Ok(PRIMER_OK)
    })
}

impl Late {
    fn new(completion: Completion) -> Self {
        let mut late = Late {
            ticket: completion.ticket,
            kind: PRIMER_COMPLETION_DONE,
            error: None,
            receipts: Vec::new(),
            deliveries: Mutex::default(),
            news: Mutex::default(),
            reply: Waiting::default(),
            page: browse::Waiting::default(),
            explanation: explain::Waiting::default(),
            redriven: redrive::Waiting::default(),
            diagnosis: doctor::Waiting::default(),
        };
        match completion.outcome {
            Ok(outcome) => late.open(outcome),
            Err(error) => {
                late.kind = PRIMER_COMPLETION_FAILED;
                late.error = Some(error);
            }
        }
        late
    }

    fn open(&mut self, outcome: Outcome) {
        let mut deliver = |deliveries| {
            self.deliveries = Mutex::new(deliveries);
            PRIMER_COMPLETION_DELIVERIES
        };
        let mut tell = |kind, news| {
            self.news = Mutex::new(Some(news));
            kind
        };
        self.kind = match outcome {
            Outcome::Done => PRIMER_COMPLETION_DONE,
            Outcome::Ready => PRIMER_COMPLETION_READY,
            Outcome::Deliveries(deliveries) => deliver(deliveries),
            Outcome::Delivery(delivery) => deliver(vec![delivery]),
            Outcome::Receipt(receipt) => {
                self.receipts = vec![receipt];
                PRIMER_COMPLETION_RECEIPTS
            }
            Outcome::Reply(reply) => {
                self.reply = Mutex::new(Some(reply));
                PRIMER_COMPLETION_REPLY
            }
            Outcome::Page(page) => {
                self.page = Mutex::new(Some(page));
                PRIMER_COMPLETION_PAGE
            }
            Outcome::Explanation(explanation) => {
                self.explanation = Mutex::new(Some(explanation));
                PRIMER_COMPLETION_EXPLANATION
            }
            Outcome::Redriven(redriven) => {
                self.redriven = Mutex::new(Some(redriven));
                PRIMER_COMPLETION_REDRIVEN
            }
            Outcome::Diagnosis(diagnosis) => {
                self.diagnosis = Mutex::new(Some(diagnosis));
                PRIMER_COMPLETION_DIAGNOSIS
            }
            Outcome::Receipts(receipts) => {
                self.receipts = receipts;
                PRIMER_COMPLETION_RECEIPTS
            }
            Outcome::Event(_) => tell(PRIMER_COMPLETION_EVENT, outcome),
            Outcome::Broadcast(_) => tell(PRIMER_COMPLETION_BROADCAST, outcome),
            Outcome::Change(_) => tell(PRIMER_COMPLETION_CHANGE, outcome),
        };
    }

    fn code(&self) -> primer_code_t {
        let is_empty = self.kind == PRIMER_COMPLETION_DELIVERIES
            && self
                .deliveries
                .lock()
                .is_ok_and(|waiting| waiting.is_empty());
        if is_empty { PRIMER_EMPTY } else { PRIMER_OK }
    }
}
