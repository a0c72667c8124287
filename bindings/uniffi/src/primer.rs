//! [`Primer`]: this process's place in a cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::courier::Courier;
use crate::error::PrimerError;
use crate::events::Events;
use crate::owned::Owned;
use crate::queue::Queue;
use crate::values::Member;

/// This process's place in a cluster. Closed when the last handle of it is gone.
#[derive(uniffi::Object)]
pub struct Primer(Owned<primer::Primer>);

#[uniffi::export]
impl Primer {
    /// Starts a member, dials its seeds and waits until one answered, at most two seconds; it serves
    /// alone when none does. `options` are pairs of text (surface.toml, Options); none at all is one
    /// member in memory without a socket. Errors: 101, 106, 502.
    #[uniffi::constructor(default(options))]
    pub async fn open(options: HashMap<String, String>) -> Result<Arc<Self>, PrimerError> {
        // In one order, so that of two mistakes always the same one is told.
        let mut pairs: Vec<_> = options.into_iter().collect();
        pairs.sort();
        let options = primer::Options::from_pairs(pairs)?;
        let courier = Arc::new(Courier::start()?);
        let member = primer::Primer::start(options)?;
        courier.carry(member.joined()).await?;
        Ok(Arc::new(Self(Owned::new(member, &courier))))
    }

    /// Dials `address` ("host:port") and becomes a member of its cluster.
    /// Errors: 101, 106, 107, 108, 202, 302, 501.
    pub async fn join(&self, address: String) -> Result<(), PrimerError> {
        let (member, courier) = self.0.get()?;
        courier.carry(member.join(&address)).await
    }

    /// Hands every copy over to other members and leaves the cluster; the member stays open, alone.
    /// Errors: 205 after `drain_ms` (absent: 30 s), unless `force`; 501.
    #[uniffi::method(default(drain_ms = None, force = false))]
    pub async fn leave(&self, drain_ms: Option<u64>, force: bool) -> Result<(), PrimerError> {
        let (member, courier) = self.0.get()?;
        courier
            .carry(member.leave(drain_ms.map(Duration::from_millis), force))
            .await
    }

    /// Refuses new work, answers waiters 501, flushes for at most a second. Idempotent. It does not
    /// leave the cluster. In a forked child it does nothing: the member is its parent's.
    pub async fn close(&self) -> Result<(), PrimerError> {
        let Ok((member, courier)) = self.0.get() else {
            return Ok(());
        };
        courier.carry(member.close()).await
    }

    /// Where this member listens, "127.0.0.1:port"; absent when it does not.
    pub fn address(&self) -> Result<Option<String>, PrimerError> {
        Ok(self.0.get()?.0.address())
    }

    /// The member set as this member sees it, itself included, in the order of ids. Errors: 501.
    pub fn members(&self) -> Result<Vec<Member>, PrimerError> {
        let members = self.0.get()?.0.members()?;
        Ok(members.into_iter().map(Into::into).collect())
    }

    /// Counters and gauges by stable names. Errors: 501.
    pub fn stats(&self) -> Result<HashMap<String, u64>, PrimerError> {
        let primer::Stats(stats) = self.0.get()?.0.stats()?;
        Ok(stats
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }

    /// A reader of what happens to the cluster from now on.
    pub fn events(&self) -> Result<Arc<Events>, PrimerError> {
        let (member, courier) = self.0.get()?;
        Ok(Arc::new(Events(Owned::new(member.events(), courier))))
    }

    /// The queue of that name; it need not exist, first use makes it. Errors: 101, 201, 501.
    pub fn queue(&self, name: String) -> Result<Arc<Queue>, PrimerError> {
        let (member, courier) = self.0.get()?;
        Ok(Arc::new(Queue(Owned::new(member.queue(&name)?, courier))))
    }
}
