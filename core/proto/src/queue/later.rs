//! Enqueues whose dedup key is being put in already: each is taken as if it had come when that one has ended,
//! because what is asked for there need not be what is asked for here.

use alloc::vec::Vec;

use super::batch::Caller;
use super::dedup::{Dedups, Open};
use super::delivery::{EnqueueOptions, NewMessage};
use super::{Alarm, Queues};
use crate::base::{Error, ErrorKind, Instant, Now, QueueKey, Result};

/// One of them.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) caller: Caller,
    pub(super) queue: QueueKey,
    pub(super) message: NewMessage,
    pub(super) options: EnqueueOptions,
    pub(super) bytes: usize,
    pub(super) ends: Instant,
}

impl Dedups {
    /// Those that waited for one that has ended: true where there are any.
    fn call_next(&mut self, open: &mut Open) -> bool {
        self.next.append(&mut open.later);
        !self.next.is_empty()
    }

    fn take_next(&mut self) -> Vec<Later> {
        let all = core::mem::take(&mut self.next);
        let bytes = all.iter().map(|later| later.bytes).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        self.later = self.later.saturating_sub(all.len());
        all
    }
}

impl Queues {
    /// The same key is being put in: this one waits for what becomes of that. Errors: 203.
    pub(super) fn wait_for(&mut self, number: u64, later: Later) -> Result<()> {
        self.check_room(later.bytes)?;
        let (queue, bytes) = (later.queue, later.bytes);
        let Some(open) = self.dedups.open.get_mut(&number) else {
            return Err(ErrorKind::Internal.into());
        };
        open.later.push(later);
        self.dedups.later += 1;
        self.dedups.bytes += bytes;
        self.hold_queue(queue);
        Ok(())
    }

    /// Those that waited for one that has ended are taken, the first of a key first.
    pub(super) fn take_later(&mut self, now: Now) {
        for later in self.dedups.take_next() {
            let mut options = later.options;
            options.timeout = Some(later.ends.since(now.mono).max(1));
            let messages = Vec::from([later.message]);
            self.enqueue_once(now, later.caller, later.queue, messages, options);
            self.release_queue(later.queue);
        }
    }

    /// This member leaves, or begins anew: none of them is put in.
    pub(super) fn fail_later(&mut self, error: &Error) {
        for later in self.dedups.take_next() {
            self.fail(later.caller, error.clone());
            self.release_queue(later.queue);
        }
    }

    /// One has ended: those that waited for it are next, at once and not from within what ended it.
    pub(super) fn call_later(&mut self, open: &mut Open) {
        if self.dedups.call_next(open) {
            self.alarms.set(Alarm::Later, Instant(0));
        }
    }
}
