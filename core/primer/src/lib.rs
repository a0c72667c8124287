//! Primer: a message queue that you embed. Every process that loads it is a full, equal member of
//! one cluster: no broker, no master, no outside service.
//!
//! This file is the public surface and nothing else. [`Primer`] is this process's place in a
//! cluster, [`Queue`] a best-effort-order queue, [`Subscription`] a pushed stream of deliveries.
//! A verb that may have to wait answers a [`Pending`]: await it on any executor, [`Pending::wait`]
//! for it on a plain thread, or let a [`Completions`] queue bring the answer to a host's own loop.
#![forbid(unsafe_code)]

mod completions;
mod delivery;
mod events;
mod net;
mod options;
mod pending;
mod primer;
mod queue;
mod run;
mod stats;
mod subscription;

pub use crate::completions::{Answer, Completion, Completions, Outcome};
pub use crate::delivery::Delivery;
pub use crate::events::Events;
pub use crate::options::{EnqueueOptions, Options, ReceiveOptions, SubscribeOptions};
pub use crate::pending::Pending;
pub use crate::primer::Primer;
pub use crate::queue::{Enqueue, Queue};
pub use crate::stats::Stats;
pub use crate::subscription::Subscription;
pub use bytes::Bytes;
pub use primer_proto::base::{BootId, MemberId, MessageId, limits};
pub use primer_proto::engine::{Event, EventKind, Member, OnShort, Receipt};
pub use primer_proto::{Error, ErrorKind, Result};
