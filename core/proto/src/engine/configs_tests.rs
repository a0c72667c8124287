//! What a queue is told, and does: settings, policies, pauses, purges, a maximum length.

use alloc::string::String;
use alloc::vec::Vec;

use super::command::Configure;
use super::tests::{Bench, number};
use super::*;
use crate::base::{ErrorKind, Millis, limits};
use crate::copies::Asked;

impl Bench {
    fn later(&mut self, ms: Millis) -> Vec<Effect> {
        self.wake(self.now + ms)
    }

    fn tell(&mut self, queue: &str, settings: &[(&str, &str)]) -> u16 {
        let queue = self.engine.queue(queue).unwrap();
        let what = Configure::Queue(queue, pairs(settings));
        number(self.answer(Command::Configure(what)))
    }

    fn policy(&mut self, prefix: &str, settings: &[(&str, &str)]) -> u16 {
        let what = Configure::Policy(prefix.into(), pairs(settings));
        number(self.answer(Command::Configure(what)))
    }

    fn purge(&mut self, queue: &str) {
        let queue = self.engine.queue(queue).unwrap();
        let answer = self.answer(Command::Configure(Configure::Purge(queue)));
        assert_eq!(number(answer), 0);
    }

    fn push(&mut self, queue: &str, body: &str, terms: Asked) -> Answer {
        let queue = self.engine.queue(queue).unwrap();
        let message = NewMessage {
            body: String::from(body).into(),
            headers: None,
        };
        let options = EnqueueOptions {
            terms,
            ..EnqueueOptions::default()
        };
        self.answer(Command::Enqueue {
            queue,
            message,
            options,
        })
    }

    fn push_all(&mut self, queue: &str, bodies: &[&str]) -> Vec<u16> {
        let pushed = bodies.iter();
        pushed
            .map(|body| number(self.push(queue, body, Asked::default())))
            .collect()
    }

    /// Takes what is ready, in its order.
    fn pull(&mut self, queue: &str, lease: Option<Millis>) -> Vec<Leased> {
        let queue = self.engine.queue(queue).unwrap();
        let answer = self.answer(Command::Receive {
            queue,
            max: 100,
            wait: 0,
            lease,
            group: None,
        });
        match answer {
            Ok(Reply::Deliveries(leased)) => leased,
            other => panic!("{other:?}"),
        }
    }

    fn bodies(&mut self, queue: &str) -> Vec<String> {
        let leased = self.pull(queue, None);
        let bodies = leased.iter();
        bodies
            .map(|one| String::from_utf8_lossy(&one.body).into_owned())
            .collect()
    }
}

fn pairs(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = settings.iter();
    pairs
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

const FULL: u16 = ErrorKind::Full.number();
const PAUSED: u16 = ErrorKind::Paused.number();

#[test]
fn settings_change_one_by_one_and_one_without_a_value_is_unset() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.policy("jo", &[("ttl_ms", "9"), ("lease_ms", "70")]),
        0
    );
    assert_eq!(
        bench.tell("jobs", &[("lease_ms", "50"), ("max_attempts", "2")]),
        0
    );
    assert_eq!(bench.tell("jobs", &[("max_attempts", "3")]), 0);
    let has = |bench: &Bench| -> Vec<(String, String)> {
        bench.engine.configuration("jobs").into_iter().collect()
    };
    let all = [("lease_ms", "50"), ("max_attempts", "3"), ("ttl_ms", "9")];
    assert_eq!(has(&bench), pairs(&all));
    assert_eq!(
        bench.tell("jobs", &[("lease_ms", ""), ("max_attempts", "")]),
        0
    );
    assert_eq!(has(&bench), pairs(&[("lease_ms", "70"), ("ttl_ms", "9")]));
    assert_eq!(bench.engine.policies().len(), 1);
    assert_eq!(bench.policy("jo", &[]), 0);
    assert_eq!(
        (has(&bench), bench.engine.policies().len()),
        (Vec::new(), 0)
    );
}

