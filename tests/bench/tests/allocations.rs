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

/// What of the heap is kept of each, in bytes.
fn kept(count: usize, what: impl FnOnce()) -> f64 {
    let counted = allocation_counter::measure(what);
    counted.bytes_current as f64 / count as f64
}

#[test]
fn a_held_message_costs_its_body_and_what_the_budget_counts_beside_it() {
    const HELD: usize = 100_000;
    const BODY: usize = 100;
    let (_member, queue) = queue();
    // Slabs, rings and maps grow by doubling: at the worst moment each has twice what it needs.
    let each = kept(HELD, || {
        for _ in 0..HELD {
            at_once(queue.enqueue(Bytes::from(vec![7; BODY])).start());
        }
    });
    println!(
        "bytes of a held message beside its body: {:.0}",
        each - BODY as f64
    );
    assert!(each <= (BODY + 300) as f64, "{each}");
}

#[test]
fn a_queue_that_was_used_costs_no_more_than_a_kibibyte() {
    const QUEUES: usize = 50_000;
    let (member, _queue) = queue();
    let (body, options) = (Bytes::from_static(&[7; 100]), ReceiveOptions::default());
    let each = kept(QUEUES, || {
        for number in 0..QUEUES {
            let queue = member.queue(&format!("user/{number}")).unwrap();
            one(&queue, &body, &options);
        }
    });
    println!("bytes of a queue that was used: {each:.0}");
    assert!(each <= 1_024.0, "{each}");
}
