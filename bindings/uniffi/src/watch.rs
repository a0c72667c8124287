//! [`Watch`]: changes of keys.

use std::time::Duration;

use crate::error::PrimerError;
use crate::owned::Owned;
use crate::values::Change;

/// A reader of changes of the keys that begin with one prefix, from the moment it was made; 1,024
/// changes and 8 MiB are kept for one that has not looked.
#[derive(uniffi::Object)]
pub struct Watch(pub(crate) Owned<primer::Watch>);

#[uniffi::export]
impl Watch {
    /// The next change, waiting for it up to `wait_ms`; absent when that passed.
    /// Errors: 501 when this reader or the member is closed and all was read.
    #[uniffi::method(default(wait_ms = 0))]
    pub async fn next(&self, wait_ms: u64) -> Result<Option<Change>, PrimerError> {
        let (watch, courier) = self.0.get()?;
        let next = courier
            .carry_for(watch.next(), Duration::from_millis(wait_ms))
            .await?;
        Ok(next.map(Into::into))
    }

    /// Up to `max` changes that are here already.
    pub fn take(&self, max: u32) -> Result<Vec<Change>, PrimerError> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let taken = self.0.get()?.0.take(max);
        Ok(taken.into_iter().map(Into::into).collect())
    }

    /// How many changes this reader has missed so far.
    pub fn missed(&self) -> Result<u64, PrimerError> {
        Ok(self.0.get()?.0.missed())
    }

    /// Hears nothing more; who waits is answered 501. What is here can still be read. Idempotent.
    pub fn close(&self) {
        if let Ok((watch, _)) = self.0.get() {
            watch.close();
        }
    }
}
