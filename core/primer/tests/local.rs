//! One member in memory: the verbs, their answers in every form, and the end of everything.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::{LIMIT, block_on, lone, peek, receive, until};
use primer::{
    Answer, Bytes, Completion, Completions, EnqueueOptions, Outcome, Pending, Primer,
    ReceiveOptions, SubscribeOptions,
};

fn long() -> ReceiveOptions {
    ReceiveOptions {
        wait: Duration::from_secs(3_600),
        ..ReceiveOptions::default()
    }
}

#[test]
fn a_message_is_received_with_all_that_was_given_and_gone_after_its_ack() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let receipt = queue
        .enqueue("one")
        .header("kind", "letter")
        .header("kind", "card")
        .wait()
        .unwrap();
    assert_eq!((receipt.copies, receipt.wanted), (1, 1));

    let delivery = receive(&queue);
    assert_eq!(delivery.id(), receipt.id);
    assert_eq!(delivery.body(), &Bytes::from_static(b"one"));
    assert_eq!(delivery.attempts(), 1);
    assert_eq!(delivery.queue().name(), "jobs");
    let header = |value: &str| ("kind".to_string(), value.to_string());
    assert_eq!(delivery.headers(), [header("letter"), header("card")]);
    assert!(peek(&queue).is_empty(), "it is leased");

    delivery.ack().unwrap();
    assert_eq!(delivery.ack().unwrap_err().number(), 402);
    drop(delivery);
    assert!(peek(&queue).is_empty());
}

#[test]
fn the_local_case_is_answered_at_once() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let mut receipt = queue.enqueue("one").start();
    assert!(receipt.ready().unwrap().is_ok());
    let mut deliveries = queue.receive(&long());
    let deliveries = deliveries.ready().unwrap().unwrap();
    assert_eq!(deliveries.len(), 1);
    assert!(deliveries[0].nack(Some(Duration::ZERO)).ready().is_some());
}

#[test]
fn a_delivery_that_is_dropped_goes_back_uncounted() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    queue.enqueue("one").wait().unwrap();
    drop(receive(&queue));
    let again = receive(&queue);
    assert_eq!(again.attempts(), 1);
    again.keep();
    assert!(peek(&queue).is_empty(), "its lease runs on");
}

#[test]
fn batches_are_received_and_acked_in_one_call_each() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let bodies: Vec<Bytes> = (0_u8..10).map(|i| Bytes::copy_from_slice(&[i])).collect();
    let receipts = queue
        .enqueue_many(bodies, &EnqueueOptions::default())
        .wait()
        .unwrap();
    assert_eq!(receipts.len(), 10);
    let options = ReceiveOptions {
        max: 10,
        ..ReceiveOptions::default()
    };
    let deliveries = queue.receive(&options).wait().unwrap();
    let ids: Vec<_> = deliveries.iter().map(primer::Delivery::id).collect();
    assert_eq!(ids, receipts.iter().map(|one| one.id).collect::<Vec<_>>());
    let all: Vec<_> = deliveries.iter().collect();
    assert_eq!(queue.ack_many(&all).unwrap(), vec![0; 10]);
    assert_eq!(queue.ack_many(&all[..2]).unwrap(), vec![402; 2]);
    let too_many = vec![all[0]; primer::limits::BATCH_MAX + 1];
    assert_eq!(queue.ack_many(&too_many).unwrap_err().number(), 104);
}

#[test]
fn arguments_out_of_range_are_refused() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let other = primer.queue("others").unwrap();
    let receive = |max| ReceiveOptions {
        max,
        ..ReceiveOptions::default()
    };
    let number = |max| queue.receive(&receive(max)).wait().unwrap_err().number();
    assert_eq!(number(0), 101);
    assert_eq!(number(primer::limits::BATCH_MAX + 1), 101);
    let many = vec![Bytes::new(); primer::limits::BATCH_MAX + 1];
    let refused = queue.enqueue_many(many, &EnqueueOptions::default()).wait();
    assert_eq!(refused.unwrap_err().number(), 104);
    let large = vec![0; primer::limits::BODY_BYTES_MAX + 1];
    assert_eq!(queue.enqueue(large).wait().unwrap_err().number(), 104);
    for name in ["", "a\nb", &"q".repeat(256)] {
        assert_eq!(primer.queue(name).unwrap_err().number(), 101);
    }
    queue.enqueue("one").wait().unwrap();
    let delivery = common::receive(&queue);
    assert_eq!(other.ack(&delivery).unwrap_err().number(), 101);
    primer.queue("jobs").unwrap().ack(&delivery).unwrap();
}

