//! [`Buffer`]: deliveries that were pushed to a subscription and not taken yet.
//!
//! The engine never pushes more than a session's credit, so the buffer is bounded by it. It is
//! filled while the engine is locked, in the engine's order, and emptied without that lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::run::sync::{Condvar, Mutex};
use primer_proto::engine::Leased;
use primer_proto::{Error, Result};

use super::chores::Chores;
use super::waiter::{Call, Waiter};
use crate::completions::Notice;
use crate::delivery::Delivery;

/// One session's buffer.
#[derive(Default)]
pub(crate) struct Buffer {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    leased: VecDeque<Leased>,
    waiting: VecDeque<Arc<Waiter<Delivery>>>,
    notices: Vec<Notice>,
    closed: Option<Error>,
}

impl Buffer {
    /// Takes what the engine pushed. Called under the driver's lock; telling is left to `chores`.
    pub(crate) fn fill(&self, pushed: Vec<Leased>, chores: &mut Chores) {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            chores.orphans.extend(pushed);
            return;
        }
        let was_empty = state.leased.is_empty();
        for leased in pushed {
            if let Some(leased) = hand_over(&mut state.waiting, leased, chores) {
                state.leased.push_back(leased);
            }
        }
        if was_empty && !state.leased.is_empty() {
            chores.notices.extend(state.notices.iter().cloned());
            self.arrived.notify_all();
        }
    }

    /// Up to `max` that are here. Errors: the closing's when there is nothing and never will be.
    pub(crate) fn take(&self, max: usize) -> Result<Vec<Leased>> {
        take(&mut self.state.lock(), max)
    }

    /// Waits until `until` for the first of up to `max`.
    pub(crate) fn block(&self, max: usize, until: Option<Instant>) -> Result<Vec<Leased>> {
        let mut state = self.state.lock();
        loop {
            let taken = take(&mut state, max)?;
            if !taken.is_empty() || max == 0 {
                return Ok(taken);
            }
            match until {
                None => state = self.arrived.wait(state),
                Some(until) => {
                    let is_late;
                    (state, is_late) = self.arrived.wait_until(state, until);
                    if is_late {
                        return take(&mut state, max);
                    }
                }
            }
        }
    }

    /// The first one if it is here, else puts `waiter` in the line.
    pub(crate) fn next(&self, waiter: &Arc<Waiter<Delivery>>) -> Result<Option<Leased>> {
        let mut state = self.state.lock();
        if let Some(leased) = state.leased.pop_front() {
            return Ok(Some(leased));
        }
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        // The line holds no more than the living and as many that gave up.
        if state.waiting.len() >= 8 && state.waiting.len() == state.waiting.capacity() {
            state.waiting.retain(|waiter| Arc::strong_count(waiter) > 1);
        }
        state.waiting.push_back(waiter.clone());
        Ok(None)
    }

    /// Adds a notice; true when it must be raised at once.
    pub(crate) fn notify(&self, notice: &Notice) -> bool {
        let mut state = self.state.lock();
        if !state.notices.iter().any(|known| known.is_same(notice)) {
            state.notices.push(notice.clone());
        }
        !state.leased.is_empty() || state.closed.is_some()
    }

    /// Ends it with `error`; what was not taken is handed out when `is_emptied`, else it stays to
    /// be taken. Idempotent. Never call it under a lock.
    pub(crate) fn close(&self, error: &Error, is_emptied: bool) -> VecDeque<Leased> {
        let mut state = self.state.lock();
        let left = if is_emptied {
            std::mem::take(&mut state.leased)
        } else {
            VecDeque::new()
        };
        if state.closed.is_some() {
            return left;
        }
        state.closed = Some(error.clone());
        let waiting = std::mem::take(&mut state.waiting);
        let notices = std::mem::take(&mut state.notices);
        drop(state);
        self.arrived.notify_all();
        for call in waiting
            .iter()
            .filter_map(|waiter| waiter.put(|| Err(error.clone())))
        {
            call.run();
        }
        for notice in notices {
            notice.raise();
        }
        left
    }
}

fn take(state: &mut State, max: usize) -> Result<Vec<Leased>> {
    let count = max.min(state.leased.len());
    match &state.closed {
        Some(error) if state.leased.is_empty() => Err(error.clone()),
        _ => Ok(state.leased.drain(..count).collect()),
    }
}

/// Gives `leased` to the first waiter that still wants one; gives it back when none does.
fn hand_over(
    waiting: &mut VecDeque<Arc<Waiter<Delivery>>>,
    leased: Leased,
    chores: &mut Chores,
) -> Option<Leased> {
    let mut leased = Some(leased);
    while let Some(waiter) = waiting.pop_front() {
        let Some(queue) = waiter.queue().cloned() else {
            continue;
        };
        let call: Option<Call<Delivery>> = waiter.put(|| Delivery::some(leased.take(), queue));
        if let Some(call) = call {
            chores.nexts.push(call);
            return None;
        }
    }
    leased
}
