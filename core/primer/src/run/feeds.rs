//! [`Feeds`]: all the news that a member carries, for readers and for the host's handlers.

use primer_proto::Error;
use primer_proto::engine::{Broadcast, Change, Event};

use super::feed::Feed;
use super::handlers::Handlers;

/// One feed a kind.
#[derive(Default)]
pub(crate) struct Feeds {
    /// What happens to the cluster.
    pub(crate) events: Feed<Event>,
    /// What is told to topics.
    pub(crate) topics: Feed<Broadcast>,
    /// Keys of the metadata that changed.
    pub(crate) changes: Feed<Change>,
    /// What the host's handlers are called for.
    pub(crate) handlers: Handlers,
}

impl Feeds {
    /// Ends them all. Never call it under a lock.
    pub(crate) fn close(&self, error: &Error) {
        self.events.close(error);
        self.topics.close(error);
        self.changes.close(error);
        self.handlers.close();
    }
}
