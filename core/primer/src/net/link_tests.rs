//! Writing on a link: order, batches, fullness and many writers, over real sockets.

use super::*;
use primer_proto::membership::Meta;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// A link, and the other ends of its control and bulk connections.
async fn link() -> (Arc<Link>, TcpStream, TcpStream) {
    let (control, far_control) = connection().await;
    let (bulk, far_bulk) = connection().await;
    let (_, control) = control.into_split();
    let (_, bulk) = bulk.into_split();
    let link = Link::new(LinkId(1), Sink::plain(control), Sink::plain(bulk));
    (link, far_control, far_bulk)
}

/// A message that says `number` and weighs at least `bytes`.
fn message(number: u64, bytes: usize) -> Message {
    let mut delta = number.to_le_bytes().to_vec();
    delta.resize(bytes.max(8), 0);
    Message::Meta(Meta {
        delta,
        ..Meta::default()
    })
}

/// Reads `count` messages and answers their numbers.
async fn numbers(socket: &mut TcpStream, count: usize) -> Vec<u64> {
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    let counters = Counters::default();
    while messages.len() < count {
        assert!(decode(&mut buffer, &mut messages, &counters));
        if messages.len() < count {
            buffer.reserve(room(&buffer));
            assert_ne!(socket.read_buf(&mut buffer).await.unwrap(), 0);
        }
    }
    assert!(buffer.is_empty());
    messages
        .iter()
        .map(|message| match message {
            Message::Meta(meta) => u64::from_le_bytes(*meta.delta.first_chunk().unwrap()),
            other => panic!("nobody sent {other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn what_gathers_is_written_at_once_and_in_order_on_each_lane() {
    let (link, mut control, mut bulk) = link().await;
    let counters = Counters::default();
    for number in 0..100 {
        assert!(!link.queue(engine::Lane::Control, message(number, 0)));
        assert!(!link.queue(engine::Lane::Bulk, message(number + 100, 0)));
    }
    assert!(!link.start_writing(true, &counters));
    assert_eq!(counters.socket_writes.value(), 2);
    assert_eq!(counters.frames_out.value(), 200);
    let expected: Vec<u64> = (0..100).collect();
    assert_eq!(numbers(&mut control, 100).await, expected);
    let expected: Vec<u64> = (100..200).collect();
    assert_eq!(numbers(&mut bulk, 100).await, expected);
    assert_eq!((link.control.backlog(), link.bulk.backlog()), (0, 0));
}

#[tokio::test]
async fn a_full_bulk_lane_is_told_once_and_once_again_when_it_has_room() {
    let (link, _control, mut bulk) = link().await;
    let counters = Arc::new(Counters::default());
    let size = limits::BULK_BYTES_MAX / 16;
    let told = (0..32)
        .filter(|number| link.queue(engine::Lane::Bulk, message(*number, size)))
        .count();
    assert_eq!(told, 1);
    assert!(!link.stop_being_full(), "nothing was written");

    let writer = {
        let (link, counters) = (link.clone(), counters.clone());
        tokio::spawn(async move { link.bulk.keep_writing(&counters, || ()).await })
    };
    link.start_writing(false, &counters);
    let expected: Vec<u64> = (0..32).collect();
    assert_eq!(numbers(&mut bulk, 32).await, expected);
    while link.bulk.backlog() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(link.stop_being_full());
    assert!(!link.stop_being_full());
    link.bulk.end();
    writer.await.unwrap();
}

#[tokio::test]
async fn a_control_lane_that_is_not_read_cuts_the_link() {
    let (link, _control, _bulk) = link().await;
    let size = limits::CONTROL_BYTES_MAX / 8;
    for number in 0..8 {
        link.queue(engine::Lane::Control, message(number, size - 100));
    }
    assert!(!link.is_cut.load(Ordering::Acquire));
    link.queue(engine::Lane::Control, message(8, size));
    assert!(link.is_cut.load(Ordering::Acquire));
    link.word.notified().await;
}

#[tokio::test]
async fn threads_that_write_at_once_lose_nothing_and_repeat_nothing() {
    const EACH: u64 = 2_000;
    let (link, mut control, _bulk) = link().await;
    let counters = Arc::new(Counters::default());
    let writer = {
        let (link, counters) = (link.clone(), counters.clone());
        tokio::spawn(async move { link.control.keep_writing(&counters, || ()).await })
    };
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (link, counters) = (link.clone(), counters.clone());
            std::thread::spawn(move || {
                for number in 0..EACH {
                    link.queue(engine::Lane::Control, message(thread * EACH + number, 64));
                    link.start_writing(number % 3 != 0, &counters);
                }
            })
        })
        .collect();
    let seen = numbers(&mut control, 4 * EACH as usize).await;
    for thread in 0..4 {
        let of_thread = |number: &&u64| **number / EACH == thread;
        let own: Vec<u64> = seen.iter().filter(of_thread).copied().collect();
        assert_eq!(
            own,
            (thread * EACH..(thread + 1) * EACH).collect::<Vec<_>>()
        );
    }
    for thread in threads {
        thread.join().unwrap();
    }
    link.control.end();
    writer.await.unwrap();
    assert_eq!(link.control.backlog(), 0);
}

#[tokio::test]
async fn a_link_that_is_gone_is_noticed_by_its_writers() {
    let (link, control, bulk) = link().await;
    let counters = Counters::default();
    drop((control, bulk));
    // The first write may still be taken by the kernel; the peer's reset comes after it.
    while !link.is_cut.load(Ordering::Acquire) {
        link.queue(engine::Lane::Control, message(1, 0));
        link.start_writing(true, &counters);
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_frame_that_says_it_is_large_gets_no_room_before_its_bytes_come() {
    let announced = limits::FRAME_BYTES_MAX as u32;
    let mut buffer = BytesMut::from(&announced.to_le_bytes()[..]);
    assert_eq!(room(&buffer), READ_BYTES);
    buffer.resize(200_000, 0);
    assert_eq!(room(&buffer), 200_000);
    buffer.resize(1_000_000, 0);
    assert_eq!(room(&buffer), READ_BYTES);
}
