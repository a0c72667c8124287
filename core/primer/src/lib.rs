//! Primer: a message queue that you embed. Every process that loads it is a full, equal member of
//! one cluster: no broker, no master, no outside service.
//!
//! This file is the public surface and nothing else. [`Primer`] is this process's place in a
//! cluster, [`Queue`] a best-effort-order queue, [`Subscription`] a pushed stream of deliveries.
//! A verb that may have to wait answers a [`Pending`]: await it on any executor, [`Pending::wait`]
//! for it on a plain thread, or let a [`Completions`] queue bring the answer to a host's own loop.
#![forbid(unsafe_code)]

mod browse;
mod call;
mod completions;
mod configure;
mod delivery;
mod doctor;
mod explain;
mod handler;
mod net;
mod options;
mod pending;
mod primer;
mod queue;
mod reader;
mod redrive;
mod run;
mod stats;
mod subscription;
mod trust;
mod worker;

pub use crate::browse::{BrowseOptions, Browsed, Page};
pub use crate::call::{Call, Reply};
pub use crate::completions::{Answer, Completion, Completions, Outcome};
pub use crate::configure::QueueOptions;
pub use crate::delivery::Delivery;
pub use crate::doctor::{Diagnosis, Facts, Finding};
pub use crate::explain::{Account, Explanation};
pub use crate::handler::BroadcastHandler;
pub use crate::options::{Discover, EnqueueOptions, Options, ReceiveOptions, SubscribeOptions};
pub use crate::pending::Pending;
pub use crate::primer::Primer;
pub use crate::queue::{Enqueue, Queue};
pub use crate::reader::{Events, Reader, Topic, Watch};
pub use crate::redrive::{RedriveOptions, Redriven};
pub use crate::stats::Stats;
pub use crate::subscription::Subscription;
pub use crate::worker::{Verdict, Worker, WorkerOptions};
pub use bytes::Bytes;
pub use primer_proto::base::{BootId, MemberId, MessageId, limits};
pub use primer_proto::engine::{
    Broadcast, Change, Entry, Event, EventKind, IfNoGroup, Known, Member, OnShort, Placing,
    REPLY_TO, Receipt, State,
};
pub use primer_proto::{Error, ErrorKind, Result};
