//! [`Queue`]: a best-effort-order queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use primer::Bytes;

use crate::delivery::Delivery;
use crate::error::PrimerError;
use crate::owned::Owned;
use crate::subscription::Subscription;
use crate::values::{
    EnqueueOptions, Header, Receipt, ReceiveOptions, Reply, SubscribeOptions, settings,
};

/// A best-effort-order queue, as seen from this member.
#[derive(uniffi::Object)]
pub struct Queue(pub(crate) Owned<primer::Queue>);

#[uniffi::export]
impl Queue {
    /// Its name.
    pub fn name(&self) -> Result<String, PrimerError> {
        Ok(self.0.get()?.0.name().to_owned())
    }

    /// Puts a message into the queue; the receipt says how many members hold it.
    /// Errors: 101, 102 (if_no_group), 104, 201, 202, 203, 204, 301, 302 (another member was to take it and did
    /// not answer: it may have happened), 501.
    #[uniffi::method(default(options = None))]
    pub async fn enqueue(
        &self,
        body: Vec<u8>,
        options: Option<EnqueueOptions>,
    ) -> Result<Receipt, PrimerError> {
        let (queue, courier) = self.0.get()?;
        let options = options.unwrap_or_default().try_into()?;
        let receipt = courier
            .carry(queue.enqueue_with(Bytes::from(body), &options))
            .await?;
        Ok(receipt.into())
    }

    /// Puts up to 4,096 messages into the queue, all or none; they share the options.
    /// Errors: as enqueue.
    #[uniffi::method(default(options = None))]
    pub async fn enqueue_many(
        &self,
        bodies: Vec<Vec<u8>>,
        options: Option<EnqueueOptions>,
    ) -> Result<Vec<Receipt>, PrimerError> {
        let (queue, courier) = self.0.get()?;
        let options = options.unwrap_or_default().try_into()?;
        let bodies = bodies.into_iter().map(Bytes::from).collect();
        let receipts = courier.carry(queue.enqueue_many(bodies, &options)).await?;
        Ok(receipts.into_iter().map(Into::into).collect())
    }

    /// Puts a message into the queue and waits up to `timeout_ms` for the reply of whoever handles it;
    /// without a ttl_ms it expires with the timeout.
    /// Errors: as enqueue, 302 when no reply came in time (it may still be handled).
    #[uniffi::method(default(timeout_ms = 30000, options = None))]
    pub async fn call(
        &self,
        body: Vec<u8>,
        timeout_ms: u64,
        options: Option<EnqueueOptions>,
    ) -> Result<Reply, PrimerError> {
        let (queue, courier) = self.0.get()?;
        let options = options.unwrap_or_default().try_into()?;
        let timeout = Duration::from_millis(timeout_ms);
        let pending = queue.call_with(Bytes::from(body), &options, timeout);
        Ok(courier.carry(pending).await?.into())
    }

    /// Leases up to `max` messages, waiting up to `wait_ms` for the first. Empty is not an error.
    /// Errors: 101, 201, 203, 501.
    #[uniffi::method(default(options = None))]
    pub async fn receive(
        &self,
        options: Option<ReceiveOptions>,
    ) -> Result<Vec<Arc<Delivery>>, PrimerError> {
        let (queue, courier) = self.0.get()?;
        let options = options.map_or_else(primer::ReceiveOptions::default, Into::into);
        let deliveries = courier.carry(queue.receive(&options)).await?;
        Ok(deliveries
            .into_iter()
            .map(|delivery| Delivery::new(delivery, courier))
            .collect())
    }

    /// Push: at most `credit` unsettled deliveries at a time. Errors: 101, 201, 203, 501.
    #[uniffi::method(default(options = None))]
    pub fn subscribe(
        &self,
        options: Option<SubscribeOptions>,
    ) -> Result<Arc<Subscription>, PrimerError> {
        let (queue, courier) = self.0.get()?;
        let options = options.map_or_else(primer::SubscribeOptions::default, Into::into);
        Ok(Arc::new(Subscription(Owned::new(
            queue.subscribe(&options)?,
            courier,
        ))))
    }

