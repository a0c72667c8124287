//! The simulator: whole clusters in one thread, in virtual time, from one seed.
//!
//! N real engines, every message through the real codec, a network that lies, processes that crash
//! and stand still, clocks that jump, users who misbehave. What users saw is judged by
//! `primer-check`, what members hold by looking at them from above. core/docs/simulation.md says
//! what is simulated, which promises are checked, and how a failing seed is replayed.
#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    reason = "a test program: an index out of its own tables is a bug of the simulator, told as one"
)]

mod agenda;
mod alone;
mod browse;
mod calls;
mod churn;
mod classes;
mod consumer;
mod dice;
mod event;
mod fan;
mod faults;
mod fences;
mod forward;
mod late;
mod ledger;
mod letters;
mod lines;
mod looks;
mod net;
mod once;
mod phases;
mod plan;
mod process;
mod producer;
mod remember;
mod returns;
mod scale;
mod settle;
mod sometimes;
mod stores;
mod survey;
mod sweep;
mod tail;
mod talk;
mod terms;
mod told;
mod trace;
mod twins;
mod users;
mod world;

pub use phases::{Options, Outcome, plan_of, run};
pub use primer_proto::engine::Canary;
pub use primer_proto::metadata::MetaCanary;
pub use primer_proto::queue::QueueCanary;
pub use scale::{Scale, scale};
pub use sometimes::{SOMETIMES, Sometimes};
pub use sweep::{How, Sweep, sweep};
pub use tail::{Tail, tails};
