//! What a message of one process costs beside the time: allocations, and threads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by panicking"
)]

use primer::{Bytes, Discover, Options, Pending, Primer, Queue, ReceiveOptions};

/// Warm: the slab, the rings and the maps have their size.
const WARM: usize = 20_000;
const MESSAGES: u64 = 10_000;

fn queue() -> (Primer, Queue) {
    let options = Options::new("allocations").discover(Discover::None);
    let member = options.open_blocking().unwrap();
    let queue = member.queue("jobs").unwrap();
    (member, queue)
}

/// The answer, which is there already: nobody else's thread has to give it.
fn at_once<T>(mut pending: Pending<T>) -> T {
    let answer = pending.ready().expect("it waits for another thread");
    answer.unwrap()
}

fn one(queue: &Queue, body: &Bytes, options: &ReceiveOptions) {
    at_once(queue.enqueue(body.clone()).start());
    for delivery in at_once(queue.receive(options)) {
        delivery.ack().unwrap();
    }
}

#[test]
fn a_local_message_allocates_at_most_twice_and_crosses_no_thread() {
    let (_member, queue) = queue();
    let (body, options) = (Bytes::from_static(&[7; 100]), ReceiveOptions::default());
    (0..WARM).for_each(|_| one(&queue, &body, &options));
    let counted = allocation_counter::measure(|| {
        (0..MESSAGES).for_each(|_| one(&queue, &body, &options));
    });
    println!(
        "allocations a message: {:.3}",
        counted.count_total as f64 / MESSAGES as f64
    );
    assert!(counted.count_total <= 2 * MESSAGES, "{counted:?}");
    // What a message took is given back.
    assert!(counted.bytes_current.abs() < 4_096, "{counted:?}");
}
