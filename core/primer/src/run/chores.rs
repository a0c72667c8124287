//! [`Chores`]: what a call into the engine leaves to be done once its lock is open.
//!
//! Everything that costs system calls, runs the host's code (wakers, drops, trace subscribers) or
//! takes other members' locks waits here. What must keep the engine's order (frames into links' queues,
//! deliveries into buffers, events into the ring) is done under the lock and is not a chore.

use std::sync::Arc;

use primer_proto::Error;
use primer_proto::engine::{Answer, Broadcast, Change, Event, Leased};

use super::feed::Told;
use super::waiter::{Call, Slot};
use crate::completions::Notice;
use crate::delivery::Delivery;
use crate::net::Order;
use crate::net::link::Link;

/// Left to be done; empty costs nothing.
#[derive(Default)]
pub(crate) struct Chores {
    /// Late answers and who waits for them.
    pub(crate) answers: Vec<(Arc<dyn Slot>, Answer)>,
    /// Links with something new to write, each once.
    pub(crate) links: Vec<Arc<Link>>,
    /// Subscriptions' waiters that got a delivery.
    pub(crate) nexts: Vec<Call<Delivery>>,
    /// Readiness to be told.
    pub(crate) notices: Vec<Notice>,
    /// Readers of events to be told.
    pub(crate) events: Told<Event>,
    /// Readers of topics to be told.
    pub(crate) topics: Told<Broadcast>,
    /// Those who watch keys, to be told.
    pub(crate) changes: Told<Change>,
    /// The host's handlers are to be called.
    pub(crate) are_handlers_due: bool,
    /// Links to be ended, and why.
    pub(crate) hangups: Vec<(Arc<Link>, Error)>,
    /// Events to be traced: a subscriber is the host's code.
    pub(crate) traces: Vec<Event>,
    /// Leased messages that nobody is there for: they go back.
    pub(crate) orphans: Vec<Leased>,
    /// For the thread with the sockets.
    pub(crate) orders: Vec<Order>,
    /// The engine wants to be woken earlier than the timer is set to.
    pub(crate) is_timer_late: bool,
    /// The links are to be written by this thread: nothing else is on its way, so waiting for
    /// company would only cost time.
    pub(crate) is_urgent: bool,
}

impl Chores {
    /// Notes that `link` has something to write.
    pub(crate) fn touch(&mut self, link: &Arc<Link>) {
        if !self.links.iter().any(|known| Arc::ptr_eq(known, link)) {
            self.links.push(link.clone());
        }
    }
}
