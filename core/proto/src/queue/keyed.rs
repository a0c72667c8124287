//! What the room does for messages with keys: who is the home of a key, and when the next of a line may go
//! (protocol.md 4.4, "Keys"). The lines themselves are `lines`.

use alloc::collections::BTreeSet;
use alloc::string::String;

use super::canary::QueueCanary;
use super::lines::{Lines, Spot};
use super::peers::Peer;
use super::slot::{Place, Slot};
use super::{Alarm, Queues};
use crate::base::{MemberId, Now, QueueKey};
use crate::copies::{Holder, key_rank};

impl Queues {
    /// The member that is to own the messages of a key: the first in the order that every member knows of
    /// those that can be reached, stay, and know how; but none of `tried`. None when that is nobody.
    pub(super) fn home(
        &self,
        queue: QueueKey,
        (key, has_dedup): (&str, bool),
        tried: &BTreeSet<MemberId>,
    ) -> Option<MemberId> {
        let name = self.base_name(queue);
        let peers = self.peers.iter();
        // Of a version without dedup keys one would make another message of each try.
        let knows = |peer: &Peer| peer.takes_enqueues && !(has_dedup && peer.lacks_dedup);
        let able = peers.filter(|(_, peer)| peer.is_open() && knows(peer));
        let able = able.map(|(member, _)| *member);
        let own = (!self.is_leaving()).then_some(self.me.member);
        let able = able.chain(own).filter(|member| !tried.contains(member));
        able.max_by_key(|member| (key_rank(&name, key, *member), *member))
    }

    /// Its store, where it takes copies.
    pub(super) fn home_store(&self, queue: QueueKey, key: &str) -> Option<Holder> {
        let member = self.home(queue, (key, false), &BTreeSet::new())?;
        let store = self.store_of(member);
        let home = Holder { member, store };
        self.takes_copies(home).then_some(home)
    }

    /// A message may be given: it goes where its shelf keeps those.
    pub(super) fn enlist(&mut self, index: u32) {
        let ignores_key = self.planted.is(QueueCanary::KeyIgnored);
        if let Some(slot) = self.slab.get(index)
            && let Some(shelf) = self.shelves.get_mut(slot.queue.0 as usize)
        {
            shelf.ready.push(slot, index, ignores_key);
        }
    }

    /// A message is in its place no more and leaves its shelf's list, or its line: the next of its key may go.
    pub(super) fn delist(&mut self, slot: &Slot, was: Place) {
        self.leave_list(slot.queue, (slot.key(), slot.spot()), was);
    }

    /// The same of one that stays here in another place.
    pub(super) fn delist_at(&mut self, index: u32, was: Place) {
        if let Some(slot) = self.slab.get(index) {
            let (queue, spot, key) = (slot.queue, slot.spot(), slot.key().map(String::from));
            self.leave_list(queue, (key.as_deref(), spot), was);
        }
    }

    fn leave_list(&mut self, queue: QueueKey, (key, spot): (Option<&str>, Spot), was: Place) {
        let Some(shelf) = self.shelves.get_mut(queue.0 as usize) else {
            return;
        };
        if key.is_some_and(|key| shelf.ready.lines_mut().leave(key, spot)) {
            self.freed.insert(queue);
        } else if was == Place::Ready {
            shelf.ready.lost_one(&self.slab);
        }
        if was == Place::Ready {
            self.note_stock(queue);
        }
    }

    /// The copies of a message are on their way: those of its key that come later wait for it.
    pub(super) fn expect_in_line(&mut self, index: u32) {
        self.in_line(index, |lines, key, slot| lines.expect(key, slot.spot()));
    }

    /// They are made, and it is ready, or has a date.
    pub(super) fn came_into_line(&mut self, index: u32) {
        self.in_line(index, |lines, key, slot| lines.came(key, slot.spot()));
    }

    /// Somebody has a message that was taken over: it is out.
    pub(super) fn hold_in_line(&mut self, index: u32) {
        self.in_line(index, |lines, key, slot| lines.hold(key, slot.id));
    }

    #[inline]
    fn in_line(&mut self, index: u32, what: impl FnOnce(&mut Lines, &str, &Slot)) {
        if let Some(slot) = self.slab.get(index)
            && let Some(key) = slot.key()
            && let Some(shelf) = self.shelves.get_mut(slot.queue.0 as usize)
        {
            what(shelf.ready.lines_mut(), key, slot);
        }
    }

    /// True while another of its key, which goes before it, is a consumer's.
    pub(super) fn is_behind(&self, slot: &Slot) -> bool {
        let shelf = self.shelves.get(slot.queue.0 as usize);
        let lines = shelf.and_then(|shelf| shelf.ready.lines());
        let key = slot.key();
        key.zip(lines)
            .is_some_and(|(key, lines)| lines.is_behind(key, slot.id))
    }

    /// Serves the queues in which a key may go on since something of it ended.
    pub fn serve_freed(&mut self, now: Now) {
        while let Some(queue) = self.freed.pop_first() {
            self.serve(now, queue);
        }
    }

    /// Some lines of a shelf hear how many of one key may be out from now on.
    pub(super) fn rebound(&mut self, now: Now, queue: QueueKey) {
        let Some(shelf) = self.shelf(queue) else {
            return;
        };
        if shelf.ready.rebound() {
            self.alarms.set_earlier(Alarm::Lines(queue), now.mono);
        }
        self.serve(now, queue);
    }
}
