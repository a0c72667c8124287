//! Where time, threads and the engine meet.
//!
//! [`driver`] is a lock around the engine: whoever has something for it takes the lock, hands it
//! in, and carries out what comes back. [`waiter`] holds answers that come later, [`table`] finds
//! them by ticket, [`session`] and [`ring`] hold what the engine pushes, [`clock`] tells the time
//! and [`runtime`] is the one thread, `primer-io`; [`address`] says where it may listen and dial.
//!
//! Order of locks, outermost first: the driver's core; then one of a link's outbox, a session's
//! buffer or the event ring; then a waiter. A `Completions` queue is never locked under any of
//! them, and nothing of the host's runs (wakers, drops of deliveries) while any of them is held.

pub(crate) mod address;
pub(crate) mod chores;
pub(crate) mod clock;
pub(crate) mod core;
pub(crate) mod driver;
pub(crate) mod ring;
pub(crate) mod runtime;
pub(crate) mod session;
pub(crate) mod table;
pub(crate) mod waiter;
