//! How a member ends: nothing new is served, everyone who waits is told, its thread writes what is queued,
//! its directory is given up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use primer_proto::{Error, Result};

use super::{Driver, SHUT, closed};
use crate::net::Order;
use crate::pending::{Origin, Pending};
use crate::run::waiter::Waiter;

/// The end of the member's thread.
#[derive(Default)]
pub(super) struct Ending {
    thread: Option<JoinHandle<()>>,
    is_over: bool,
    waiters: Vec<Arc<Waiter<()>>>,
}

impl Driver {
    /// Refuses new work, answers everyone who waits, and lets the thread end. Idempotent.
    pub(crate) fn shut(&self, error: &Error) {
        if self.is_forgotten() {
            return;
        }
        let remains = self.core.lock().tear_down(error);
        let Some(remains) = remains else { return };
        self.gate.store(SHUT, Ordering::Release);
        for slot in remains.waiters {
            slot.resolve(Err(remains.error.clone()));
        }
        for buffer in remains.sessions {
            buffer.close(&remains.error, false);
        }
        self.feeds.close(&remains.error);
        let _ = self.orders.send(Order::Close);
    }

    /// Closes the member; answered when its thread has ended.
    pub(crate) fn close(self: &Arc<Self>) -> Pending<()> {
        self.shut(&closed());
        if self.is_forgotten() {
            return Pending::here(Ok(()));
        }
        let mut ending = self.ending.lock();
        if ending.is_over {
            drop(ending);
            self.join_thread();
            return Pending::here(Ok(()));
        }
        let waiter = Waiter::plain(None);
        ending.waiters.push(waiter.clone());
        drop(ending);
        Pending::later(waiter.clone(), waiter, Origin::End(self.clone()))
    }

    /// The thread whose end [`Driver::close`] waits for.
    pub(crate) fn own_thread(&self, thread: JoinHandle<()>) {
        self.ending.lock().thread = Some(thread);
    }

    /// Waits for the thread's last steps after it said that it is over, so that a program that ends next
    /// ends without it. Does nothing on that thread itself.
    pub(crate) fn join_thread(&self) {
        if self.is_forgotten() {
            return;
        }
        let thread = self.ending.lock().thread.take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // It never panics: what it runs is caught inside.
            let _ = thread.join();
        }
    }

    /// The thread is over: tells whoever waits for it.
    pub(crate) fn over(&self) {
        let mut ending = self.ending.lock();
        ending.is_over = true;
        let waiters = std::mem::take(&mut ending.waiters);
        drop(ending);
        for call in waiters.iter().filter_map(|waiter| waiter.put(|| Ok(()))) {
            call.run();
        }
    }

    /// Starts what saves the metadata of a member with a directory. Errors: 502.
    pub(crate) fn start_saving(self: &Arc<Self>) -> Result<()> {
        match &self.keeper {
            Some(keeper) => keeper.start(self),
            None => Ok(()),
        }
    }

    /// Saves what is to be saved, and lets the next process have this member's directory.
    pub(crate) fn release_home(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.close();
        }
    }
}
