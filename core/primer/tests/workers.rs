//! Workers and streams: handlers fail, reject, panic, take longer than their lease, and are drained.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::Stream;
use primer::{
    Delivery, Options, Primer, Queue, ReceiveOptions, Reply, SubscribeOptions, Verdict,
    WorkerOptions,
};

/// Generous: only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(20);

fn lone() -> (Primer, Queue) {
    let primer = Options::default().open_blocking().unwrap();
    let queue = primer.queue("jobs").unwrap();
    (primer, queue)
}

fn one(queue: &Queue, lease: Option<Duration>) -> Delivery {
    let options = ReceiveOptions {
        wait: LIMIT,
        lease,
        ..ReceiveOptions::default()
    };
    let mut got = queue.receive(&options).wait().unwrap();
    got.pop().expect("a message in time")
}

/// Waits until a lease of a second ran out: an event of the engine's, after many of the shorter ones.
fn pass_leases(primer: &Primer) {
    let clock = primer.queue("clock").unwrap();
    clock.enqueue("tick").wait().unwrap();
    one(&clock, Some(Duration::from_secs(1))).keep();
    let tick = one(&clock, None);
    assert_eq!(tick.attempts(), 2);
    tick.ack().unwrap();
}

fn short(concurrency: u32) -> WorkerOptions {
    let subscribe = SubscribeOptions {
        lease: Some(Duration::from_millis(200)),
        ..SubscribeOptions::default()
    };
    WorkerOptions {
        concurrency,
        subscribe,
    }
}

/// A handler that says when it begins, and ends when it is told.
fn waiting() -> (
    impl Fn(&Delivery) -> Verdict + Send + Sync + 'static,
    Receiver<u32>,
    Sender<()>,
) {
    let (begun, begins) = channel();
    let (go, goes) = channel();
    let goes = Mutex::new(goes);
    let handler = move |delivery: &Delivery| {
        begun.send(delivery.attempts()).unwrap();
        goes.lock().unwrap().recv_timeout(LIMIT).unwrap();
        Verdict::Ack
    };
    (handler, begins, go)
}

#[test]
fn a_verdict_settles_and_a_handler_that_fails_or_panics_gets_its_message_again() {
    let (primer, queue) = lone();
    let (seen, sees) = channel();
    let worker = queue.worker(&WorkerOptions::default(), move |delivery| {
        let body = String::from_utf8(delivery.body().to_vec()).unwrap();
        seen.send((body.clone(), delivery.attempts())).unwrap();
        match body.as_str() {
            "no" => Verdict::Reject("as told".into()),
            "panics" if delivery.attempts() == 1 => panic!("as told"),
            "fails" if delivery.attempts() == 1 => Err::<(), _>("not today").into(),
            "later" if delivery.attempts() == 1 => Verdict::Nack(Some(Duration::ZERO)),
            _ => Verdict::Ack,
        }
    });
    let worker = worker.unwrap();
    for body in ["yes", "no", "fails", "panics", "later"] {
        let message = queue.enqueue(body).header("traceparent", "00-ab-cd-01");
        message.wait().unwrap();
    }
    let dead = one(&primer.queue("jobs.dead").unwrap(), None);
    let header = |name: &str| {
        let mut headers = dead.headers().iter();
        headers.find(|(key, _)| key == name).unwrap().1.clone()
    };
    assert_eq!(header("primer-reason"), "as told");
    // The context of a trace goes on, also in a dead letter.
    assert_eq!(header("traceparent"), "00-ab-cd-01");
    dead.ack().unwrap();
    let mut got: Vec<_> = (0..8).map(|_| sees.recv_timeout(LIMIT).unwrap()).collect();
    got.sort();
    let wanted = [
        ("fails", 1),
        ("fails", 2),
        ("later", 1),
        ("later", 2),
        ("no", 1),
        ("panics", 1),
        ("panics", 2),
        ("yes", 1),
    ];
    assert_eq!(got, wanted.map(|(body, attempts)| (body.into(), attempts)));
    assert!(worker.close(Some(LIMIT)));
    assert_eq!(primer.stats().unwrap().get("messages"), 0);
}

