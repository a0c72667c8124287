//! Calls at one member: who is answered, with what, and when not.

use alloc::string::String;
use alloc::vec::Vec;

use super::tests::{Bench, number};
use super::*;
use crate::base::{Millis, limits};
use crate::copies::Asked;

const PATIENCE: Millis = 1_000;

impl Bench {
    fn begin(&mut self, body: &'static str, options: EnqueueOptions) -> (Ticket, Vec<Effect>) {
        let queue = self.engine.queue("jobs").unwrap();
        let message = NewMessage {
            body: body.into(),
            headers: None,
        };
        self.call(Command::Call(NewCall {
            queue,
            message,
            options,
            timeout: PATIENCE,
        }))
    }

    fn ask(&mut self, body: &'static str) -> Ticket {
        let (ticket, out) = self.begin(body, EnqueueOptions::default());
        assert!(
            answers(&out).is_empty(),
            "a receipt is no news to the caller"
        );
        ticket
    }

    fn handle(&mut self) -> (Handle, Option<ReplyTo>) {
        let queue = self.engine.queue("jobs").unwrap();
        let answer = self.answer(Command::Receive {
            queue,
            max: 1,
            wait: 0,
            lease: Some(PATIENCE * 10),
            group: None,
        });
        match answer {
            Ok(Reply::Deliveries(mut leased)) => {
                let leased = leased.pop().unwrap();
                let headers = leased.headers.unwrap_or_default();
                (leased.handle, ReplyTo::of(&headers))
            }
            other => panic!("{other:?}"),
        }
    }

    fn respond(
        &mut self,
        (handle, to): &(Handle, Option<ReplyTo>),
        body: &'static str,
    ) -> (Ticket, Vec<Effect>) {
        let response = Response {
            body: body.into(),
            headers: None,
        };
        let (handle, to) = (handle.clone(), *to);
        self.call(Command::Respond(handle, to, response))
    }
}

/// Who was answered, with a reply's body or an error's number.
fn answers(out: &[Effect]) -> Vec<(Ticket, String)> {
    let answers = out.iter().filter_map(|effect| match effect {
        Effect::Reply(ticket, Ok(Reply::Response(response))) => {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            Some((*ticket, body))
        }
        Effect::Reply(ticket, Ok(_)) => Some((*ticket, "ok".into())),
        Effect::Reply(ticket, Err(error)) => Some((*ticket, alloc::format!("{}", error.number()))),
        _ => None,
    });
    answers.collect()
}

#[test]
fn a_reply_answers_its_call_and_finishes_the_message() {
    let mut bench = Bench::new();
    let (one, two) = (bench.ask("one"), bench.ask("two"));
    let (first, second) = (bench.handle(), bench.handle());
    let (ticket, out) = bench.respond(&second, "re two");
    assert_eq!(
        answers(&out),
        [(two, "re two".into()), (ticket, "ok".into())]
    );
    let (ticket, out) = bench.respond(&first, "re one");
    assert_eq!(
        answers(&out),
        [(one, "re one".into()), (ticket, "ok".into())]
    );
    assert_eq!((bench.count("messages"), bench.count("calls")), (0, 0));
    assert!(answers(&bench.wake(PATIENCE * 2)).is_empty());
}

#[test]
fn the_first_reply_is_the_callers_and_later_ones_are_counted() {
    let mut bench = Bench::new();
    let call = bench.ask("one");
    let first = bench.handle();
    let nacked = bench.answer(Command::Nack(first.0.clone(), Some(0)));
    assert_eq!(number(nacked), 0);
    let again = bench.handle();
    let (_, out) = bench.respond(&again, "second try");
    assert!(answers(&out).contains(&(call, "second try".into())));
    let (ticket, out) = bench.respond(&first, "first try, late");
    assert_eq!(answers(&out), [(ticket, "402".into())]);
    assert_eq!(bench.count("replies_dropped"), 1);
}

