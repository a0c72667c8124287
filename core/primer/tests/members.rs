//! Several members over sockets: copies, joins and their refusals, ends.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod common;

use common::{LIMIT, block_on, lone, member, receive, sees, until};
use primer::{EnqueueOptions, EventKind, OnShort, Primer, SubscribeOptions};

fn closed(primer: &Primer) {
    primer.close().wait().unwrap();
}

#[test]
fn two_members_hold_a_copy_each_and_either_gives_the_message_out() {
    let a = member("two", None);
    let b = member("two", Some(&a));
    sees(&a, 2);
    sees(&b, 2);
    let queue = a.queue("jobs").unwrap();
    for i in 0_u8..50 {
        let receipt = queue
            .enqueue(vec![i])
            .copies(2)
            .on_short(OnShort::Fail)
            .wait()
            .unwrap();
        assert_eq!((receipt.copies, receipt.wanted), (2, 2));
    }
    let there = b.queue("jobs").unwrap();
    let mut bodies: Vec<u8> = (0..50)
        .map(|_| {
            let delivery = receive(&there);
            delivery.ack().unwrap();
            delivery.body()[0]
        })
        .collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..50).collect::<Vec<u8>>());
    assert!(common::peek(&there).is_empty());
    let stats = a.stats().unwrap();
    assert_eq!(stats.get("links"), 1);
    assert!(stats.get("frames_in") > 0 && stats.get("frames_out") > 0);
    assert!(stats.get("bytes_in") > 0 && stats.get("bytes_out") > 0);
    assert_eq!(stats.get("frames_malformed"), 0);
    closed(&a);
    closed(&b);
}

#[test]
fn a_full_window_of_large_bodies_is_confirmed_and_delivered() {
    let a = member("large", None);
    let b = member("large", Some(&a));
    sees(&a, 2);
    let queue = a.queue("jobs").unwrap();
    let there = b.queue("jobs").unwrap();
    let subscription = there.subscribe(&SubscribeOptions::default()).unwrap();
    let sizes = [0, 1, 60_000, 300_000, primer::limits::BODY_BYTES_MAX];
    let sent: Vec<_> = (0..40_usize)
        .map(|i| {
            let body = vec![i as u8; sizes[i % sizes.len()]];
            let options = EnqueueOptions {
                copies: Some(2),
                on_short: Some(OnShort::Fail),
                timeout: Some(LIMIT),
                ..EnqueueOptions::default()
            };
            queue.enqueue_with(body.into(), &options)
        })
        .collect();
    for pending in sent {
        assert_eq!(pending.wait().unwrap().copies, 2);
    }
    let mut total = 0;
    for _ in 0..40 {
        let delivery = subscription.next().wait().unwrap();
        let body = delivery.body();
        assert!(body.windows(2).all(|two| two[0] == two[1]));
        total += body.len();
        delivery.ack().unwrap();
    }
    assert_eq!(total, sizes.iter().sum::<usize>() * 8);
    closed(&a);
    closed(&b);
}

#[test]
fn many_callers_share_a_link_without_losing_anything() {
    let a = member("many", None);
    let b = member("many", Some(&a));
    sees(&a, 2);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let queue = a.queue("jobs").unwrap();
            std::thread::spawn(move || {
                let pending: Vec<_> = (0..250)
                    .map(|_| queue.enqueue("x").copies(2).start())
                    .collect();
                for one in pending {
                    assert_eq!(block_on(one).unwrap().copies, 2);
                }
            })
        })
        .collect();
    let there = b.queue("jobs").unwrap();
    for _ in 0..1_000 {
        receive(&there).ack().unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(common::peek(&there).is_empty());
    closed(&a);
    closed(&b);
}

#[test]
fn joining_makes_one_cluster_of_two_and_is_told() {
    let a = member("join", None);
    let b = member("join", None);
    let events = a.events();
    b.join(&a.address().unwrap()).wait().unwrap();
    sees(&a, 2);
    sees(&b, 2);
    let end = std::time::Instant::now() + LIMIT;
    loop {
        let mut next = events.next();
        let left = end.saturating_duration_since(std::time::Instant::now());
        let event = next.wait_for(left).expect("an event").unwrap();
        if event.kind == EventKind::Joined {
            break;
        }
    }
    closed(&a);
    closed(&b);
}

