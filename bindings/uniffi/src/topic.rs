//! [`Topic`]: what members tell everyone who listens.

use std::time::Duration;

use crate::error::PrimerError;
use crate::owned::Owned;
use crate::values::Broadcast;

/// A reader of what is broadcast to one topic, from the moment it was made; 1,024 broadcasts and
/// 8 MiB are kept for one that has not looked.
#[derive(uniffi::Object)]
pub struct Topic(pub(crate) Owned<primer::Topic>);

#[uniffi::export]
impl Topic {
    /// The next broadcast, waiting for it up to `wait_ms`; absent when that passed.
    /// Errors: 501 when this reader or the member is closed and all was read.
    #[uniffi::method(default(wait_ms = 0))]
    pub async fn next(&self, wait_ms: u64) -> Result<Option<Broadcast>, PrimerError> {
        let (topic, courier) = self.0.get()?;
        let next = courier
            .carry_for(topic.next(), Duration::from_millis(wait_ms))
            .await?;
        Ok(next.map(Into::into))
    }

    /// Up to `max` broadcasts that are here already.
    pub fn take(&self, max: u32) -> Result<Vec<Broadcast>, PrimerError> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let taken = self.0.get()?.0.take(max);
        Ok(taken.into_iter().map(Into::into).collect())
    }

    /// How many broadcasts this reader has missed so far.
    pub fn missed(&self) -> Result<u64, PrimerError> {
        Ok(self.0.get()?.0.missed())
    }

    /// Hears nothing more; who waits is answered 501. What is here can still be read. Idempotent.
    pub fn close(&self) {
        if let Ok((topic, _)) = self.0.get() {
            topic.close();
        }
    }
}
