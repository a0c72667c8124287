//! Where time, threads and the engine meet.
//!
//! [`driver`] is a lock around the engine: whoever has something for it takes the lock, hands it
//! in, and carries out what comes back. [`waiter`] holds answers that come later, [`table`] finds
//! them by ticket, [`session`] and [`feed`] hold what the engine pushes, [`clock`] tells the time
//! and [`runtime`] is the thread with the sockets, `primer-io`; [`address`] says where it may listen and dial. [`home`] is
//! the directory that outlives the process, [`keeper`] writes there, [`discovery`] looks for other members,
//! [`handlers`] calls the host's, on a thread of their own.
//!
//! Order of locks, outermost first: the driver's core; then one of a link's outbox, a session's
//! buffer, a feed, the handlers or the keeper; then a waiter, or the home. A `Completions` queue is never locked under any of
//! them, and nothing of the host's runs (wakers, drops of deliveries) while any of them is held.

pub(crate) mod address;
pub(crate) mod chores;
pub(crate) mod clock;
pub(crate) mod core;
pub(crate) mod discovery;
pub(crate) mod driver;
pub(crate) mod feed;
pub(crate) mod feeds;
pub(crate) mod handlers;
pub(crate) mod home;
pub(crate) mod keeper;
pub(crate) mod private;
pub(crate) mod runtime;
pub(crate) mod session;
pub(crate) mod sync;
pub(crate) mod table;
pub(crate) mod waiter;
