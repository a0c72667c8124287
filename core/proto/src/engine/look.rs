//! Looking at an engine from above, for tests: what its set and its rows say, and what they must not.

use alloc::format;
use alloc::string::String;

use super::Engine;
use crate::base::{BootId, Instant, LinkId, MemberId, MessageId, Stamp, StoreId};

impl Engine {
    /// Who is in the set, with the incarnation and the store that it says.
    pub fn lives(&self) -> impl Iterator<Item = (MemberId, u64, StoreId)> + '_ {
        let members = self.view.members().iter();
        members.map(|(member, info)| (*member, info.incarnation, info.store()))
    }

    /// The processes whose rows are known: where they are, and what they are called.
    pub fn rows(&self) -> impl Iterator<Item = (MemberId, u64, BootId)> + '_ {
        let rows = self.cards.rows();
        rows.map(|card| (card.member(), card.incarnation, card.boot()))
    }

    /// True when that life of a member may not come back here.
    #[must_use]
    pub fn is_fenced(&self, member: MemberId, incarnation: u64, store: StoreId) -> bool {
        self.view.is_fenced(member, incarnation, store)
    }

    /// True when a link is taken up: its handshake was not refused, and it was not given up since.
    #[must_use]
    pub fn has_link(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// How many messages this member holds; cheaper than [`Engine::stats`], which looks at each.
    #[must_use]
    pub fn held(&self) -> usize {
        self.queues.held()
    }

    /// How near this member is to its memory budget: 0 to 4.
    #[must_use]
    pub fn memory_level(&self) -> u8 {
        self.queues.memory_level()
    }

    /// What a queue goes by here: whether it is paused for producers, and for consumers, and up to which
    /// stamp it was purged; none where it is not known.
    #[must_use]
    pub fn told(&self, queue: &str) -> Option<(bool, bool, Stamp)> {
        self.queues.told(queue)
    }

    /// What is known here of a message that had a dedup key: when its window ends (0 where that is forgotten),
    /// and whether it is finished.
    #[must_use]
    pub fn recollects(&self, id: MessageId) -> Option<(u64, bool)> {
        self.queues.recollects(id)
    }

    /// Until when an enqueue with a dedup key waits that is under way and would make this message; none where there
    /// is none.
    #[must_use]
    pub fn putting_in(&self, id: MessageId) -> Option<Instant> {
        self.queues.putting_in(id)
    }

    /// The link over which a member can be asked what it knows of dedup keys.
    #[must_use]
    pub fn hears(&self, member: MemberId) -> Option<LinkId> {
        let link = self.by_member.get(&member).copied();
        link.filter(|_| self.queues.hears(member))
    }

    /// Checks that nothing fenced is in the set or linked, between two inputs and with every hang-up
    /// carried out; the text says what is.
    pub fn audit_fences(&self) -> Result<(), String> {
        for (member, incarnation, store) in self.lives() {
            if member != self.me && self.is_fenced(member, incarnation, store) {
                return Err(format!("{member} is in the set and fenced"));
            }
        }
        for link in self.links.values() {
            let info = self.view.members().get(&link.member);
            // It may have raised its incarnation since the handshake.
            let raised = info.filter(|info| info.store() == link.store);
            let raised = raised.map_or(0, |info| info.incarnation);
            let incarnation = link.incarnation.max(raised);
            if self.is_fenced(link.member, incarnation, link.store) {
                return Err(format!("{} is linked and fenced", link.member));
            }
        }
        Ok(())
    }

    /// Checks that no soft row outlives the member or the link that it is about, in a cluster that has
    /// been quiet for a while; the text says which does.
    pub fn audit_rows(&self) -> Result<(), String> {
        let members = self.view.members();
        if let Some((member, ..)) = self.rows().find(|(id, ..)| !members.contains_key(id)) {
            return Err(format!("a row of {member}, which is no member"));
        }
        let mut stocked = self.board.members();
        if let Some(member) = stocked.find(|id| !self.by_member.contains_key(id)) {
            return Err(format!("the stock of {member}, which has no link"));
        }
        let mut linkless = members.keys().filter(|id| !self.by_member.contains_key(id));
        if let Some(member) = linkless.find(|id| **id != self.me && self.queues.level_of(**id) != 0)
        {
            return Err(format!("the memory level of {member}, which has no link"));
        }
        let mut led = self.led_to.keys();
        if let Some(member) = led.find(|id| !members.contains_key(id)) {
            return Err(format!("the way to {member}, which is no member"));
        }
        Ok(())
    }
}