    /// Creates a named group: from now on each message goes to every group once. With `backlog` it gets
    /// what waits in the queue, too. One that exists stays. Errors: 101, 201, 203, 501.
    #[uniffi::method(default(backlog = false))]
    pub fn create_group(&self, group: String, backlog: bool) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.create_group(&group, backlog)?)
    }

    /// Removes a group with what it was still owed; one that is not there is no error.
    /// Errors: 203, 501.
    pub fn remove_group(&self, group: String) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.remove_group(&group)?)
    }

    /// The names of the queue's groups as this member knows them, ascending. Errors: 501.
    pub fn groups(&self) -> Result<Vec<String>, PrimerError> {
        Ok(self.0.get()?.0.groups()?)
    }

    /// Changes the queue's settings, for the whole cluster: here at once, elsewhere soon. Those that are not
    /// named stay; an empty value unsets one. Keys (times in ms, sizes in bytes): copies, on_short,
    /// enqueue_timeout_ms, lease_ms, max_attempts, ttl_ms, backoff_ms, backoff_ms_max, dead_letters,
    /// messages_max, bytes_max, overflow (refuse | drop_oldest), takeover_after_ms, key_concurrency, paused (none | in | out |
    /// both).
    /// Errors: 101, 104, 201, 203, 501.
    pub fn configure(&self, settings: HashMap<String, String>) -> Result<(), PrimerError> {
        let options = settings.into_iter().collect();
        Ok(self.0.get()?.0.configure(&options)?)
    }

    /// The settings that hold for the queue, as this member knows them: its own, and for what it does not
    /// set those of the longest policy that its name begins with. Errors: 501.
    pub fn configuration(&self) -> Result<HashMap<String, String>, PrimerError> {
        Ok(settings(&self.0.get()?.0.configuration()?))
    }

    /// Stops the queue for the whole cluster: "in" for producers, who get 204; "out" for consumers, who get
    /// nothing more but keep what they have; or "both". Errors: 101, 201, 203, 501.
    #[uniffi::method(default(direction = "both"))]
    pub fn pause(&self, direction: String) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.pause(&direction)?)
    }

    /// The queue goes on, in both directions. Errors: 201, 203, 501.
    pub fn resume(&self) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.resume()?)
    }

    /// Ends everything that is in the queue and its groups by now, on every member, also what consumers
    /// have: their acks get 402. Errors: 201, 203, 501.
    pub fn purge(&self) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.purge()?)
    }

    /// The message is finished. A late ack of an unfinished message succeeds. Errors: 402, 501.
    pub fn ack(&self, delivery: Arc<Delivery>) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.ack(&*delivery.held()?)?)
    }

    /// Replies to whoever waits for this message's reply, best effort, then acks it.
    /// Errors: 101 for one that asks for no reply, 104, 203, 402, 501.
    #[uniffi::method(default(headers = []))]
    pub fn reply(
        &self,
        delivery: Arc<Delivery>,
        body: Vec<u8>,
        headers: Vec<Header>,
    ) -> Result<(), PrimerError> {
        let reply = Reply { body, headers };
        Ok(self.0.get()?.0.reply(&*delivery.held()?, reply)?)
    }

    /// Acks up to 4,096 deliveries and answers one number each: 0, or the error's.
    /// Errors: 101, 104, 501.
    pub fn ack_many(&self, deliveries: Vec<Arc<Delivery>>) -> Result<Vec<u16>, PrimerError> {
        let held = deliveries
            .iter()
            .map(|delivery| delivery.held())
            .collect::<Result<Vec<_>, _>>()?;
        let deliveries: Vec<&primer::Delivery> = held.iter().map(AsRef::as_ref).collect();
        Ok(self.0.get()?.0.ack_many(&deliveries)?)
    }

    /// It failed: again after `delay_ms`; without one after 1 s, doubling with each attempt up to
    /// 10 minutes, unless backoff_ms and backoff_ms_max are set. Errors: 101, 202, 302, 401, 402, 501.
    #[uniffi::method(default(delay_ms = None))]
    pub async fn nack(
        &self,
        delivery: Arc<Delivery>,
        delay_ms: Option<u64>,
    ) -> Result<(), PrimerError> {
        let (delivery, (queue, courier)) = (delivery.held()?, self.0.get()?);
        courier
            .carry(queue.nack(&delivery, delay_ms.map(Duration::from_millis)))
            .await
    }

    /// It can never succeed: it goes to the queue `<queue>.dead` at once, with the reason (of which 512
    /// bytes are kept) in its headers. Errors: as nack.
    pub async fn reject(&self, delivery: Arc<Delivery>, reason: String) -> Result<(), PrimerError> {
        let (delivery, (queue, courier)) = (delivery.held()?, self.0.get()?);
        courier.carry(queue.reject(&delivery, &reason)).await
    }

    /// It was not tried: again at once, for anyone, the attempt not counted. Errors: as nack.
    pub async fn release(&self, delivery: Arc<Delivery>) -> Result<(), PrimerError> {
        let (delivery, (queue, courier)) = (delivery.held()?, self.0.get()?);
        courier.carry(queue.release(&delivery)).await
    }

    /// Its lease lasts this long from now; without a number as long as the queue's setting, or
    /// else the member's default.
    /// Errors: as nack.
    #[uniffi::method(default(lease_ms = None))]
    pub async fn extend(
        &self,
        delivery: Arc<Delivery>,
        lease_ms: Option<u64>,
    ) -> Result<(), PrimerError> {
        let (delivery, (queue, courier)) = (delivery.held()?, self.0.get()?);
        courier
            .carry(queue.extend(&delivery, lease_ms.map(Duration::from_millis)))
            .await
    }
}
