//! Copies on their way out: neighbours that are alike share a section, and a message that goes to several
//! groups of one queue goes once.

use alloc::vec::Vec;

use super::Queues;
use super::message::Message;
use super::slot::Slot;
use crate::base::{MemberId, MessageId, QueueKey};
use crate::copies::{Holder, Item, Owed, Own, Repl, Section};

/// Bytes of one frame of copies at most; a body of the largest size still fits beside its headers.
const REPL_BYTES_MAX: usize = 512 << 10;

/// Copies that go in one frame.
struct Open {
    /// Their queue, how many copies they want, and the groups they are for.
    key: (QueueKey, u8, Vec<Owed>),
    section: Section,
    bytes: usize,
}

impl Queues {
    /// Sends these messages to `target` in frames of bounded size; with `own`, as theirs.
    pub(super) fn send_slots(&mut self, indexes: &[u32], target: Holder, own: Option<Own>) {
        let mut open: Option<Open> = None;
        let mut rest = indexes;
        while let Some((index, more)) = rest.split_first() {
            rest = more;
            let Some(slot) = self.slab.get(*index) else {
                continue;
            };
            let source = self.source_of(slot.id);
            let mut owed: Vec<Owed> = self.owed(slot.id, slot.queue).into_iter().collect();
            while let Some((twin, more)) = rest.split_first().filter(|_| !owed.is_empty()) {
                let Some(also) = self.owed_alike(slot, *twin, source) else {
                    break;
                };
                owed.push(also);
                rest = more;
            }
            let item = Item {
                sequence: slot.id.sequence,
                stamp: slot.stamp,
                attempts: slot.attempts,
                lease: 0,
                body: Some(slot.body.clone()),
                headers: slot.headers.clone(),
                terms: slot.terms.clone(),
            };
            let own = own.unwrap_or(slot.own);
            let fresh = Section::new(source.origin, own, slot.holders.clone());
            let key = (self.base_of(slot.queue), slot.wanted, owed);
            let weight = item.weight();
            let fits = open.as_ref().is_some_and(|open| {
                open.key == key
                    && open.section.is_like_of(&fresh, !key.2.is_empty())
                    && open.bytes + weight <= REPL_BYTES_MAX
            });
            if !fits {
                self.send_section(open.take(), target.member);
                open = Some(Open {
                    key,
                    section: fresh,
                    bytes: 0,
                });
            }
            if let Some(open) = &mut open {
                open.section.items.push(item);
                open.bytes += weight;
            }
        }
        self.send_section(open, target.member);
    }

    /// The group that the next slot is of, where it is the same message in another group and all else
    /// is alike: then one item stands for both.
    fn owed_alike(&self, slot: &Slot, twin: u32, source: MessageId) -> Option<Owed> {
        let twin = self.slab.get(twin)?;
        let is_alike = twin.id.sequence == slot.id.sequence
            && (twin.own.epoch, twin.own.store) == (slot.own.epoch, slot.own.store)
            && (twin.attempts, twin.wanted) == (slot.attempts, slot.wanted)
            && twin.holders == slot.holders
            && self.source_of(twin.id) == source
            && self.base_of(twin.queue) == self.base_of(slot.queue);
        is_alike.then(|| self.owed(twin.id, twin.queue))?
    }

    fn send_section(&mut self, open: Option<Open>, to: MemberId) {
        if let Some(open) = open {
            let (queue, wanted, owed) = open.key;
            let repl = Repl {
                queue: self.name(queue),
                section: open.section,
                wanted: wanted.into(),
                owed,
            };
            self.send(to, Message::Repl(repl));
        }
    }
}