#[test]
fn a_call_without_a_reply_is_in_doubt_and_its_message_expires() {
    let mut bench = Bench::new();
    let call = bench.ask("one");
    assert!(answers(&bench.wake(PATIENCE - 1)).is_empty());
    assert_eq!(
        answers(&bench.wake(PATIENCE)),
        [(call, String::from("302"))]
    );
    assert_eq!((bench.count("messages"), bench.count("expired")), (0, 1));
    assert_eq!(bench.count("calls_unanswered"), 1);
}

#[test]
fn a_message_with_a_life_of_its_own_outlives_its_call() {
    let mut bench = Bench::new();
    let options = EnqueueOptions {
        terms: Asked {
            ttl: Some(PATIENCE * 5),
            ..Asked::default()
        },
        ..EnqueueOptions::default()
    };
    bench.begin("one", options);
    bench.wake(PATIENCE);
    let late = bench.handle();
    let (ticket, out) = bench.respond(&late, "late");
    assert_eq!(answers(&out), [(ticket, "ok".into())]);
    assert_eq!(bench.count("replies_dropped"), 1);
}

#[test]
fn who_gave_up_is_not_answered() {
    let mut bench = Bench::new();
    let call = bench.ask("one");
    let taken = bench.handle();
    bench.cancel(call);
    let (ticket, out) = bench.respond(&taken, "nobody waits");
    assert_eq!(answers(&out), [(ticket, "ok".into())]);
    assert!(answers(&bench.wake(PATIENCE * 2)).is_empty());
}

#[test]
fn what_cannot_be_replied_to_stays_on_lease() {
    let mut bench = Bench::new();
    bench.ask("one");
    let taken = bench.handle();
    let (ticket, out) = bench.respond(&(taken.0.clone(), None), "for nobody");
    assert_eq!(answers(&out), [(ticket, "101".into())]);
    let large = Response {
        body: alloc::vec![0; limits::BODY_BYTES_MAX + 1].into(),
        headers: None,
    };
    let answer = bench.answer(Command::Respond(taken.0.clone(), taken.1, large));
    assert_eq!(number(answer), 104);
    assert_eq!(bench.count("messages_leased"), 1);
    // One that names another life of this member, or another member, reaches nobody.
    for to in [(MemberId(1), BootId(9)), (MemberId(9), BootId(1))] {
        let (member, boot) = to;
        let number = taken.1.unwrap().number;
        bench.respond(
            &(
                taken.0.clone(),
                Some(ReplyTo {
                    member,
                    boot,
                    number,
                }),
            ),
            "to another",
        );
    }
    assert_eq!(
        (bench.count("replies_dropped"), bench.count("calls")),
        (2, 1)
    );
}

#[test]
fn a_call_that_cannot_be_enqueued_ends_at_once() {
    let mut bench = Bench::new();
    let options = EnqueueOptions {
        if_no_group: IfNoGroup::Drop,
        ..EnqueueOptions::default()
    };
    let (ticket, out) = bench.begin("one", options);
    assert_eq!(answers(&out), [(ticket, "102".into())]);
    let options = EnqueueOptions {
        copies: Some(0),
        ..EnqueueOptions::default()
    };
    let (ticket, out) = bench.begin("one", options);
    assert_eq!(answers(&out), [(ticket, "101".into())]);
    let queue = bench.engine.queue("jobs").unwrap();
    for timeout in [0, limits::WAIT_MS_MAX + 1] {
        let answer = bench.answer(Command::Call(NewCall {
            queue,
            message: NewMessage::default(),
            options: EnqueueOptions::default(),
            timeout,
        }));
        assert_eq!(number(answer), 101);
    }
    assert_eq!((bench.count("calls"), bench.count("messages")), (0, 0));
}

#[test]
fn so_many_calls_wait_at_one_member_and_not_one_more() {
    let mut bench = Bench::new();
    let queue = bench.engine.queue("jobs").unwrap();
    for _ in 0..limits::CALLS_MAX {
        bench.call_unaudited(Command::Call(NewCall {
            queue,
            message: NewMessage::default(),
            options: EnqueueOptions::default(),
            timeout: PATIENCE,
        }));
    }
    let (ticket, out) = bench.begin("one more", EnqueueOptions::default());
    assert_eq!(answers(&out), [(ticket, "201".into())]);
}
