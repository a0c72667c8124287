//! Who is in the cluster, and who can be heard (protocol.md 1).
//!
//! Membership is explicit and merges; liveness is this member's own opinion and never edits the
//! set. Knows nothing of queues.

mod dial;
mod hello;
mod message;
mod probe;
mod view;

pub use dial::Dialler;
pub use hello::{Hello, Refusal, WIRE_MAJOR, WIRE_MINOR};
pub use message::{Heartbeat, Meta};
pub use probe::Pulse;
pub use view::{Change, MemberInfo, View};
