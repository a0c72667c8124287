//! Cluster facts (protocol.md 3): the table everyone holds in full, how its changes are told and
//! how what was missed is found, and soft state, told by each member of itself alone.
//!
//! [`Table`] is the one map, with the user's keys in it (and `groups` of queues, and their `configs`); [`News`] are its changes on their way out;
//! [`Exchanges`] compare it with others; [`Saved`] is what outlives a restart. [`Board`] says who has stock. Knows nothing of links.

mod answer;
mod canary;
mod clock;
mod configs;
mod exchange;
mod groups;
mod lesson;
mod message;
mod news;
mod saved;
mod soft;
mod table;

#[cfg(any(test, feature = "canary"))]
pub use canary::MetaCanary;
pub use clock::Hlc;
pub use configs::{Config, Scope, Settings, config_scope};
pub use exchange::{EXCHANGE_EVERY_MS, ExchangeStats, Exchanges};
pub use groups::{GroupEntry, group_key};
pub use message::Exchange;
pub use news::{NEWS_MS, News};
pub use saved::{Saved, Saver};
pub use soft::{Board, Length, Stock};
pub use table::{
    ACTORS_ALARM, DELTA_BYTES_MAX, Entry, KEYS_MAX, Table, TableStats, USER_KEY_BYTES_MAX,
    USER_VALUE_BYTES_MAX, raw_key, user_key,
};
