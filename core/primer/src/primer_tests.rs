//! A member whose engine failed, and one that a fork left behind.

use super::*;
use crate::{Bytes, ReceiveOptions, SubscribeOptions};

#[test]
fn handles_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Primer>();
    shared::<Queue>();
    shared::<crate::Subscription>();
    shared::<crate::Delivery>();
    shared::<crate::Completions>();
    shared::<Events>();
    sent::<Pending<Vec<crate::Delivery>>>();
    sent::<crate::Enqueue>();
}

#[test]
fn a_panic_in_the_engine_closes_its_member_and_nothing_else() {
    let broken = Primer::start(Options::default()).unwrap();
    let sound = Primer::start(Options::default()).unwrap();
    let queue = broken.queue("jobs").unwrap();
    let events = broken.events();
    let waiting = queue.receive(&ReceiveOptions {
        wait: Duration::from_secs(3_600),
        ..ReceiveOptions::default()
    });
    let subscription = queue.subscribe(&SubscribeOptions::default()).unwrap();
    let next = subscription.next();

    assert_eq!(broken.driver().ask_to_panic().number(), 599);

    assert_eq!(waiting.wait().unwrap_err().number(), 599);
    assert_eq!(next.wait().unwrap_err().number(), 599);
    assert_eq!(events.next().wait().unwrap_err().number(), 599);
    assert_eq!(queue.enqueue("late").wait().unwrap_err().number(), 599);
    assert_eq!(broken.stats().unwrap_err().number(), 599);
    assert!(broken.is_closed());
    broken.close().wait().unwrap();

    assert!(!sound.is_closed());
    let queue = sound.queue("jobs").unwrap();
    queue.enqueue(Bytes::from_static(b"one")).wait().unwrap();
    sound.close().wait().unwrap();
}

#[test]
fn a_forgotten_member_answers_without_its_locks() {
    let primer = Primer::start(Options::default()).unwrap();
    let queue = primer.queue("jobs").unwrap();
    queue.enqueue("one").wait().unwrap();
    let delivery = queue
        .receive(&ReceiveOptions::default())
        .wait()
        .unwrap()
        .remove(0);
    let pending = queue.receive(&ReceiveOptions {
        wait: Duration::from_secs(3_600),
        ..ReceiveOptions::default()
    });
    let subscription = queue.subscribe(&SubscribeOptions::default()).unwrap();
    let events = primer.events();
    // As in a child of fork: another thread had the lock, and does not exist here.
    primer.driver().with_locked(|| {
        primer.forget();
        assert_eq!(queue.enqueue("two").wait().unwrap_err().number(), 501);
        assert_eq!(delivery.ack().unwrap_err().number(), 501);
        assert_eq!(primer.members().unwrap_err().number(), 501);
        assert_eq!(primer.stats().unwrap_err().number(), 501);
        assert_eq!(primer.queue("x").unwrap_err().number(), 501);
        assert_eq!(subscription.next().wait().unwrap_err().number(), 501);
        assert_eq!(subscription.take(1).unwrap_err().number(), 501);
        assert_eq!(events.next().wait().unwrap_err().number(), 501);
        assert!(events.take(1).is_empty());
        drop(primer.events());
        assert_eq!(primer.close().wait(), Ok(()));
        drop((delivery, pending, subscription, events, queue));
    });
}