#[test]
fn any_executor_can_drive_the_futures() {
    let primer = block_on(primer::Options::default().open()).unwrap();
    let queue = primer.queue("jobs").unwrap();
    let giver = queue.clone();
    let thread = std::thread::spawn(move || {
        for _ in 0..100 {
            block_on(async { giver.enqueue("one").await.unwrap() });
        }
    });
    for _ in 0..100 {
        let deliveries = block_on(queue.receive(&long())).unwrap();
        deliveries[0].ack().unwrap();
    }
    thread.join().unwrap();
    block_on(primer.close()).unwrap();
}

#[test]
fn a_waiting_receive_that_is_dropped_takes_no_message() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let dropped = queue.receive(&long());
    let cancelled = queue.receive(&long());
    let completions = Completions::new().unwrap();
    let Answer::Later(ticket) = cancelled.complete_on(&completions).unwrap() else {
        panic!("nothing is there")
    };
    assert_eq!(primer.stats().unwrap().get("waiters"), 2);
    drop(dropped);
    assert!(completions.cancel(ticket));
    assert_eq!(primer.stats().unwrap().get("waiters"), 0);
    queue.enqueue("one").wait().unwrap();
    assert_eq!(receive(&queue).attempts(), 1);
    assert!(completions.drain(9).is_empty());
}

#[test]
fn an_answer_that_came_and_was_not_read_gives_its_messages_back() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let unread = queue.receive(&long());
    queue.enqueue("one").wait().unwrap();
    assert!(peek(&queue).is_empty(), "it is leased to the waiting one");
    drop(unread);
    assert_eq!(receive(&queue).attempts(), 1);
}

#[test]
fn late_answers_come_through_completions_each_once() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let completions = Completions::with_waker(|| ());
    let mut tickets = Vec::new();
    for _ in 0..3 {
        match queue.receive(&long()).complete_on(&completions).unwrap() {
            Answer::Later(ticket) => tickets.push(ticket),
            Answer::Now(_) => panic!("nothing is there"),
        }
    }
    for body in ["a", "b", "c"] {
        queue.enqueue(body).wait().unwrap();
    }
    let mut got = Vec::new();
    while got.len() < 3 {
        for Completion { ticket, outcome } in completions.wait(9, LIMIT) {
            let Ok(Outcome::Deliveries(deliveries)) = outcome else {
                panic!("a receive answers deliveries")
            };
            deliveries[0].ack().unwrap();
            got.push(ticket);
        }
    }
    got.sort_unstable();
    assert_eq!(got, tickets);
    assert!(completions.drain(9).is_empty());
    assert!(peek(&queue).is_empty());
}

#[test]
fn a_subscription_is_filled_up_to_its_credit() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    for i in 0_u8..5 {
        queue.enqueue(vec![i]).wait().unwrap();
    }
    let options = SubscribeOptions {
        credit: 2,
        ..SubscribeOptions::default()
    };
    let subscription = queue.subscribe(&options).unwrap();
    let first = subscription.take(9).unwrap();
    assert_eq!(first.len(), 2);
    assert!(subscription.take(9).unwrap().is_empty());
    first[0].ack().unwrap();
    let third = subscription.next().wait().unwrap();
    assert_eq!(third.body().as_ref(), [2]);
    subscription.credit(1).unwrap();
    let fourth = subscription.next_batch(9, LIMIT).unwrap();
    assert_eq!(fourth.len(), 1);
    assert!(
        subscription
            .next_batch(9, Duration::ZERO)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn waiting_takers_of_a_subscription_are_served_in_order_and_end_with_it() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let subscription = queue.subscribe(&SubscribeOptions::default()).unwrap();
    let first = subscription.next();
    drop(subscription.next());
    let second = subscription.next();
    let never = subscription.next();
    queue.enqueue("1").wait().unwrap();
    queue.enqueue("2").wait().unwrap();
    let (first, second) = (first.wait().unwrap(), second.wait().unwrap());
    assert_eq!(
        (first.body().as_ref(), second.body().as_ref()),
        (&b"1"[..], &b"2"[..])
    );
    subscription.close();
    subscription.close();
    assert_eq!(never.wait().unwrap_err().number(), 501);
    assert_eq!(subscription.take(1).unwrap_err().number(), 501);
    assert_eq!(subscription.next().wait().unwrap_err().number(), 501);
    assert_eq!(subscription.credit(1).unwrap_err().number(), 501);
}

