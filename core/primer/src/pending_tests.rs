//! One late answer and everyone who may want it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;
use crate::run::driver::Driver;
use primer_proto::base::{BootId, ClusterId, MemberId, StoreId};
use primer_proto::engine::{Config, Engine, Reply};

/// An origin that nothing happens at.
pub(crate) fn nobody() -> Origin {
    let config = Config::new(ClusterId(1), MemberId(2), BootId(3), StoreId(4));
    let (orders, _) = tokio::sync::mpsc::unbounded_channel();
    Origin::Session(Driver::new(
        |now| Engine::new(config, now),
        orders,
        None,
        None,
    ))
}

fn late() -> (Arc<Waiter<()>>, Pending<()>) {
    let waiter = Waiter::new(None, crate::queue::done);
    let pending = Pending::later(waiter.clone(), waiter.clone(), nobody());
    (waiter, pending)
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_task_is_woken_once_and_finds_the_answer() {
    let (waiter, mut pending) = late();
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(bell.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut pending).poll(&mut cx).is_pending());
    assert!(Pin::new(&mut pending).poll(&mut cx).is_pending());
    assert_eq!(bell.0.load(Ordering::SeqCst), 0);
    waiter.resolve(Ok(Reply::Done));
    waiter.resolve(Err(Error::new(ErrorKind::Closed)));
    assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    assert_eq!(Pin::new(&mut pending).poll(&mut cx), Poll::Ready(Ok(())));
}

#[test]
fn the_last_task_that_asked_is_woken() {
    let (waiter, mut pending) = late();
    let bells = [Arc::<Bell>::default(), Arc::<Bell>::default()];
    for bell in &bells {
        let waker = Waker::from(bell.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut pending).poll(&mut cx).is_pending());
    }
    waiter.resolve(Ok(Reply::Done));
    assert_eq!(bells.map(|bell| bell.0.load(Ordering::SeqCst)), [0, 1]);
}

#[test]
fn a_blocked_thread_is_woken() {
    let (waiter, pending) = late();
    let thread = std::thread::spawn(move || pending.wait());
    waiter.resolve(Ok(Reply::Done));
    assert_eq!(thread.join().unwrap(), Ok(()));
}

#[test]
fn a_wait_that_was_too_short_can_go_on() {
    let (waiter, mut pending) = late();
    assert_eq!(pending.ready(), None);
    assert_eq!(pending.wait_for(Duration::from_millis(1)), None);
    assert_eq!(pending.wait_for(Duration::ZERO), None);
    waiter.resolve(Ok(Reply::Done));
    assert_eq!(pending.wait_for(Duration::MAX), Some(Ok(())));
}

#[test]
fn an_answer_is_given_once() {
    let mut pending = Pending::here(Ok(1));
    assert_eq!(pending.ready(), Some(Ok(1)));
    assert_eq!(pending.ready().unwrap().unwrap_err().number(), 101);
    assert_eq!(pending.wait().unwrap_err().number(), 101);
}

#[test]
fn another_verbs_reply_is_an_internal_error() {
    let (waiter, pending) = late();
    waiter.resolve(Ok(Reply::Codes(Vec::new())));
    assert_eq!(pending.wait().unwrap_err().number(), 599);
}

#[test]
fn an_abandoned_waiter_refuses_its_answer() {
    let (waiter, pending) = late();
    drop(pending);
    assert!(waiter.put(|| panic!("nobody wants it")).is_none());
}

#[test]
fn an_answer_that_is_here_needs_no_ticket() {
    let completions = Completions::new().unwrap();
    let (waiter, pending) = late();
    waiter.resolve(Ok(Reply::Done));
    let answer = pending.complete_on(&completions).unwrap();
    assert!(matches!(answer, Answer::Now(())));
    let error = Pending::<()>::here(Err(Error::new(ErrorKind::Full)));
    assert_eq!(error.complete_on(&completions).unwrap_err().number(), 201);
    assert!(completions.drain(9).is_empty());
}

#[test]
fn a_waker_that_panics_harms_nobody_else() {
    struct Rude;
    impl Wake for Rude {
        fn wake(self: Arc<Self>) {
            panic!("planted");
        }
    }
    let primer = crate::Primer::start(crate::Options::default()).unwrap();
    let queue = primer.queue("jobs").unwrap();
    let long = crate::ReceiveOptions {
        wait: Duration::from_secs(3_600),
        ..crate::ReceiveOptions::default()
    };
    let waker = Waker::from(Arc::new(Rude));
    let mut rude = queue.receive(&long);
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut rude).poll(&mut cx).is_pending());
    let other = queue.receive(&long);
    primer.close().wait().unwrap();
    assert_eq!(other.wait().unwrap_err().number(), 501);
    assert_eq!(rude.wait().unwrap_err().number(), 501);
}
