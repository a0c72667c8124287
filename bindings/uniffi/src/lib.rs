//! Primer for the languages of UniFFI: Ruby, Kotlin, Swift.
//!
//! Decides nothing: each exported function converts, calls one verb of `primer`, converts back. The
//! names are the table's (`tests/conformance/surface.toml`); UniFFI writes them as each language
//! does. A verb that may wait is an `async fn`, polled by the host: a suspended coroutine in Kotlin
//! and Swift, a waiting thread (or fiber) without the interpreter lock in Ruby. A verb that never
//! waits is an ordinary function. `courier` keeps Primer's threads out of the host.

mod browse;
mod courier;
mod delivery;
mod doctor;
mod error;
mod events;
mod explain;
mod owned;
mod primer;
mod queue;
mod redrive;
mod subscription;
mod topic;
mod values;
mod watch;

pub use crate::browse::{BrowseOptions, Browsed, Page, State};
pub use crate::delivery::Delivery;
pub use crate::doctor::{Diagnosis, Facts, Finding};
pub use crate::error::PrimerError;
pub use crate::events::Events;
pub use crate::explain::{Account, Explanation};
pub use crate::primer::Primer;
pub use crate::queue::Queue;
pub use crate::redrive::{RedriveOptions, Redriven};
pub use crate::subscription::Subscription;
pub use crate::topic::Topic;
pub use crate::values::{
    Broadcast, Change, EnqueueOptions, Entry, Event, Header, Member, OnShort, Receipt,
    ReceiveOptions, SubscribeOptions,
};
pub use crate::watch::Watch;

uniffi::setup_scaffolding!("primer");