#[test]
fn a_closed_subscription_gives_back_what_was_not_taken() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    for body in ["taken", "not taken"] {
        queue.enqueue(body).wait().unwrap();
    }
    let subscription = queue.subscribe(&SubscribeOptions::default()).unwrap();
    let taken = subscription.take(1).unwrap().remove(0);
    drop(subscription);
    assert_eq!(receive(&queue).body().as_ref(), b"not taken");
    assert_eq!(taken.body().as_ref(), b"taken");
    taken.ack().unwrap();
}

#[test]
fn an_abandoned_subscription_gives_back_everything() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    for body in ["taken", "not taken"] {
        queue.enqueue(body).wait().unwrap();
    }
    let subscription = queue.subscribe(&SubscribeOptions::default()).unwrap();
    let taken = subscription.take(1).unwrap().remove(0);
    subscription.abandon();
    let all = ReceiveOptions {
        max: 9,
        ..ReceiveOptions::default()
    };
    let back = queue.receive(&all).wait().unwrap();
    assert_eq!(back.len(), 2);
    drop(taken);
}

#[test]
fn readiness_is_told_when_a_subscription_fills_and_when_it_ends() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let subscription = queue.subscribe(&SubscribeOptions::default()).unwrap();
    let completions = Completions::with_waker(|| ());
    subscription.notify(&completions, 7);
    let ready = || {
        completions
            .drain(9)
            .iter()
            .map(|one| one.ticket)
            .collect::<Vec<_>>()
    };
    assert!(ready().is_empty());
    queue.enqueue("1").wait().unwrap();
    queue.enqueue("2").wait().unwrap();
    assert_eq!(ready(), [7]);
    for delivery in subscription.take(9).unwrap() {
        delivery.ack().unwrap();
    }
    queue.enqueue("3").wait().unwrap();
    assert_eq!(ready(), [7]);
    subscription.close();
    assert_eq!(ready(), [7]);
}

#[test]
fn closing_answers_everyone_who_waits_and_refuses_what_comes_later() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    queue.enqueue("one").wait().unwrap();
    let delivery = receive(&queue);
    let subscription = queue.subscribe(&SubscribeOptions::default()).unwrap();
    let events = primer.events();
    let completions = Completions::with_waker(|| ());
    let waiting = queue.receive(&long());
    let next = subscription.next();
    let event = events.next();
    let Answer::Later(ticket) = queue.receive(&long()).complete_on(&completions).unwrap() else {
        panic!("nothing is there")
    };
    let thread = {
        let queue = queue.clone();
        std::thread::spawn(move || queue.receive(&long()).wait())
    };
    until("the thread waits", || {
        primer.stats().unwrap().get("waiters") == 3
    });

    assert!(!primer.is_closed());
    primer.close().wait().unwrap();
    assert!(primer.is_closed());

    assert_eq!(waiting.wait().unwrap_err().number(), 501);
    assert_eq!(next.wait().unwrap_err().number(), 501);
    assert_eq!(event.wait().unwrap_err().number(), 501);
    assert_eq!(thread.join().unwrap().unwrap_err().number(), 501);
    let late = completions.drain(9);
    assert_eq!(late[0].ticket, ticket);
    assert_eq!(late[0].outcome.as_ref().unwrap_err().number(), 501);
    assert_eq!(queue.enqueue("two").wait().unwrap_err().number(), 501);
    assert_eq!(queue.receive(&long()).wait().unwrap_err().number(), 501);
    assert_eq!(delivery.ack().unwrap_err().number(), 501);
    assert_eq!(primer.queue("x").unwrap_err().number(), 501);
    assert_eq!(primer.members().unwrap_err().number(), 501);
    assert_eq!(primer.stats().unwrap_err().number(), 501);
    assert_eq!(primer.leave(None, true).wait().unwrap_err().number(), 501);
    assert_eq!(subscription.take(1).unwrap_err().number(), 501);
    let refused = queue.subscribe(&SubscribeOptions::default());
    assert_eq!(refused.unwrap_err().number(), 501);
    drop((delivery, subscription, events));
    primer.close().wait().unwrap();
}

