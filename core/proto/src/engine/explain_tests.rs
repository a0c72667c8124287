//! What members say of a message, wherever it is and whatever became of it.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::test_ring::Ring;
use super::*;
use crate::base::limits;

/// Who says what of a message, in the order of members.
fn told(accounts: &[Account]) -> Vec<(u128, &'static str, &str)> {
    let each = accounts.iter();
    each.map(|one| (one.member.0, one.known.name(), one.group.as_str()))
        .collect()
}

impl Ring {
    fn explain(&mut self, seat: usize, id: MessageId) -> Vec<Account> {
        match self.ask(seat, Command::Explain(id)) {
            Ok(Reply::Accounts(accounts)) => accounts,
            other => panic!("{other:?}"),
        }
    }

    /// The same of one who may know nothing of the copies: by the owner's number of them.
    fn holder_of(&mut self, id: MessageId) -> u128 {
        let accounts = self.explain(0, id);
        let holder = accounts.iter().find(|one| one.known == Known::Standby);
        holder.expect("a holder").member.0
    }
}

#[test]
fn every_member_says_what_a_message_is_to_it() {
    let mut ring = Ring::new(3);
    let id = ring.enqueue(0, "one");
    let holder = ring.holder_of(id);
    let other = 5 - holder;
    for seat in 0..3 {
        let accounts = ring.explain(seat, id);
        let mut wanted = vec![
            (1, "ready", ""),
            (holder, "standby", ""),
            (other, "unknown", ""),
        ];
        wanted.sort_unstable();
        assert_eq!(told(&accounts), wanted);
        let owner = &accounts[0];
        assert_eq!((owner.queue.as_str(), owner.confirmed), ("jobs", 2));
        assert_eq!(owner.holding(), [MemberId(1), MemberId(holder)]);
        assert_eq!(owner.owner(), Some(MemberId(1)));
        assert!(owner.stamp.0 > 0);
    }
    let leased = ring.lease(other as usize - 1, 5_000);
    ring.pass(1_000);
    let accounts = ring.explain(1, id);
    let owner = &accounts[0];
    assert_eq!((owner.known, owner.attempts), (Known::Leased, 1));
    assert_eq!(
        (owner.lessee, owner.lease_ms),
        (Some(MemberId(other)), 4_000)
    );
    assert!(
        ring.ask(other as usize - 1, Command::Ack(leased.handle))
            .is_ok()
    );
    let accounts = ring.explain(2, id);
    let finished = [Known::Acked, Known::Forgotten];
    let of = |member: u128| accounts.iter().find(|one| one.member.0 == member).unwrap();
    assert!(finished.contains(&of(1).known) && finished.contains(&of(holder).known));
}

#[test]
fn a_message_is_explained_in_each_group_and_with_its_dead_letter() {
    let mut ring = Ring::new(2);
    let queue = ring.engines[0].queue("jobs").unwrap();
    for name in ["mailer", "audit"] {
        let group = InGroup {
            name: name.into(),
            takes_backlog: false,
        };
        ring.ask(0, Command::CreateGroup(queue, group)).unwrap();
    }
    ring.pass(1_000);
    let id = ring.enqueue(0, "one");
    let mut accounts = ring.explain(1, id);
    accounts.sort_by_key(|one| (one.member, one.group.to_string()));
    let wanted = [
        (1, "ready", "audit"),
        (1, "ready", "mailer"),
        (2, "standby", "audit"),
        (2, "standby", "mailer"),
    ];
    assert_eq!(told(&accounts), wanted);
    let group = InGroup {
        name: "audit".into(),
        takes_backlog: false,
    };
    let receive = Command::Receive {
        queue,
        max: 1,
        wait: 0,
        lease: None,
        group: Some(group),
    };
    let Ok(Reply::Deliveries(mut leased)) = ring.ask(0, receive) else {
        panic!("nothing was received");
    };
    let reject = Command::Reject(leased.remove(0).handle, "as told".into());
    assert!(ring.ask(0, reject).is_ok());
    ring.pass(1);
    let accounts = ring.explain(1, id);
    let of_owner: Vec<&Account> = accounts.iter().filter(|one| one.member.0 == 1).collect();
    let letter = of_owner
        .iter()
        .find(|one| one.queue == "jobs.dead")
        .unwrap();
    assert_eq!(letter.known, Known::Ready);
    let ended = of_owner.iter().find(|one| one.group == "audit").unwrap();
    assert!(matches!(ended.known, Known::Dead | Known::Forgotten));
}

#[test]
fn who_does_not_answer_is_missing_and_who_gave_up_is_not_answered() {
    let mut ring = Ring::new(3);
    let id = ring.enqueue(0, "one");
    ring.deaf.extend([1, 2]);
    let ticket = ring.tell(0, Command::Explain(id));
    ring.cut(0, 2);
    assert!(!ring.answers.contains_key(&ticket));
    ring.pass(2_000);
    let answer = ring.answers.remove(&ticket).unwrap();
    let Ok(Reply::Accounts(accounts)) = answer else {
        panic!("no accounts")
    };
    let wanted = [(1, "ready", ""), (2, "missing", ""), (3, "missing", "")];
    assert_eq!(told(&accounts), wanted);
    assert_eq!(ring.engines[0].stats()["explains"], 1);
    assert_eq!(ring.engines[0].stats()["browses_open"], 0);
    let mut tickets = Vec::new();
    for _ in 0..limits::BROWSES_MAX {
        tickets.push(ring.tell(0, Command::Explain(id)));
    }
    let answer = ring.ask(0, Command::Explain(id));
    assert_eq!(answer.unwrap_err().number(), 203);
}
