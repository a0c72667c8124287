//! [`Delivery`]: a message on lease.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primer::{Error, ErrorKind};

use crate::courier::Courier;
use crate::error::PrimerError;
use crate::owned::Owned;
use crate::values::{Header, Reply, headers_of};

/// A message on lease to this process. Let go of unsettled it is released: it goes back at once and
/// the attempt is not counted. A garbage collector lets go some day; `let_go` does it now.
#[derive(uniffi::Object)]
pub struct Delivery(Owned<Mutex<Option<Arc<primer::Delivery>>>>);

impl Delivery {
    pub(crate) fn new(delivery: primer::Delivery, courier: &Arc<Courier>) -> Arc<Self> {
        Arc::new(Self(Owned::new(
            Mutex::new(Some(Arc::new(delivery))),
            courier,
        )))
    }

    /// What is held. Errors: 101 when it was let go, 501 in a forked child.
    pub(crate) fn held(&self) -> Result<Arc<primer::Delivery>, PrimerError> {
        let held = self
            .0
            .get()?
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let gone = || Error::new(ErrorKind::InvalidArgument).because("this delivery was let go");
        Ok(held.clone().ok_or_else(gone)?)
    }
}

#[uniffi::export]
impl Delivery {
    /// The message's identity.
    pub fn id(&self) -> Result<String, PrimerError> {
        Ok(self.held()?.id().to_string())
    }

    /// The producer's bytes, copied.
    pub fn body(&self) -> Result<Vec<u8>, PrimerError> {
        Ok(self.held()?.body().to_vec())
    }

    /// The producer's headers, in their order.
    pub fn headers(&self) -> Result<Vec<Header>, PrimerError> {
        Ok(headers_of(self.held()?.headers()))
    }

    /// How often it was given out, this time included.
    pub fn attempts(&self) -> Result<u32, PrimerError> {
        Ok(self.held()?.attempts())
    }

    /// 0 (last) to 9 (first).
    pub fn priority(&self) -> Result<u8, PrimerError> {
        Ok(self.held()?.priority())
    }

    /// The key that it was put in with, if any: messages of one key are given out in line.
    pub fn key(&self) -> Result<Option<String>, PrimerError> {
        Ok(self.held()?.key().map(str::to_owned))
    }

    /// True where somebody waits for a reply: it came by a `call`.
    pub fn wants_reply(&self) -> Result<bool, PrimerError> {
        Ok(self.held()?.wants_reply())
    }

    /// Replies to whoever waits for this message's reply, best effort, then acks it.
    /// Errors: 101 for one that asks for no reply, 104, 203, 402, 501.
    #[uniffi::method(default(headers = []))]
    pub fn reply(&self, body: Vec<u8>, headers: Vec<Header>) -> Result<(), PrimerError> {
        Ok(self.held()?.reply(Reply { body, headers })?)
    }

    /// The message is finished. A late ack of an unfinished message succeeds. Errors: 402, 501.
    pub fn ack(&self) -> Result<(), PrimerError> {
        Ok(self.held()?.ack()?)
    }

    /// It failed: again after `delay_ms`; without one after 1 s, doubling with each attempt up to
    /// 10 minutes, unless backoff_ms and backoff_ms_max are set. Errors: 101, 202, 302, 401, 402, 501.
    #[uniffi::method(default(delay_ms = None))]
    pub async fn nack(&self, delay_ms: Option<u64>) -> Result<(), PrimerError> {
        let (delivery, (_, courier)) = (self.held()?, self.0.get()?);
        courier
            .carry(delivery.nack(delay_ms.map(Duration::from_millis)))
            .await
    }

    /// It can never succeed: it goes to the queue `<queue>.dead` at once, with the reason (of which 512
    /// bytes are kept) in its headers. Errors: as nack.
    pub async fn reject(&self, reason: String) -> Result<(), PrimerError> {
        let (delivery, (_, courier)) = (self.held()?, self.0.get()?);
        courier.carry(delivery.reject(&reason)).await
    }

    /// It was not tried: again at once, for anyone, the attempt not counted. Errors: as nack.
    pub async fn release(&self) -> Result<(), PrimerError> {
        let (delivery, (_, courier)) = (self.held()?, self.0.get()?);
        courier.carry(delivery.release()).await
    }

    /// Its lease lasts this long from now; without a number as long as the queue's setting, or
    /// else the member's default.
    /// Errors: as nack.
    #[uniffi::method(default(lease_ms = None))]
    pub async fn extend(&self, lease_ms: Option<u64>) -> Result<(), PrimerError> {
        let (delivery, (_, courier)) = (self.held()?, self.0.get()?);
        courier
            .carry(delivery.extend(lease_ms.map(Duration::from_millis)))
            .await
    }

    /// Lets go of it now, for languages whose collector does so some day: unsettled it is released.
    /// Idempotent; every other call on it is 101 from then on.
    pub fn let_go(&self) {
        if let Ok((held, _)) = self.0.get() {
            let held = held.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(held);
        }
    }
}
