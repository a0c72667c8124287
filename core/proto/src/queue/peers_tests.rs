//! Two lives of one member, by hand: both count what they ask from one.

use alloc::vec::Vec;

use crate::base::Ticket;
use crate::queue::message::Message;
use crate::queue::test_room::{ANN, Room, holder};
use crate::queue::{Browse, EnqueueOptions, Examine, NewMessage, Redrive, limits};

/// The number of every question, in each life.
const NUMBER: u64 = 1;
/// Ann's second process.
const ANNS_NEXT_BOOT: u64 = 22;

impl Room {
    /// More than is looked through in one step.
    fn fill_steps(&mut self) {
        for _ in 0..=limits::STEP_MESSAGES_MAX / limits::BATCH_MAX {
            self.tickets += 1;
            let (now, ticket, queue) = (self.now(), Ticket(self.tickets), self.queue);
            let messages = (0..limits::BATCH_MAX).map(|_| NewMessage::default());
            let options = EnqueueOptions {
                copies: Some(1),
                ..EnqueueOptions::default()
            };
            let messages = messages.collect();
            self.queues
                .enqueue_many(now, ticket, queue, messages, options);
            self.look();
        }
        self.sent.clear();
    }

    /// Ann asks everything that takes more than one step.
    fn ann_asks(&mut self, queue: &str) {
        let questions = [
            Message::Browse(Browse {
                number: NUMBER,
                queue: queue.into(),
                max: 10,
                body_bytes_max: 10,
                wait_ms: 1_000,
                ..Browse::default()
            }),
            Message::Examine(Examine {
                number: NUMBER,
                queue: queue.into(),
            }),
            Message::Redrive(Redrive {
                number: NUMBER,
                queue: queue.into(),
                max: 10,
                is_dry_run: true,
                wait_ms: 1_000,
                ..Redrive::default()
            }),
        ];
        for question in questions {
            self.hear(ANN, question);
        }
    }

    /// What Ann was answered since this was last asked: how many messages each answer tells of.
    fn ann_heard(&mut self) -> Vec<(&'static str, u64)> {
        let sent = core::mem::take(&mut self.sent).into_iter();
        let to_ann = sent.filter(|(to, _)| *to == holder(ANN).member);
        let heard = to_ann.filter_map(|(_, message)| match message {
            Message::Browsed(page) => Some(("page", page.messages.len() as u64)),
            Message::Examined(all) => {
                let ready = all.facts.iter().map(|facts| facts.ready);
                Some(("facts", ready.sum()))
            }
            Message::Redriven(redriven) => Some(("moved", redriven.matched)),
            _ => None,
        });
        heard.collect()
    }
}

#[test]
fn who_is_linked_still_is_answered_after_some_steps() {
    let mut room = Room::new();
    room.fill_steps();
    room.ann_asks("jobs");
    assert!(room.ann_heard().is_empty(), "more than one step");
    room.pass(room.now + 100);
    let heard = room.ann_heard();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert!(heard.iter().all(|(_, count)| *count > 0), "{heard:?}");
}

#[test]
fn an_answer_to_a_former_life_is_none_of_the_present_life_s() {
    // The link is lost first, or the next life's takes its place at once.
    for is_lost_first in [true, false] {
        let mut room = Room::new();
        room.fill_steps();
        room.ann_asks("jobs");
        if is_lost_first {
            room.lose(ANN);
        } else {
            let now = room.now();
            room.queues.peer_relinking(now, holder(ANN).member);
        }
        room.link(ANN, ANNS_NEXT_BOOT);
        // The next life has the same numbers, and asks of what is empty.
        room.queues.queue("other").unwrap();
        room.ann_asks("other");
        room.pass(room.now + 1_000);
        let heard = room.ann_heard();
        assert_eq!(heard.len(), 3, "{heard:?}");
        assert!(heard.iter().all(|(_, count)| *count == 0), "{heard:?}");
    }
}
