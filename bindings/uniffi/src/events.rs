//! [`Events`]: what happened to the cluster, as this member sees it.

use std::time::Duration;

use crate::error::PrimerError;
use crate::owned::Owned;
use crate::values::Event;

/// A reader of a member's events, from the moment it was made; 1,024 are kept for one that has not
/// looked.
#[derive(uniffi::Object)]
pub struct Events(pub(crate) Owned<primer::Events>);

#[uniffi::export]
impl Events {
    /// The next event, waiting for it up to `wait_ms`; absent when that passed.
    /// Errors: 501 when the member is closed and all were read.
    #[uniffi::method(default(wait_ms = 0))]
    pub async fn next(&self, wait_ms: u64) -> Result<Option<Event>, PrimerError> {
        let (events, courier) = self.0.get()?;
        let event = courier
            .carry_for(events.next(), Duration::from_millis(wait_ms))
            .await?;
        Ok(event.map(Into::into))
    }

    /// Up to `max` events that are here already.
    pub fn take(&self, max: u32) -> Result<Vec<Event>, PrimerError> {
        let events = self
            .0
            .get()?
            .0
            .take(usize::try_from(max).unwrap_or(usize::MAX));
        Ok(events.into_iter().map(Into::into).collect())
    }

    /// Events this reader has missed so far.
    pub fn missed(&self) -> Result<u64, PrimerError> {
        Ok(self.0.get()?.0.missed())
    }
}
