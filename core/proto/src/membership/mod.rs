//! Who is in the cluster, and who can be heard.

mod hello;

pub use hello::{Hello, Refusal, WIRE_MAJOR, WIRE_MINOR};