#[test]
fn a_join_that_cannot_be_says_why() {
    let a = member("why", None);
    let other = member("why-not", None);
    let number = |primer: &Primer, address: &str| primer.join(address).wait().unwrap_err().number();

    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = dead.local_addr().unwrap().to_string();
    drop(dead);
    assert_eq!(number(&a, &nobody), 202);
    assert_eq!(number(&a, &other.address().unwrap()), 107);
    assert_eq!(number(&a, &a.address().unwrap()), 101);
    assert_eq!(number(&a, "nonsense"), 101);
    assert_eq!(number(&a, "10.0.0.1:1"), 106);
    assert_eq!(a.members().unwrap().len(), 1);
    closed(&a);
    closed(&other);
}

#[test]
fn a_second_process_with_one_identity_is_refused() {
    let first = common::options("twins")
        .name("till")
        .open_blocking()
        .unwrap();
    let second = common::options("twins")
        .name("till")
        .open_blocking()
        .unwrap();
    let refused = second.join(&first.address().unwrap()).wait();
    assert_eq!(refused.unwrap_err().number(), 108);
    closed(&first);
    closed(&second);
}

#[test]
fn what_answers_there_must_be_a_member() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = server.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        stream
    });
    let a = member("http", None);
    assert_eq!(a.join(&address).wait().unwrap_err().number(), 202);
    drop(thread.join().unwrap());
    closed(&a);
}

#[test]
fn an_absent_seed_does_not_keep_a_member_from_serving() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = dead.local_addr().unwrap().to_string();
    drop(dead);
    let primer = common::options("alone")
        .seed(nobody)
        .open_blocking()
        .unwrap();
    let queue = primer.queue("jobs").unwrap();
    assert_eq!(queue.enqueue("one").wait().unwrap().copies, 1);
    closed(&primer);
}

#[test]
fn closing_flushes_what_was_queued_for_others() {
    let a = member("flush", None);
    let b = member("flush", Some(&a));
    sees(&a, 2);
    let queue = a.queue("jobs").unwrap();
    let pending: Vec<_> = (0..200)
        .map(|_| queue.enqueue(vec![7; 10_000]).copies(2).start())
        .collect();
    closed(&a);
    for one in pending {
        // Confirmed in time, or not: both are honest.
        let _ = one.wait();
    }
    until("the copies are there", || {
        b.stats().unwrap().get("bytes_in") >= 200 * 10_000
    });
    closed(&b);
}

#[test]
fn a_member_that_closed_is_noticed_and_a_new_one_is_welcome() {
    let a = member("again", None);
    let b = member("again", Some(&a));
    sees(&a, 2);
    closed(&b);
    until("the link is gone", || a.stats().unwrap().get("links") == 0);
    until("it is unreachable", || {
        a.members().unwrap().iter().any(|one| !one.is_reachable)
    });
    let c = member("again", Some(&a));
    until("the new one is linked", || {
        a.stats().unwrap().get("links") == 1
    });
    closed(&a);
    closed(&c);
}

#[test]
fn a_member_without_a_socket_can_join_others() {
    let a = member("mute", None);
    let b = common::options("mute")
        .listen("none")
        .open_blocking()
        .unwrap();
    assert_eq!(b.address(), None);
    b.join(&a.address().unwrap()).wait().unwrap();
    sees(&a, 2);
    closed(&a);
    closed(&b);
    closed(&lone());
}

#[test]
fn members_that_leave_at_one_time_hand_everything_to_the_one_that_stays() {
    for round in 0..12_u8 {
        let stays = member("leavers", None);
        let leavers: Vec<Primer> = (0..3).map(|_| member("leavers", Some(&stays))).collect();
        for one in leavers.iter().chain([&stays]) {
            sees(one, 4);
        }
        for (number, one) in leavers.iter().enumerate() {
            let queue = one.queue("results").unwrap();
            let body = vec![round, number as u8];
            queue.enqueue(body).copies(2).wait().unwrap();
        }
        let leaving: Vec<_> = leavers.iter().map(|one| one.leave(None, false)).collect();
        for leave in leaving {
            leave.wait().unwrap();
        }
        let queue = stays.queue("results").unwrap();
        let mut numbers: Vec<u8> = (0..3)
            .map(|_| {
                let delivery = receive(&queue);
                delivery.ack().unwrap();
                assert_eq!(delivery.body()[0], round);
                delivery.body()[1]
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
        leavers.iter().chain([&stays]).for_each(closed);
    }
}