#[test]
fn a_setting_that_is_wrong_changes_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.tell("jobs", &[("copies", "2"), ("lease", "1")]), 101);
    assert_eq!(bench.tell("jobs", &[("copies", "none")]), 101);
    assert_eq!(bench.policy("a\n", &[("copies", "1")]), 101);
    assert!(bench.engine.configuration("jobs").is_empty());
}

#[test]
fn what_a_message_says_itself_is_above_what_its_queue_is_told() {
    let mut bench = Bench::new();
    bench.policy(
        "",
        &[("lease_ms", "50"), ("ttl_ms", "200"), ("max_attempts", "2")],
    );
    bench.later(0);
    let own = Asked {
        ttl: Some(5_000),
        max_attempts: Some(9),
        ..Asked::default()
    };
    bench.push_all("jobs", &["usual"]);
    bench.push("jobs", "own", own).unwrap();
    let first = bench.pull("jobs", None);
    assert_eq!(
        first.iter().map(|one| one.lease).collect::<Vec<_>>(),
        [50, 50]
    );
    bench.later(51);
    assert_eq!(bench.pull("jobs", Some(10)).len(), 2);
    bench.later(11);
    assert_eq!(
        bench.bodies("jobs"),
        ["own"],
        "the other one was given out twice"
    );
    assert_eq!(bench.bodies("jobs.dead"), ["usual"]);
    bench.later(200);
    assert_eq!(
        bench.count("expired"),
        1,
        "the dead letter: its queue is told so, too"
    );
    assert_eq!(bench.bodies("jobs"), ["own"]);
}

#[test]
fn a_queue_made_later_is_told_as_well() {
    let mut bench = Bench::new();
    bench.policy("mail", &[("lease_ms", "77")]);
    bench.push_all("mailer", &["one"]);
    assert_eq!(bench.pull("mailer", None)[0].lease, 77);
}

#[test]
fn a_queue_paused_for_producers_refuses_and_one_for_consumers_gives_nothing() {
    let mut bench = Bench::new();
    bench.push_all("jobs", &["one"]);
    bench.tell("jobs", &[("paused", "in")]);
    assert_eq!(bench.push_all("jobs", &["two"]), [PAUSED]);
    let held = bench.pull("jobs", Some(50));
    assert_eq!(held.len(), 1);
    bench.tell("jobs", &[("paused", "out")]);
    assert_eq!(bench.push_all("jobs", &["two"]), [0]);
    bench.later(51);
    assert!(
        bench.pull("jobs", None).is_empty(),
        "what came back stays, too"
    );
    let queue = bench.engine.queue("jobs").unwrap();
    let (waits, out) = bench.call(Command::Receive {
        queue,
        max: 9,
        wait: 1_000,
        lease: None,
        group: None,
    });
    assert!(out.is_empty());
    let what = Configure::Queue(queue, pairs(&[("paused", "")]));
    let (_, out) = bench.call(Command::Configure(what));
    let is_given = out.iter().any(|effect| {
        matches!(effect, Effect::Reply(ticket, Ok(Reply::Deliveries(leased)))
            if *ticket == waits && leased.len() == 2)
    });
    assert!(is_given, "who waited is served when it goes on: {out:?}");
}