#[test]
fn a_member_is_closed_from_many_threads_at_once() {
    let primer = lone();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let primer = primer.clone();
            std::thread::spawn(move || primer.close().wait())
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
}

#[test]
fn the_last_clone_closes_and_a_queue_alone_does_not_keep_a_member_open() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let clone = primer.clone();
    drop(primer);
    queue.enqueue("one").wait().unwrap();
    drop(clone);
    assert_eq!(queue.enqueue("two").wait().unwrap_err().number(), 501);
}

/// A waker that blocks, as a host should not.
struct Rude {
    primer: Primer,
    seen: Mutex<Vec<u16>>,
    calls: AtomicUsize,
}

impl Wake for Rude {
    fn wake(self: Arc<Self>) {
        let queue = self.primer.queue("other").unwrap();
        let waited = queue.receive(&long()).wait();
        let subscription = queue.subscribe(&SubscribeOptions::default()).unwrap();
        let next = subscription.next_batch(1, LIMIT);
        let numbers = [waited.unwrap_err().number(), next.unwrap_err().number()];
        self.seen.lock().unwrap().extend(numbers);
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn blocking_on_a_thread_of_primers_is_refused() {
    let primer = lone();
    let queue = primer.queue("jobs").unwrap();
    let rude = Arc::new(Rude {
        primer: primer.clone(),
        seen: Mutex::default(),
        calls: AtomicUsize::new(0),
    });
    // Nothing comes, so the answer is brought by the member's own timer, on its own thread.
    let mut empty: Pending<_> = queue.receive(&ReceiveOptions {
        wait: Duration::from_millis(5),
        ..ReceiveOptions::default()
    });
    let waker = Waker::from(rude.clone());
    let polled = std::pin::Pin::new(&mut empty).poll_once(&waker);
    assert!(polled.is_pending());
    until("the waker was called", || {
        rude.calls.load(Ordering::SeqCst) == 1
    });
    assert_eq!(*rude.seen.lock().unwrap(), [106, 106]);
    assert!(empty.ready().unwrap().unwrap().is_empty());
}

trait PollOnce: Future {
    fn poll_once(self: std::pin::Pin<&mut Self>, waker: &Waker) -> std::task::Poll<Self::Output> {
        self.poll(&mut Context::from_waker(waker))
    }
}

impl<F: Future> PollOnce for F {}

#[test]
fn queues_whose_handles_are_dropped_are_forgotten_where_memory_is_short_and_others_go_on() {
    let options = primer::Options::from_pairs([("memory_bytes_max", "100000")]).unwrap();
    let primer = options.open_blocking().unwrap();
    let kept = primer.queue("kept").unwrap();
    for number in 0..50 {
        let queue = primer.queue(&format!("user/{number}")).unwrap();
        queue.enqueue("hello").wait().unwrap();
        receive(&queue).ack().unwrap();
    }
    let known = || primer.stats().unwrap().get("queues");
    assert_eq!(known(), 51);
    // A delivery keeps its queue, also when nobody has another handle.
    let delivery = {
        let queue = primer.queue("at work").unwrap();
        queue.enqueue("long").wait().unwrap();
        receive(&queue)
    };
    let full = primer.queue("full").unwrap();
    full.enqueue(vec![0; 90_000]).wait().unwrap();
    until("idle queues are forgotten", || known() == 3);
    kept.enqueue("still there").wait().unwrap();
    receive(&kept).ack().unwrap();
    delivery.ack().unwrap();
    let again = primer.queue("user/7").unwrap();
    assert!(peek(&again).is_empty());
}
