//! Who is in the cluster, and who can be heard (protocol.md 1).
//!
//! Membership is explicit and merges; liveness is this member's own opinion and never edits the
//! set. Knows nothing of queues.

mod cards;
mod dial;
mod fence;
pub mod greeting;
mod hello;
mod message;
mod probe;
mod view;
mod watch;

pub use cards::{Card, CardList, Cards};
pub use dial::Dialler;
pub use fence::Fence;
pub use hello::{Hello, MINOR_DEDUP, MINOR_TAKES, NONCE_BYTES, Refusal, WIRE_MAJOR, WIRE_MINOR};
pub use message::{Heartbeat, Meta, Probe, Rival};
pub use probe::Pulse;
pub use view::{Change, MemberInfo, View};
pub use watch::{Ask, Standing, Verdict, Watch};