#[test]
fn a_handler_may_take_longer_than_its_lease() {
    let (primer, queue) = lone();
    let (handler, begins, go) = waiting();
    let worker = queue.worker(&short(2), handler).unwrap();
    queue.enqueue("slow").wait().unwrap();
    assert_eq!(begins.recv_timeout(LIMIT), Ok(1));
    pass_leases(&primer);
    assert!(begins.try_recv().is_err());
    go.send(()).unwrap();
    assert!(worker.close(Some(LIMIT)));
    assert_eq!(primer.stats().unwrap().get("messages"), 0);
}

#[test]
fn closing_drains_and_gives_back_what_was_not_begun() {
    let (primer, queue) = lone();
    let (handler, begins, go) = waiting();
    let worker = Arc::new(queue.worker(&short(1), handler).unwrap());
    for body in ["1", "2"] {
        queue.enqueue(body).wait().unwrap();
    }
    begins.recv_timeout(LIMIT).unwrap();
    let closing = worker.clone();
    let closing = std::thread::spawn(move || closing.close(Some(LIMIT)));
    let second = one(&queue, Some(LIMIT));
    assert_eq!(second.body().as_ref(), b"2");
    second.ack().unwrap();
    pass_leases(&primer);
    assert!(!closing.is_finished());
    go.send(()).unwrap();
    assert!(closing.join().unwrap());
    assert_eq!(primer.stats().unwrap().get("messages"), 0);
}

#[test]
fn what_a_drain_does_not_wait_for_goes_back_uncounted() {
    let (_primer, queue) = lone();
    let (handler, begins, go) = waiting();
    let worker = queue.worker(&WorkerOptions::default(), handler).unwrap();
    queue.enqueue("long").wait().unwrap();
    begins.recv_timeout(LIMIT).unwrap();
    assert!(!worker.close(Some(Duration::ZERO)));
    assert_eq!(one(&queue, None).attempts(), 1);
    go.send(()).unwrap();
    assert!(worker.join(Some(LIMIT)));
}

#[test]
fn a_worker_ends_with_its_member_and_has_a_handler_at_least() {
    let (primer, queue) = lone();
    let worker = queue.worker(&short(3), |_| Verdict::Ack).unwrap();
    primer.close().wait().unwrap();
    assert!(worker.join(Some(LIMIT)));
    let (_primer, queue) = lone();
    let none = queue.worker(&short(0), |_| Verdict::Ack);
    assert_eq!(none.unwrap_err().number(), 101);
}

struct Unparker(std::thread::Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn next(stream: &mut (impl Stream + Unpin)) -> Poll<()> {
    let waker = Waker::from(Arc::new(Unparker(std::thread::current())));
    Pin::new(stream)
        .poll_next(&mut Context::from_waker(&waker))
        .map(drop)
}

#[test]
fn a_subscription_is_a_stream_that_ends_when_it_is_closed() {
    let (primer, queue) = lone();
    let mut stream = queue.subscribe(&SubscribeOptions::default()).unwrap();
    assert!(next(&mut stream).is_pending());
    queue.enqueue("one").wait().unwrap();
    let waker = Waker::from(Arc::new(Unparker(std::thread::current())));
    let got = loop {
        match Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(got) => break got.unwrap().unwrap(),
            Poll::Pending => std::thread::park_timeout(LIMIT),
        }
    };
    assert_eq!(got.body().as_ref(), b"one");
    got.ack().unwrap();
    primer.close().wait().unwrap();
    let end = Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker));
    assert!(matches!(end, Poll::Ready(None)));
}

#[test]
fn what_a_handler_returns_is_the_reply_of_whoever_called() {
    let (primer, queue) = lone();
    let worker = queue
        .worker(&short(2), |delivery| match &delivery.body()[..] {
            b"" => Err("nothing to double"),
            body => Ok(Reply::from(body.repeat(2))),
        })
        .unwrap();
    let calls: Vec<_> = ["a", "b", "c"].map(|body| queue.call(body).start()).into();
    let bodies = calls.into_iter().map(|call| call.wait().unwrap().body);
    assert_eq!(bodies.collect::<Vec<_>>(), ["aa", "bb", "cc"]);
    // Nobody waits for this one.
    queue.enqueue("d").wait().unwrap();
    let failed = queue.call("").timeout(Duration::from_millis(50)).wait();
    assert_eq!(failed.unwrap_err().number(), 302);
    assert!(worker.close(None));
    assert_eq!(primer.stats().unwrap().get("replies"), 3);
    drop(queue.call("given up").start());
    assert_eq!(primer.stats().unwrap().get("calls"), 0);
}
