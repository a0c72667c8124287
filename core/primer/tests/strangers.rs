//! Raw connections that behave badly: counted, closed, and nobody else notices.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{LIMIT, member, sees, until};
use primer::Primer;
use primer_proto::base::{BootId, ClusterId, MemberId, StoreId, limits};
use primer_proto::engine::{KIND_HELLO, KIND_REFUSAL};
use primer_proto::membership::{Hello, Refusal};

fn connect(primer: &Primer) -> TcpStream {
    let stream = TcpStream::connect(primer.address().unwrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Reads to the end; a reset is an end, too.
fn ended(mut stream: TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

fn refused(primer: &Primer, count: u64) {
    until("the stranger is counted", || {
        primer.stats().unwrap().get("strangers_refused") == count
    });
}

/// Works as if nothing had happened.
fn serves(primer: &Primer) {
    let queue = primer.queue("jobs").unwrap();
    queue.enqueue("one").wait().unwrap();
    common::receive(&queue).ack().unwrap();
}

fn hello(cluster: &str, lane: u32) -> Hello {
    let hash = blake3::hash(cluster.as_bytes());
    let cluster = u128::from_le_bytes(*hash.as_bytes().first_chunk().unwrap());
    let ids = (MemberId(99), BootId(98), StoreId(97));
    let mut hello = Hello::new(ClusterId(cluster), ids.0, ids.1, ids.2);
    hello.incarnation = 1;
    hello.lane = lane;
    hello.pair = 77;
    hello
}

fn send(stream: &mut TcpStream, kind: u8, body: &[u8]) {
    let mut frame = (body.len() as u32 + 1).to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend_from_slice(body);
    stream.write_all(&frame).unwrap();
}

fn read(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut frame).unwrap();
    (frame.remove(0), frame)
}

/// A link by hand: both lanes are up when this returns.
fn link(primer: &Primer, cluster: &str) -> (TcpStream, TcpStream) {
    let lanes = [0, 1].map(|lane| {
        let mut stream = connect(primer);
        send(&mut stream, KIND_HELLO, &hello(cluster, lane).to_bytes());
        let (kind, body) = read(&mut stream);
        assert_eq!(kind, KIND_HELLO);
        let answer = Hello::from_bytes(&body).unwrap();
        assert_eq!((answer.lane, answer.pair), (lane, 77));
        stream
    });
    until("the link is up", || {
        primer.stats().unwrap().get("links") == 1
    });
    lanes.into()
}

#[test]
fn garbage_is_hung_up_on_and_counted() {
    let a = member("garbage", None);
    let b = member("garbage", Some(&a));
    sees(&a, 2);
    let beginnings: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 64],
        &[0xff; 64],
        &[3, 0, 0, 0, KIND_HELLO, 0xff, 0xff],
        &[2, 0, 0, 0, 9, 9],
    ];
    for (i, bytes) in beginnings.iter().enumerate() {
        let mut stream = connect(&a);
        stream.write_all(bytes).unwrap();
        ended(stream);
        refused(&a, i as u64 + 1);
    }
    // One that goes away in the middle of its hello.
    let mut stream = connect(&a);
    stream.write_all(&[200, 0, 0, 0, KIND_HELLO]).unwrap();
    drop(stream);
    refused(&a, 6);
    sees(&a, 2);
    assert_eq!(a.stats().unwrap().get("links"), 1);
    serves(&b);
    a.close().wait().unwrap();
    b.close().wait().unwrap();
}

#[test]
fn the_silent_are_hung_up_on_in_time_and_too_many_at_once() {
    let primer = member("silent", None);
    let silent = connect(&primer);
    let half = {
        let mut stream = connect(&primer);
        send(&mut stream, KIND_HELLO, &hello("silent", 0).to_bytes());
        assert_eq!(read(&mut stream).0, KIND_HELLO);
        stream
    };
    let crowd: Vec<TcpStream> = (0..limits::STRANGERS_MAX)
        .map(|_| connect(&primer))
        .collect();
    // Two places were taken, so the two oldest made room at once.
    refused(&primer, 2);
    serves(&primer);
    // The others have their time; then each of them is hung up on.
    ended(silent);
    ended(half);
    crowd.into_iter().for_each(ended);
    refused(&primer, limits::STRANGERS_MAX as u64 + 2);
    serves(&primer);
    primer.close().wait().unwrap();
}

#[test]
fn the_unwelcome_are_told_why() {
    let primer = member("told", None);
    let mut wrong_version = hello("told", 0);
    wrong_version.major = 9;
    for (hello, number) in [(hello("elsewhere", 0), 107), (wrong_version, 106)] {
        let mut stream = connect(&primer);
        send(&mut stream, KIND_HELLO, &hello.to_bytes());
        let (kind, body) = read(&mut stream);
        assert_eq!(kind, KIND_REFUSAL);
        assert_eq!(Refusal::from_bytes(&body).unwrap().number, number);
        ended(stream);
    }
    // A second half without a first one.
    let mut stream = connect(&primer);
    send(&mut stream, KIND_HELLO, &hello("told", 1).to_bytes());
    ended(stream);
    refused(&primer, 3);
    primer.close().wait().unwrap();
}

#[test]
fn an_oversized_frame_closes_its_link_only() {
    let primer = member("oversized", None);
    for round in 1..=2 {
        let (mut control, mut bulk) = link(&primer, "oversized");
        let header = (limits::FRAME_BYTES_MAX as u32 + 1).to_le_bytes();
        let lane = if round == 1 { &mut control } else { &mut bulk };
        lane.write_all(&header).unwrap();
        ended(control);
        ended(bulk);
        until("it is counted", || {
            primer.stats().unwrap().get("frames_malformed") == round
        });
        until("the link is gone", || {
            primer.stats().unwrap().get("links") == 0
        });
        serves(&primer);
    }
    primer.close().wait().unwrap();
}

#[test]
fn a_frame_of_an_unknown_kind_is_skipped_and_the_link_goes_on() {
    let primer = member("unknown", None);
    let (mut control, bulk) = link(&primer, "unknown");
    send(&mut control, 250, b"from the future");
    send(&mut control, 251, b"");
    until("they are skipped", || {
        primer.stats().unwrap().get("frames_skipped") == 2
    });
    assert_eq!(primer.stats().unwrap().get("frames_malformed"), 0);
    // A second hello is none that belongs there.
    send(&mut control, KIND_HELLO, &hello("unknown", 0).to_bytes());
    ended(control);
    ended(bulk);
    assert_eq!(primer.stats().unwrap().get("frames_malformed"), 1);
    primer.close().wait().unwrap();
}
