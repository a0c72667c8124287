//! Groups at one member: who gets what, and what becomes of it when groups come and go.

use alloc::vec;
use alloc::vec::Vec;

use super::tests::{Bench, number};
use super::*;
use crate::base::limits;
use crate::copies::Asked;

fn in_group(name: &str, takes_backlog: bool) -> InGroup {
    InGroup {
        name: name.into(),
        takes_backlog,
    }
}

impl Bench {
    fn create(&mut self, name: &str, takes_backlog: bool) {
        let queue = self.engine.queue("jobs").unwrap();
        let answer = self.answer(Command::CreateGroup(queue, in_group(name, takes_backlog)));
        assert_eq!(number(answer), 0);
    }

    fn put_with(&mut self, body: &'static str, options: EnqueueOptions) -> Answer {
        let queue = self.engine.queue("jobs").unwrap();
        let message = NewMessage {
            body: body.into(),
            headers: None,
        };
        self.answer(Command::Enqueue {
            queue,
            message,
            options,
        })
    }

    fn put_one(&mut self, body: &'static str) -> MessageId {
        match self.put_with(body, EnqueueOptions::default()) {
            Ok(Reply::Receipt(receipt)) => receipt.id,
            other => panic!("{other:?}"),
        }
    }

    fn take_in(&mut self, group: Option<&str>) -> Vec<Leased> {
        let queue = self.engine.queue("jobs").unwrap();
        let group = group.map(|name| in_group(name, false));
        let (max, wait, lease) = (100, 0, Some(50));
        match self.answer(Command::Receive {
            queue,
            max,
            wait,
            lease,
            group,
        }) {
            Ok(Reply::Deliveries(leased)) => leased,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        self.engine.stats()[name]
    }
}

fn ids(leased: &[Leased]) -> Vec<MessageId> {
    leased.iter().map(|one| one.id).collect()
}

#[test]
fn each_group_gets_each_message_once_under_its_one_id() {
    let mut bench = Bench::new();
    bench.create("mailer", false);
    bench.create("audit", false);
    let put = vec![bench.put_one("one"), bench.put_one("two")];
    let (mailer, audit) = (bench.take_in(Some("mailer")), bench.take_in(Some("audit")));
    assert_eq!((ids(&mailer), ids(&audit)), (put.clone(), put));
    assert_ne!(mailer[0].handle.id, audit[0].handle.id);
    assert!(
        bench.take_in(None).is_empty(),
        "nobody owes it to the queue itself"
    );
    for leased in mailer {
        assert_eq!(number(bench.answer(Command::Ack(leased.handle))), 0);
    }
    bench.wake(51);
    assert!(bench.take_in(Some("mailer")).is_empty());
    let again = bench.take_in(Some("audit"));
    assert_eq!(
        (again.len(), again[0].attempts),
        (2, 2),
        "each group has its own leases"
    );
    for leased in again {
        assert_eq!(number(bench.answer(Command::Ack(leased.handle))), 0);
    }
    assert_eq!(
        (bench.count("messages"), bench.count("memory_bytes")),
        (0, 0)
    );
}

#[test]
fn a_consumer_creates_its_group_which_begins_with_what_comes_from_then_on() {
    let mut bench = Bench::new();
    let waiting = bench.put_one("before");
    assert!(bench.take_in(Some("mailer")).is_empty());
    assert_eq!(bench.engine.groups("jobs").len(), 1);
    let put = bench.put_one("after");
    assert_eq!(ids(&bench.take_in(Some("mailer"))), [put]);
    assert_eq!(ids(&bench.take_in(None)), [waiting]);
}

#[test]
fn a_group_from_the_backlog_gets_what_waits_there_and_the_queue_keeps_it() {
    let mut bench = Bench::new();
    let waiting = bench.put_one("before");
    bench.create("late", true);
    bench.wake(0);
    assert_eq!(ids(&bench.take_in(Some("late"))), [waiting]);
    assert_eq!(ids(&bench.take_in(None)), [waiting]);
    bench.create("later", true);
    bench.wake(1);
    assert_eq!(
        ids(&bench.take_in(Some("later"))),
        [waiting],
        "held, so owed to it as well"
    );
    assert_eq!(bench.count("joined_groups"), 2);
}

#[test]
fn a_removed_group_is_owed_nothing_and_one_made_again_begins_anew() {
    let mut bench = Bench::new();
    bench.create("mailer", false);
    bench.create("audit", false);
    bench.put_one("one");
    let leased = bench.take_in(Some("mailer")).remove(0);
    let queue = bench.engine.queue("jobs").unwrap();
    let remove = || Command::RemoveGroup(queue, "mailer".into());
    assert_eq!(number(bench.answer(remove())), 0);
    assert_eq!(number(bench.answer(remove())), 0, "twice is once");
    bench.wake(1);
    assert_eq!(
        (bench.count("messages"), bench.count("dropped_with_group")),
        (1, 1)
    );
    assert_eq!(number(bench.answer(Command::Ack(leased.handle))), 402);
    bench.create("mailer", false);
    assert!(bench.take_in(Some("mailer")).is_empty());
    bench.put_one("two");
    assert_eq!(bench.take_in(Some("mailer")).len(), 1);
    assert_eq!(bench.take_in(Some("audit")).len(), 2);
}

#[test]
fn what_no_group_wants_waits_or_is_dropped_or_refused_as_its_producer_asks() {
    let mut bench = Bench::new();
    let with = |if_no_group| EnqueueOptions {
        if_no_group,
        ..EnqueueOptions::default()
    };
    assert_eq!(number(bench.put_with("no", with(IfNoGroup::Refuse))), 102);
    match bench.put_with("gone", with(IfNoGroup::Drop)) {
        Ok(Reply::Receipt(receipt)) => assert_eq!((receipt.copies, receipt.wanted), (0, 0)),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        (bench.count("messages"), bench.count("dropped_ungrouped")),
        (0, 1)
    );
    bench.put_one("held");
    assert_eq!(bench.take_in(None).len(), 1);
    bench.create("mailer", false);
    for choice in [IfNoGroup::Hold, IfNoGroup::Drop, IfNoGroup::Refuse] {
        assert_eq!(number(bench.put_with("yes", with(choice))), 0);
    }
    assert_eq!(bench.take_in(Some("mailer")).len(), 3);
}

#[test]
fn a_dead_letter_tells_the_group_and_each_group_has_its_own() {
    let mut bench = Bench::new();
    bench.create("mailer", false);
    bench.create("audit", false);
    let id = bench.put_one("one");
    for group in ["mailer", "audit"] {
        let leased = bench.take_in(Some(group)).remove(0);
        let reject = Command::Reject(leased.handle, "bad".into());
        assert_eq!(number(bench.answer(reject)), 0);
    }
    let queue = bench.engine.queue("jobs.dead").unwrap();
    let (max, wait, lease, group) = (9, 0, None, None);
    let letters = match bench.answer(Command::Receive {
        queue,
        max,
        wait,
        lease,
        group,
    }) {
        Ok(Reply::Deliveries(leased)) => leased,
        other => panic!("{other:?}"),
    };
    let header = |leased: &Leased, key: &str| {
        let headers = leased.headers.clone().unwrap();
        headers
            .iter()
            .find(|(name, _)| name == key)
            .unwrap()
            .1
            .clone()
    };
    let groups: Vec<String> = letters
        .iter()
        .map(|one| header(one, "primer-group"))
        .collect();
    assert_eq!(groups, ["mailer", "audit"]);
    assert_eq!(header(&letters[0], "primer-id"), alloc::format!("{id}"));
    assert_ne!(letters[0].id, letters[1].id);
}

#[test]
fn the_terms_of_a_message_hold_in_each_group() {
    let mut bench = Bench::new();
    bench.create("mailer", false);
    bench.create("audit", false);
    let terms = Asked {
        is_at_most_once: true,
        delay: Some(10),
        ..Asked::default()
    };
    let options = EnqueueOptions {
        terms,
        ..EnqueueOptions::default()
    };
    assert_eq!(number(bench.put_with("once", options)), 0);
    assert!(bench.take_in(Some("mailer")).is_empty());
    bench.wake(10);
    for group in ["mailer", "audit"] {
        assert_eq!(bench.take_in(Some(group)).len(), 1);
        assert!(bench.take_in(Some(group)).is_empty());
    }
    assert_eq!(bench.count("messages"), 0);
}

#[test]
fn a_batch_goes_to_every_group_and_memory_is_counted_for_each() {
    let mut bench = Bench::new();
    bench.create("mailer", false);
    bench.create("audit", false);
    let queue = bench.engine.queue("jobs").unwrap();
    let messages = ["a", "b", "c"].map(|body| NewMessage {
        body: body.into(),
        headers: None,
    });
    let options = EnqueueOptions::default();
    let many = Command::EnqueueMany {
        queue,
        messages: messages.to_vec(),
        options,
    };
    let receipts = match bench.answer(many) {
        Ok(Reply::Receipts(receipts)) => receipts,
        other => panic!("{other:?}"),
    };
    let put: Vec<MessageId> = receipts.iter().map(|receipt| receipt.id).collect();
    let each = 3 * (1 + limits::MESSAGE_OVERHEAD_BYTES);
    assert_eq!(bench.count("memory_bytes"), 2 * each);
    let leased = bench.take_in(Some("audit"));
    assert_eq!(ids(&leased), put);
    let handles = leased.into_iter().map(|one| one.handle).collect();
    assert_eq!(number(bench.answer(Command::AckMany(handles))), 0);
    assert_eq!(bench.count("memory_bytes"), each);
}
