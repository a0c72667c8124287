//! Words that all rooms share: identities, time, chance, limits, errors and two small structures.
//!
//! Knows nothing of queues, members or messages.

pub mod alarms;
pub mod chance;
pub mod error;
pub mod id;
pub mod limits;
pub mod nearest;
pub mod runs;
pub mod time;
pub mod wheel;

pub use alarms::Alarms;
pub use chance::Chance;
pub use error::{Error, ErrorKind, Result};
pub use id::{
    Birth, BootId, ClusterId, LinkId, MemberId, MessageId, QueueKey, SessionId, StoreId, Ticket,
};
pub use nearest::nearest;
pub use runs::RunMap;
pub use time::{Clock, Instant, Millis, Now, Stamp};
pub use wheel::Wheel;
