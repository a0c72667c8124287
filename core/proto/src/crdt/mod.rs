//! What merges: dots, contexts and the delta OR-map with one shared causal context.
//!
//! Knows nothing of members or messages. Sources: ORSWOT (arXiv 1210.3368), delta-state CRDTs
//! (arXiv 1410.2803), protocol.md 3.1. The merge laws are tested as laws.

mod delta;
mod dots;
mod map;

pub use delta::{Delta, KEY_BYTES_MAX, VALUE_BYTES_MAX};
pub use dots::{Context, DOT_NUMBER_MAX, Dot, GROUPS, group_of};
pub use map::{DotMap, Line};