#[test]
fn a_paused_queue_pauses_its_groups() {
    let mut bench = Bench::new();
    let queue = bench.engine.queue("jobs").unwrap();
    let group = || InGroup {
        name: "mailer".into(),
        takes_backlog: false,
    };
    bench.answer(Command::CreateGroup(queue, group())).unwrap();
    bench.push_all("jobs", &["one"]);
    bench.tell("jobs", &[("paused", "both")]);
    let take = |bench: &mut Bench| {
        let answer = bench.answer(Command::Receive {
            queue,
            max: 9,
            wait: 0,
            lease: None,
            group: Some(group()),
        });
        match answer {
            Ok(Reply::Deliveries(leased)) => leased.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(take(&mut bench), 0);
    bench.tell("jobs", &[("paused", "none")]);
    assert_eq!(take(&mut bench), 1);
}

#[test]
fn a_purge_ends_what_is_there_and_nothing_that_comes_after() {
    let mut bench = Bench::new();
    bench.push_all("jobs", &["ready", "leased"]);
    bench.push_all("other", &["other"]);
    let delay = Asked {
        delay: Some(50),
        ..Asked::default()
    };
    bench.push("jobs", "delayed", delay).unwrap();
    let leased = bench.pull("jobs", Some(1_000)).remove(1);
    bench.push_all("jobs", &["ready too"]);
    bench.purge("jobs");
    assert!(bench.pull("jobs", None).is_empty(), "from now on");
    bench.later(0);
    assert_eq!((bench.count("messages"), bench.count("purged")), (1, 4));
    let late = number(bench.answer(Command::Ack(leased.handle)));
    assert_eq!(late, ErrorKind::AlreadyDone.number());
    bench.push_all("jobs", &["after"]);
    bench.purge("elsewhere");
    bench.later(60);
    assert_eq!(bench.bodies("jobs"), ["after"]);
    assert_eq!(bench.bodies("other"), ["other"]);
}

#[test]
fn a_full_queue_refuses_until_something_is_finished() {
    let mut bench = Bench::new();
    bench.tell("jobs", &[("messages_max", "2")]);
    assert_eq!(
        bench.push_all("jobs", &["one", "two", "three"]),
        [0, 0, FULL]
    );
    let mut leased = bench.pull("jobs", None);
    assert_eq!(
        bench.push_all("jobs", &["three"]),
        [FULL],
        "leased ones count"
    );
    bench.answer(Command::Ack(leased.remove(0).handle)).unwrap();
    assert_eq!(bench.push_all("jobs", &["three", "four"]), [0, FULL]);
    bench.tell("jobs", &[("messages_max", ""), ("bytes_max", "10")]);
    assert_eq!(
        bench.push_all("jobs", &["12345"]),
        [FULL],
        "eight are there"
    );
    assert_eq!(bench.push_all("jobs", &["12", "1"]), [0, FULL]);
    assert_eq!(bench.push_all("jobs", &["a body of more than ten"]), [104]);
}

#[test]
fn a_queue_that_drops_its_oldest_keeps_the_newest_of_the_highest_priority() {
    let mut bench = Bench::new();
    bench.tell(
        "jobs",
        &[("messages_max", "3"), ("overflow", "drop_oldest")],
    );
    let high = Asked {
        priority: Some(9),
        ..Asked::default()
    };
    bench.push("jobs", "high", high).unwrap();
    assert_eq!(
        bench.push_all("jobs", &["one", "two", "three", "four"]),
        [0; 4]
    );
    assert_eq!(bench.bodies("jobs"), ["high", "three", "four"]);
    let dead = bench.pull("jobs.dead", None);
    let cause = |leased: &Leased| {
        let headers = leased.headers.clone().unwrap();
        let cause = headers.iter().find(|(key, _)| key == "primer-cause");
        cause.unwrap().1.clone()
    };
    assert_eq!(dead.iter().map(cause).collect::<Vec<_>>(), ["overflow"; 2]);
    assert_eq!(bench.push_all("jobs", &["five"]), [0]);
    assert_eq!(bench.bodies("jobs"), [""; 0], "all that stay are leased");
}

#[test]
fn dead_letters_that_are_too_many_are_dropped_and_counted() {
    let mut bench = Bench::new();
    bench.policy("", &[("messages_max", "1"), ("overflow", "drop_oldest")]);
    bench.later(0);
    bench.push_all("jobs", &["one", "two", "three"]);
    assert_eq!(bench.bodies("jobs"), ["three"]);
    bench.later(0);
    assert_eq!(bench.bodies("jobs.dead"), ["two"]);
    assert_eq!(
        (bench.count("dropped_overflow"), bench.count("dead_letters")),
        (1, 2)
    );
}

#[test]
fn a_lowered_maximum_trims_what_is_there() {
    let mut bench = Bench::new();
    let queue = bench.engine.queue("jobs").unwrap();
    for _ in 0..3 {
        let message = NewMessage {
            body: "x".into(),
            headers: None,
        };
        let messages = alloc::vec![message; limits::BATCH_MAX];
        let options = EnqueueOptions::default();
        let command = Command::EnqueueMany {
            queue,
            messages,
            options,
        };
        assert_eq!(number(bench.answer(command)), 0);
    }
    bench.tell(
        "jobs",
        &[("messages_max", "5"), ("overflow", "drop_oldest")],
    );
    bench.tell(
        "jobs.dead",
        &[("messages_max", "7"), ("overflow", "drop_oldest")],
    );
    (0..9).for_each(|_| drop(bench.later(0)));
    assert_eq!(bench.bodies("jobs").len(), 5);
    assert_eq!(bench.bodies("jobs.dead").len(), 7);
}

#[test]
fn dead_letters_go_where_the_queue_is_told() {
    let mut bench = Bench::new();
    bench.tell("jobs", &[("dead_letters", "morgue"), ("max_attempts", "1")]);
    bench.push_all("jobs", &["one"]);
    assert_eq!(bench.pull("jobs", Some(10)).len(), 1);
    bench.later(11);
    assert_eq!(bench.bodies("morgue"), ["one"]);
    bench.later(limits::LEASE_MS);
    assert_eq!(bench.bodies("morgue"), ["one"], "it has none itself");
}

#[test]
fn a_dead_letter_waits_until_its_queue_takes_it() {
    let mut bench = Bench::new();
    bench.tell("jobs", &[("max_attempts", "1"), ("backoff_ms", "10")]);
    bench.tell("jobs.dead", &[("paused", "in")]);
    bench.push_all("jobs", &["one"]);
    assert_eq!(bench.pull("jobs", Some(10)).len(), 1);
    bench.later(11);
    assert!(bench.pull("jobs", None).is_empty());
    assert_eq!(bench.count("messages_dying"), 1);
    bench.tell("jobs.dead", &[("paused", "none")]);
    bench.later(limits::NACK_MS_MIN + 1);
    assert_eq!(bench.bodies("jobs.dead"), ["one"]);
}

#[test]
fn the_pause_after_a_nack_is_what_the_queue_is_told() {
    let mut bench = Bench::new();
    bench.tell("jobs", &[("backoff_ms", "10"), ("backoff_ms_max", "15")]);
    bench.push_all("jobs", &["one"]);
    for pause in [10, 15, 15] {
        let leased = bench.pull("jobs", None).remove(0);
        bench.answer(Command::Nack(leased.handle, None)).unwrap();
        bench.later(pause - 1);
        assert!(bench.pull("jobs", None).is_empty());
        bench.later(1);
    }
    assert_eq!(bench.pull("jobs", None).len(), 1);
}

#[test]
fn what_is_given_at_most_once_has_one_copy_whatever_its_queue_is_told() {
    let mut bench = Bench::new();
    bench.tell("jobs", &[("copies", "3")]);
    let once = Asked {
        is_at_most_once: true,
        ..Asked::default()
    };
    assert_eq!(number(bench.push("jobs", "one", once)), 0);
}

#[test]
fn two_full_queues_that_are_each_others_dead_letters_come_to_rest() {
    let mut bench = Bench::new();
    for _ in 0..3_000 {
        for queue in ["a", "b"] {
            let queue = bench.engine.queue(queue).unwrap();
            let message = NewMessage {
                body: "x".into(),
                headers: None,
            };
            let options = EnqueueOptions::default();
            bench.call_unaudited(Command::Enqueue {
                queue,
                message,
                options,
            });
        }
    }
    for (queue, other) in [("a", "b"), ("b", "a")] {
        let full = [
            ("dead_letters", other),
            ("messages_max", "10"),
            ("overflow", "drop_oldest"),
        ];
        assert_eq!(bench.tell(queue, &full), 0);
    }
    (0..9).for_each(|_| drop(bench.later(0)));
    assert_eq!(bench.count("messages"), 20);
}
