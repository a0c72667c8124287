//! What goes into a group late, by hand: until it is safe there it is not over where it was.

use alloc::vec::Vec;

use super::PATIENT_MS;
use crate::base::{Birth, BootId, MessageId, Stamp, StoreId, Ticket};
use crate::copies::{Fan, ReplOk};
use crate::queue::Group;
use crate::queue::message::Message;
use crate::queue::test_room::{ANN, BOB, ME, Room};
use crate::wire::Ids;

const BIRTH: Birth = Birth { boot: 7, number: 1 };

/// The message's id in the group.
fn in_group(id: MessageId) -> MessageId {
    let fan = Fan {
        source: BootId(ME),
        birth: BIRTH,
    };
    MessageId {
        origin: fan.origin(),
        ..id
    }
}

impl Room {
    fn hear_of_group(&mut self, created: Stamp, takes_backlog: bool) {
        let group = Group {
            name: "mailer".into(),
            births: Vec::from([BIRTH]),
            created,
            takes_backlog,
        };
        let now = self.now();
        self.queues.set_groups(now, "jobs", &[group]);
        self.pass(self.now + 1);
    }

    fn confirm_id(&mut self, from: u64, id: MessageId) {
        let ok = ReplOk {
            ids: Ids::one(id),
            store: StoreId(from),
            epoch: 0,
        };
        self.hear(from, Message::ReplOk(ok));
    }

    fn holds(&self, id: MessageId) -> bool {
        self.queues.glimpse(id).is_some()
    }

    /// To how many members this end was told.
    fn told_end(&self, id: MessageId) -> usize {
        let ends = self.sent.iter().filter(|(_, message)| match message {
            Message::SetDone(done) => done.ids.iter().any(|one| one == id),
            _ => false,
        });
        ends.count()
    }

    /// To how many members a copy in the group was sent.
    fn sent_copies(&self) -> usize {
        let copies = self.sent.iter().filter(|(_, message)| match message {
            Message::Repl(repl) => repl.owed.iter().any(|owed| owed.group == "mailer"),
            _ => false,
        });
        copies.count()
    }

    /// The ids of what a consumer gets at once, of the queue itself or of the group.
    fn take_of(&mut self, is_of_group: bool) -> Vec<MessageId> {
        let group = self.queues.group(self.queue, "mailer");
        let queue = match is_of_group {
            true => group.unwrap(),
            false => self.queue,
        };
        self.tickets += 1;
        let (now, ticket) = (self.now(), Ticket(self.tickets));
        self.queues.receive(now, ticket, queue, 10, 0, Some(1_000));
        self.look();
        match self.answers.remove(&ticket) {
            Some(Ok(crate::queue::Reply::Deliveries(leased))) => {
                leased.iter().map(|leased| leased.handle.id).collect()
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_moves_into_a_group_ends_when_it_has_as_many_copies_there() {
    let mut room = Room::new();
    let id = room.enqueue();
    room.hear_of_group(Stamp(1), false);
    assert_eq!(room.sent_copies(), 2, "as many copies as were asked for");
    assert!(room.take_of(false).is_empty(), "it is for the group alone");
    room.confirm_id(ANN, in_group(id));
    assert!(room.take_of(true).is_empty(), "a copy is on its way still");
    let seen = room.queues.glimpse(id).unwrap();
    assert!(seen.is_ending && seen.is_parting);
    assert_eq!(room.told_end(id), 0, "nobody drops a copy of what it was");
    room.confirm_id(BOB, in_group(id));
    assert!(!room.holds(id));
    assert_eq!(room.told_end(id), 2);
    assert_eq!(room.take_of(true), [in_group(id)]);
}

#[test]
fn what_has_fewer_copies_in_the_group_is_given_there_and_ends_later() {
    let mut room = Room::new();
    let id = room.enqueue();
    room.lose(BOB);
    room.hear_of_group(Stamp(1), false);
    room.confirm_id(ANN, in_group(id));
    assert_eq!(room.take_of(true), [in_group(id)], "nobody else can be had");
    room.pass(room.now + 5_000);
    assert!(
        room.holds(id),
        "Bob has a copy, and may be the one that is left"
    );
    assert_eq!(room.told_end(id), 0);
    room.link(BOB, BOB);
    room.pass(room.now + 5_000);
    room.confirm_id(BOB, in_group(id));
    room.pass(room.now + PATIENT_MS);
    assert!(!room.holds(id));
    assert!(room.told_end(id) >= 2);
}

#[test]
fn what_is_finished_in_the_group_ends_also_where_it_had_few_copies() {
    let mut room = Room::new();
    let id = room.enqueue();
    room.lose(BOB);
    room.hear_of_group(Stamp(1), false);
    room.confirm_id(ANN, in_group(id));
    let now = room.now();
    room.queues
        .end_all(now, &Ids::one(in_group(id)), crate::queue::Ending::Acked);
    room.pass(room.now + 1_000);
    assert!(!room.holds(id));
}

#[test]
fn what_a_group_takes_of_the_backlog_stays_and_is_given_there_when_its_copies_are_made() {
    let mut room = Room::new();
    let id = room.enqueue();
    let later = room.queues.last_stamp();
    room.hear_of_group(Stamp(later.0 + 1), true);
    assert_eq!(room.sent_copies(), 2);
    assert!(room.take_of(true).is_empty());
    assert_eq!(room.take_of(false), [id], "it is owed to whom it was owed");
    room.confirm_id(ANN, in_group(id));
    room.confirm_id(BOB, in_group(id));
    assert_eq!(room.take_of(true), [in_group(id)]);
    assert!(!room.queues.glimpse(id).unwrap().is_ending);
}

#[test]
fn neighbours_go_into_a_group_together() {
    let mut room = Room::new();
    let ids: Vec<MessageId> = (0..10).map(|_| room.enqueue()).collect();
    room.hear_of_group(Stamp(1), false);
    assert_eq!(room.sent_copies(), 2, "one frame for each holder");
    for from in [ANN, BOB] {
        ids.iter()
            .for_each(|id| room.confirm_id(from, in_group(*id)));
    }
    assert!(ids.iter().all(|id| !room.holds(*id)));
    let expected: Vec<MessageId> = ids.iter().map(|id| in_group(*id)).collect();
    assert_eq!(room.take_of(true), expected, "in their order");
}

#[test]
fn no_more_go_at_a_time_than_may_be_on_their_way() {
    const BODY: usize = 512 << 10;
    let mut room = Room::new();
    let put = (0..20).map(|_| room.enqueue_body(BODY));
    let mut ids: Vec<MessageId> = put.collect();
    room.hear_of_group(Stamp(1), false);
    while !ids.is_empty() {
        let is_going = |id: &MessageId| room.holds(in_group(*id));
        let (going, rest): (Vec<_>, Vec<_>) = ids.into_iter().partition(is_going);
        assert!((1..=9).contains(&going.len()), "{}", going.len());
        for id in &going {
            assert!(room.holds(*id));
            room.confirm_id(ANN, in_group(*id));
            room.confirm_id(BOB, in_group(*id));
        }
        room.pass(room.now + 20);
        ids = rest;
    }
    assert_eq!(room.take_of(true).len(), 10);
}
