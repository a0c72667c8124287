//! [`Primer`]: this process's place in a cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::courier::Courier;
use crate::error::PrimerError;
use crate::events::Events;
use crate::owned::Owned;
use crate::queue::Queue;
use crate::topic::Topic;
use crate::values::{Entry, Member, settings};
use crate::watch::Watch;

/// This process's place in a cluster. Closed when the last handle of it is gone.
#[derive(uniffi::Object)]
pub struct Primer(pub(crate) Owned<primer::Primer>);

#[uniffi::export]
impl Primer {
    /// Starts a member, dials its seeds and waits until one answered, at most two seconds; it serves
    /// alone when none does. `options` are pairs of text (surface.toml, Options); none at all is one
    /// member in memory without a socket. Errors: 101, 106, 107, 108, 502, 503.
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

    /// Takes `member` out of the set for good, by its id: it is refused until it has joined afresh.
    /// It deletes nothing: what it holds is set aside there (see reclaim). For members that will not
    /// come back, so that nothing waits for them, and for those that must not.
    /// Errors: 101 for this member itself, 102 for none of the set, 501.
    pub fn evict(&self, member: String) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.evict(member.parse()?)?)
    }

    /// After this member was evicted (an event tells): gives the messages that it set aside out
    /// again, or drops them. Answers how many; some may have been done elsewhere meanwhile.
    /// Errors: 501.
    pub fn reclaim(&self, keep: bool) -> Result<u64, PrimerError> {
        Ok(self.0.get()?.0.reclaim(keep)?)
    }

    /// Takes these secrets instead of those it has, one to three, from now on; links that are up
    /// stay. A secret is changed by giving every member the old and the new one, in any order, and
    /// then every member the new one alone.
    /// Errors: 101 for none, too many or a weak one, 106 for a member that was opened without, 501.
    pub fn rotate(&self, secrets: Vec<String>) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.rotate(secrets)?)
    }

    /// Tells everyone in the cluster who listens to `topic`, this member included: at once, best
    /// effort, nothing is stored and nobody answers. Body up to 64 KiB.
    /// Errors: 101, 104, 203 (too much at a time), 501.
    pub fn broadcast(&self, topic: String, body: Vec<u8>) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.broadcast(&topic, body)?)
    }

    /// A reader of what is broadcast to `topic` from now on. Errors: 101.
    pub fn on(&self, topic: String) -> Result<Arc<Topic>, PrimerError> {
        let (member, courier) = self.0.get()?;
        Ok(Arc::new(Topic(Owned::new(member.on(&topic)?, courier))))
    }

    /// Writes `value` under `key` for the whole cluster: here at once, elsewhere soon. Of two writes
    /// that did not know of each other the later one is read, and the other can be listed.
    /// Errors: 101, 104 (64 KiB), 201 (100,000 keys), 203 (200 writes a second), 501.
    pub fn put(&self, key: String, value: Vec<u8>) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.put(&key, value)?)
    }

    /// What is under `key` as this member knows it; absent when nothing is. Errors: 501.
    pub fn get(&self, key: String) -> Result<Option<Vec<u8>>, PrimerError> {
        Ok(self.0.get()?.0.get(&key)?.map(Into::into))
    }

    /// Removes `key` for the whole cluster; one that is not there is no error. A write that did not
    /// know of it wins. Errors: 101, 203, 501.
    pub fn delete(&self, key: String) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.delete(&key)?)
    }

    /// The keys that begin with `prefix`, ascending, with their values. Errors: 501.
    #[uniffi::method(default(prefix = ""))]
    pub fn list(&self, prefix: String) -> Result<Vec<Entry>, PrimerError> {
        let entries = self.0.get()?.0.list(&prefix)?;
        Ok(entries.into_iter().map(Into::into).collect())
    }

    /// Settings, as `configure`'s, for every queue whose name begins with `prefix`, "" for all, in place of
    /// those that the policy had. The longest prefix counts, whole; a queue's own settings are above it.
    /// Errors: 101, 104, 201, 203, 501.
    pub fn set_policy(
        &self,
        prefix: String,
        settings: HashMap<String, String>,
    ) -> Result<(), PrimerError> {
        let options = settings.into_iter().collect();
        Ok(self.0.get()?.0.set_policy(&prefix, &options)?)
    }

    /// Removes a policy; one that is not there is no error. Errors: 203, 501.
    pub fn remove_policy(&self, prefix: String) -> Result<(), PrimerError> {
        Ok(self.0.get()?.0.remove_policy(&prefix)?)
    }

    /// The policies as this member knows them, by their prefixes. Errors: 501.
    pub fn policies(&self) -> Result<HashMap<String, HashMap<String, String>>, PrimerError> {
        let policies = self.0.get()?.0.policies()?.into_iter();
        Ok(policies
            .map(|(prefix, options)| (prefix, settings(&options)))
            .collect())
    }

    /// A reader of changes of the keys that begin with `prefix`, from now on.
    #[uniffi::method(default(prefix = ""))]
    pub fn watch(&self, prefix: String) -> Result<Arc<Watch>, PrimerError> {
        let (member, courier) = self.0.get()?;
        Ok(Arc::new(Watch(Owned::new(member.watch(&prefix), courier))))
    }

    /// The queue of that name; it need not exist, first use makes it. Errors: 101, 201, 501.
    pub fn queue(&self, name: String) -> Result<Arc<Queue>, PrimerError> {
        let (member, courier) = self.0.get()?;
        Ok(Arc::new(Queue(Owned::new(member.queue(&name)?, courier))))
    }
}
