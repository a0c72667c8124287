//! Why nothing is delivered, as members say it together.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::test_ring::Ring;
use super::*;
use crate::base::limits;
use crate::copies::Asked;

/// Codes, groups and counts.
type Told = Vec<(&'static str, String, u64)>;

impl Ring {
    fn doctor(&mut self, seat: usize) -> (Vec<Facts>, Vec<Finding>, Vec<MemberId>) {
        let queue = self.engines[seat].queue("jobs").unwrap();
        match self.ask(seat, Command::Doctor(queue)) {
            Ok(Reply::Diagnosis(facts, found, missing)) => (facts, found, missing),
            other => panic!("{other:?}"),
        }
    }

    fn found(&mut self, seat: usize) -> Told {
        let (_, found, _) = self.doctor(seat);
        let each = found.into_iter();
        each.map(|one| (one.code.name(), one.group, one.messages))
            .collect()
    }

    fn tell_queue(&mut self, settings: &[(&str, &str)]) {
        let queue = self.engines[0].queue("jobs").unwrap();
        let settings = settings.iter();
        let settings = settings.map(|(key, value)| (key.to_string(), value.to_string()));
        let what = command::Configure::Queue(queue, settings.collect());
        assert!(self.ask(0, Command::Configure(what)).is_ok());
        self.pass(100);
    }
}

fn one(code: &'static str, messages: u64) -> (&'static str, String, u64) {
    (code, String::new(), messages)
}

#[test]
fn each_member_says_what_it_has_and_all_together_what_is_the_matter() {
    let mut ring = Ring::new(3);
    assert_eq!(ring.found(1), [one("empty", 0)]);
    ring.enqueue(0, "one");
    ring.pass(700);
    ring.enqueue(0, "two");
    for seat in 0..3 {
        assert_eq!(ring.found(seat), [one("no_consumer", 2)]);
    }
    let (facts, found, missing) = ring.doctor(2);
    let members: Vec<MemberId> = facts.iter().map(Facts::member).collect();
    assert_eq!(members, [MemberId(1), MemberId(2), MemberId(3)]);
    assert_eq!((facts[0].ready, facts[0].oldest_ms), (2, 700));
    assert_eq!(facts[1].standby + facts[2].standby, 2);
    assert_eq!(facts[1].stranded + facts[2].stranded, 0);
    assert_eq!(
        (found[0].members.clone(), missing),
        (vec![MemberId(1)], vec![])
    );
    let leased = ring.lease(2, 5_000);
    ring.pass(1_000);
    assert_eq!(ring.found(1), [one("no_consumer", 1)]);
    let other = ring.lease(2, 9_000);
    let (facts, found, _) = ring.doctor(1);
    assert_eq!((found[0].code, found[0].messages), (Code::AllLeased, 2));
    assert_eq!(found[0].members, [MemberId(3)]);
    assert_eq!((facts[0].leased, facts[0].next_lease_ms), (2, 4_000));
    assert_eq!(facts[0].lessees(), [MemberId(3)]);
    for handle in [leased.handle, other.handle] {
        assert!(ring.ask(2, Command::Ack(handle)).is_ok());
    }
    let later = Asked {
        delay: Some(9_000),
        ..Asked::default()
    };
    ring.enqueue_with(1, b"later".to_vec(), &[], later);
    let (facts, _, _) = ring.doctor(0);
    assert_eq!((facts[1].delayed, facts[1].next_ready_ms), (1, 9_000));
    assert_eq!(ring.found(0), [one("delayed", 1)]);
    let before: Vec<_> = ring
        .engines
        .iter()
        .map(|engine| engine.stats()["messages"])
        .collect();
    ring.doctor(0);
    let after: Vec<_> = ring
        .engines
        .iter()
        .map(|engine| engine.stats()["messages"])
        .collect();
    assert_eq!(before, after);
}

#[test]
fn subscriptions_say_how_much_more_they_may_be_given() {
    let mut ring = Ring::new(2);
    let queue = ring.engines[1].queue("jobs").unwrap();
    let flow = Flow {
        credit: 2,
        ..Flow::default()
    };
    let group = None;
    assert!(
        ring.ask(1, Command::Subscribe { queue, flow, group })
            .is_ok()
    );
    let (facts, _, _) = ring.doctor(0);
    assert_eq!((facts[1].subscriptions, facts[1].credit), (1, 2));
    for _ in 0..3 {
        ring.enqueue(0, "body");
        ring.pass(10);
    }
    let (facts, _, _) = ring.doctor(0);
    assert_eq!(
        (facts[0].ready, facts[0].leased, facts[1].credit),
        (1, 2, 0)
    );
    assert_eq!(ring.found(0), [one("no_credit", 1)]);
}

#[test]
fn what_the_queue_is_told_is_said_with_the_setting_that_says_it() {
    let mut ring = Ring::new(2);
    ring.enqueue(0, "one");
    let what = command::Configure::Policy("jo".into(), vec![("paused".into(), "both".into())]);
    assert!(ring.ask(0, Command::Configure(what)).is_ok());
    ring.pass(100);
    assert_eq!(ring.found(1), [one("paused_out", 0), one("paused_in", 0)]);
    let (facts, _, _) = ring.doctor(1);
    assert_eq!((facts[1].paused, facts[1].paused_by.as_str()), (3, "jo"));
    ring.tell_queue(&[("paused", "in"), ("messages_max", "1")]);
    let (facts, _, _) = ring.doctor(1);
    assert_eq!((facts[0].paused, facts[0].paused_by.as_str()), (1, ""));
    assert_eq!((facts[0].messages_max, facts[0].is_full), (1, true));
    let wanted = [one("no_consumer", 1), one("paused_in", 0), one("full", 0)];
    assert_eq!(ring.found(1), wanted);
    ring.tell_queue(&[("overflow", "drop_oldest")]);
    assert_eq!(ring.found(1), [one("no_consumer", 1), one("paused_in", 0)]);
}

#[test]
fn a_message_in_the_queue_itself_is_found_beside_those_in_its_groups() {
    let mut ring = Ring::new(2);
    ring.enqueue(0, "one");
    let queue = ring.engines[0].queue("jobs").unwrap();
    let group = InGroup {
        name: "mailer".into(),
        takes_backlog: false,
    };
    assert!(ring.ask(0, Command::CreateGroup(queue, group)).is_ok());
    ring.pass(1_000);
    ring.enqueue(1, "two");
    let wanted = [one("no_group", 1), ("no_consumer", "mailer".into(), 1)];
    assert_eq!(ring.found(1), wanted);
    let (facts, _, _) = ring.doctor(0);
    let groups: Vec<&str> = facts.iter().map(|one| one.group.as_str()).collect();
    assert_eq!(groups, ["", "mailer", "", "mailer"]);
}

#[test]
fn copies_whose_owner_is_gone_and_members_that_are_silent_are_found() {
    let mut ring = Ring::new(2);
    ring.enqueue(0, "one");
    ring.pass(10);
    ring.cut(0, 1);
    let (facts, found, missing) = ring.doctor(1);
    assert_eq!((facts.len(), facts[0].stranded), (1, 1));
    assert_eq!(facts[0].owners(), [MemberId(1)]);
    let codes: Vec<Code> = found.iter().map(|one| one.code).collect();
    assert_eq!(codes, [Code::OwnerUnreachable, Code::MemberMissing]);
    assert_eq!(
        (found[0].messages, found[0].members.clone()),
        (1, vec![MemberId(1)])
    );
    assert_eq!(missing, [MemberId(1)]);
    let mut ring = Ring::new(3);
    ring.deaf.extend([1, 2]);
    let queue = ring.engines[0].queue("jobs").unwrap();
    let ticket = ring.tell(0, Command::Doctor(queue));
    ring.cut(0, 2);
    assert!(!ring.answers.contains_key(&ticket));
    ring.pass(2_000);
    let answer = ring.answers.remove(&ticket).unwrap();
    let Ok(Reply::Diagnosis(facts, _, missing)) = answer else {
        panic!("no diagnosis")
    };
    assert_eq!((facts.len(), missing), (1, vec![MemberId(2), MemberId(3)]));
    assert_eq!(ring.engines[0].stats()["browses_open"], 0);
    for _ in 0..limits::BROWSES_MAX {
        ring.tell(0, Command::Doctor(queue));
    }
    let answer = ring.ask(0, Command::Doctor(queue));
    assert_eq!(answer.unwrap_err().number(), 203);
}

#[test]
fn many_messages_are_looked_through_in_steps() {
    let mut ring = Ring::new(1);
    let count = limits::STEP_MESSAGES_MAX + 9;
    for _ in 0..count {
        ring.enqueue(0, "body");
    }
    let queue = ring.engines[0].queue("jobs").unwrap();
    let ticket = ring.tell(0, Command::Doctor(queue));
    assert!(!ring.answers.contains_key(&ticket));
    ring.pass(1);
    let answer = ring.answers.remove(&ticket).unwrap();
    let Ok(Reply::Diagnosis(facts, ..)) = answer else {
        panic!("no diagnosis")
    };
    assert_eq!(facts[0].ready, count as u64);
    let ticket = ring.tell(0, Command::Doctor(queue));
    ring.give(0, Input::Cancel(ticket));
    assert_eq!(ring.engines[0].stats()["browses_open"], 0);
}
