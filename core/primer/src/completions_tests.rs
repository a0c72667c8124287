//! Late answers: when the host is woken, what it finds, and what a cancelled ticket costs.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::Pending;
use crate::run::waiter::{Slot, Waiter};
use primer_proto::engine::Reply;

/// True when the descriptor can be read, as a host's loop would find out.
fn is_readable(completions: &Completions) -> bool {
    let Bell::Socket { reader, .. } = &completions.shared.bell else {
        return false;
    };
    let mut copy = reader.try_clone().unwrap();
    // Taking the byte away is seen by everyone, so it is put back.
    let mut byte = [0];
    let found = copy.read(&mut byte).is_ok();
    if found {
        completions.shared.bell.ring();
    }
    found
}

fn tickets(completions: &[Completion]) -> Vec<u64> {
    completions.iter().map(|one| one.ticket).collect()
}

fn late(completions: &Completions) -> (Arc<Waiter<()>>, u64) {
    let waiter = Waiter::new(None, crate::queue::done);
    let pending = Pending::later(
        waiter.clone(),
        waiter.clone(),
        crate::pending::tests::nobody(),
    );
    match pending.complete_on(completions).unwrap() {
        Answer::Later(ticket) => (waiter, ticket),
        Answer::Now(()) => panic!("it is not answered yet"),
    }
}

#[test]
fn only_the_step_from_empty_to_not_empty_wakes() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counted = wakes.clone();
    let completions = Completions::with_waker(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(completions.descriptor(), -1);
    let answers = [(); 3].map(|()| late(&completions));
    for (waiter, _) in &answers {
        waiter.resolve(Ok(Reply::Done));
    }
    assert_eq!(wakes.load(Ordering::SeqCst), 1);
    assert_eq!(completions.drain(2).len(), 2);
    let (waiter, _) = late(&completions);
    waiter.resolve(Ok(Reply::Done));
    assert_eq!(wakes.load(Ordering::SeqCst), 1, "one was left");
    assert_eq!(completions.drain(9).len(), 2);
    let (waiter, _) = late(&completions);
    waiter.resolve(Ok(Reply::Done));
    assert_eq!(wakes.load(Ordering::SeqCst), 2);
}

#[test]
fn the_descriptor_is_readable_while_answers_are_there() {
    let completions = Completions::new().unwrap();
    assert!(completions.descriptor() >= 0);
    assert!(!is_readable(&completions));
    let (first, a) = late(&completions);
    let (second, b) = late(&completions);
    assert!(!is_readable(&completions));
    first.resolve(Ok(Reply::Done));
    second.resolve(Err(Error::new(ErrorKind::Closed)));
    assert!(is_readable(&completions));
    assert_eq!(tickets(&completions.drain(1)), [a]);
    assert!(is_readable(&completions), "one is left");
    let rest = completions.drain(9);
    assert_eq!(tickets(&rest), [b]);
    assert_eq!(rest[0].outcome.as_ref().unwrap_err().number(), 501);
    assert!(!is_readable(&completions));
}

#[test]
fn a_bell_that_rings_late_is_stilled_by_the_next_drain() {
    let completions = Completions::new().unwrap();
    completions.shared.bell.ring();
    assert!(completions.drain(9).is_empty());
    assert!(!is_readable(&completions));
}

#[test]
fn a_cancelled_ticket_never_comes() {
    let completions = Completions::new().unwrap();
    let (waiter, ticket) = late(&completions);
    assert!(completions.cancel(ticket));
    waiter.resolve(Ok(Reply::Done));
    assert!(completions.drain(9).is_empty());
    assert!(!completions.cancel(ticket));

    let (waiter, ticket) = late(&completions);
    waiter.resolve(Ok(Reply::Done));
    assert!(!completions.cancel(ticket), "it has come");
    assert_eq!(tickets(&completions.drain(9)), [ticket]);
}

#[test]
fn a_notice_is_queued_once_until_it_is_taken() {
    let completions = Completions::new().unwrap();
    let notice = completions.notice(77);
    notice.raise();
    notice.clone().raise();
    let taken = completions.drain(9);
    assert_eq!(tickets(&taken), [77]);
    assert!(matches!(taken[0].outcome, Ok(Outcome::Ready)));
    notice.raise();
    assert_eq!(tickets(&completions.drain(9)), [77]);
}

#[test]
fn a_thread_in_wait_gets_what_comes_and_ends_when_it_is_closed() {
    let completions = Completions::with_waker(|| ());
    let (waiter, ticket) = late(&completions);
    let hour = Duration::from_secs(3_600);
    let other = completions.clone();
    let thread = std::thread::spawn(move || (other.wait(9, hour), other.wait(9, hour)));
    waiter.resolve(Ok(Reply::Done));
    // The second wait ends by this alone, whether it has begun or not.
    while !completions.shared.state.lock().answers.is_empty() {
        std::thread::yield_now();
    }
    completions.close();
    let (first, second) = thread.join().unwrap();
    assert_eq!(tickets(&first), [ticket]);
    assert!(second.is_empty());
    assert!(completions.wait(9, hour).is_empty());
    assert!(completions.wait(9, Duration::ZERO).is_empty());
}
