//! Readers at their own pace.

use super::*;

impl Item for u64 {
    fn weight(&self) -> usize {
        8
    }
}

impl Item for Vec<u8> {
    fn weight(&self) -> usize {
        self.len()
    }
}

fn push(feed: &Feed<u64>, item: u64) {
    let mut told = Told::default();
    feed.push(&item, &mut told);
    told.run();
}

#[test]
fn each_reader_reads_everything_after_its_start_at_its_own_pace() {
    let feed = Feed::default();
    push(&feed, 1);
    let early = feed.reader(None);
    push(&feed, 2);
    let late = feed.reader(None);
    push(&feed, 3);
    assert_eq!(early.take(1), [2]);
    assert_eq!(early.take(9), [3]);
    assert_eq!(late.take(9), [3]);
    assert!(late.take(9).is_empty());
    assert_eq!(late.missed(), 0);
}

#[test]
fn a_reader_hears_what_interests_it_only() {
    let feed = Feed::default();
    let even = feed.reader(Some(Box::new(|item| item % 2 == 0)));
    (1..=4).for_each(|item| push(&feed, item));
    assert_eq!(even.take(9), [2, 4]);
    assert_eq!(even.missed(), 0);
}

#[test]
fn a_slow_reader_misses_the_oldest_and_is_told_how_many() {
    let feed = Feed::default();
    let reader = feed.reader(None);
    let extra = 5;
    for item in 0..limits::EVENTS_MAX as u64 + extra {
        push(&feed, item);
    }
    assert_eq!(reader.missed(), extra);
    assert_eq!(reader.take(2), [extra, extra + 1]);
    assert_eq!(reader.missed(), extra, "counted once");
}

#[test]
fn large_items_are_bounded_by_their_bytes() {
    let feed = Feed::<Vec<u8>>::default();
    let reader = feed.reader(None);
    let count = KEPT_BYTES_MAX / (64 << 10) + 3;
    for _ in 0..count {
        let mut told = Told::default();
        feed.push(&vec![0; 64 << 10], &mut told);
    }
    assert_eq!(reader.missed(), 3);
    assert_eq!(reader.take(usize::MAX).len(), count - 3);
}

#[test]
fn waiters_are_served_in_their_order_and_those_that_gave_up_are_passed_over() {
    let feed = Feed::default();
    let reader = feed.reader(None);
    let waiters = [(); 3].map(|()| Waiter::<u64>::plain(None));
    for waiter in &waiters {
        assert!(reader.next(waiter).unwrap().is_none());
    }
    let [first, gone, last] = waiters;
    let _ = gone.end();
    push(&feed, 1);
    push(&feed, 2);
    assert_eq!(first.take().unwrap().unwrap(), 1);
    assert_eq!(last.take().unwrap().unwrap(), 2);
    assert!(reader.take(9).is_empty());
}

#[test]
fn an_item_that_was_not_read_is_read_first_later() {
    let feed = Feed::default();
    let reader = feed.reader(None);
    push(&feed, 1);
    push(&feed, 2);
    let taken = reader.take(1).remove(0);
    reader.give_back(taken);
    assert_eq!(reader.take(9), [1, 2]);
}

#[test]
fn a_closed_feed_is_read_to_its_end_and_then_answers_the_error() {
    let feed = Feed::default();
    let reader = feed.reader(None);
    let waiter = Waiter::<u64>::plain(None);
    assert!(reader.next(&waiter).unwrap().is_none());
    push(&feed, 1);
    push(&feed, 2);
    let late = Waiter::<u64>::plain(None);
    feed.close(&Error::new(crate::ErrorKind::Closed));
    assert_eq!(waiter.take().unwrap().unwrap(), 1);
    assert_eq!(reader.next(&late).unwrap().unwrap(), 2);
    assert_eq!(reader.next(&late).unwrap_err().number(), 501);
    let after = feed.reader(None);
    assert_eq!(after.next(&late).unwrap_err().number(), 501);
}
