//! [`Subscription`]: a pushed stream of deliveries.

use std::sync::Arc;
use std::time::Duration;

use crate::delivery::Delivery;
use crate::error::PrimerError;
use crate::owned::Owned;

/// Deliveries pushed to this process, at most `credit` of them unsettled: settling one makes room
/// for the next. Closed when let go of.
#[derive(uniffi::Object)]
pub struct Subscription(pub(crate) Owned<primer::Subscription>);

#[uniffi::export]
impl Subscription {
    /// The next delivery, waiting for it up to `wait_ms`; absent when that passed. Errors: 501.
    #[uniffi::method(default(wait_ms = 0))]
    pub async fn next(&self, wait_ms: u64) -> Result<Option<Arc<Delivery>>, PrimerError> {
        let (subscription, courier) = self.0.get()?;
        let delivery = courier
            .carry_for(subscription.next(), Duration::from_millis(wait_ms))
            .await?;
        Ok(delivery.map(|delivery| Delivery::new(delivery, courier)))
    }

    /// Raises the number of unsettled deliveries. Errors: 101, 501.
    pub fn credit(&self, more: u32) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.credit(more)?)
    }

    /// Ends it: what was not taken is released, what was taken stays leased to its taker. Idempotent.
    pub fn close(&self) {
        if let Ok((subscription, _)) = self.0.get() {
            subscription.close();
        }
    }
}
