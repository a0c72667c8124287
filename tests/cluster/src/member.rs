//! One process of the cluster: a member with a producer and a consumer under load.
//!
//! It is told `go`, `stop` (produce no more) and `end` on its standard input, and tells records,
//! and words for the harness, on its standard output, a line each. A line is written before what it
//! promises goes on: a killed process has told all that anyone else may have seen of it.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use primer::{Delivery, OnShort, Options, Primer, Queue, ReceiveOptions};
use primer_check::{Extra, Hex, Id, Kind, Record, Short, Value, Verb};

use crate::{Outcome, QUEUE};

/// Members that must be there before anyone begins.
pub const MEMBERS: usize = 5;
const COPIES: u16 = 2;
/// Short, so that a run takes seconds: what the dead consumer held comes back after this.
const LEASE: Duration = Duration::from_secs(2);
const TAKEOVER: Duration = Duration::from_millis(500);
/// Values of one process lie this far apart from those of the next.
const PROCESSES: u64 = 1_000_000;

/// Runs a member until it is told to end.
pub fn run(index: u64, seed: Option<&str>) -> Outcome<()> {
    let mut options = Options::new("kill")
        .name(format!("member-{index}"))
        .lease(LEASE)
        .takeover_after(TAKEOVER)
        .on_short(OnShort::Fail);
    if let Some(seed) = seed {
        options = options.seed(seed);
    }
    let member = options.open_blocking().map_err(|error| error.to_string())?;
    let address = member.address().ok_or("no address")?;
    tell(&format!("address {address}"))?;
    wait_for_all(&member)?;
    tell("ready")?;
    let queue = member.queue(QUEUE).map_err(|error| error.to_string())?;
    let mut commands = std::io::stdin().lock().lines();
    expect(&mut commands, "go")?;
    let (stopped, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&queue, index, &stopped));
        let consumer = scope.spawn(|| consume(&member, &queue, index, &stopped, &ended));
        let told = expect(&mut commands, "stop");
        stopped.store(true, Ordering::SeqCst);
        let produced = producer.join().map_err(|_| "the producer panicked")?;
        let told = told.and_then(|()| expect(&mut commands, "end"));
        ended.store(true, Ordering::SeqCst);
        let consumed = consumer.join().map_err(|_| "the consumer panicked")?;
        told.and(produced).and(consumed)
    })?;
    member.close().wait().map_err(|error| error.to_string())
}

fn expect(lines: &mut impl Iterator<Item = std::io::Result<String>>, word: &str) -> Outcome<()> {
    match lines.next() {
        Some(Ok(line)) if line == word => Ok(()),
        other => Err(format!("expected {word:?}, was told {other:?}")),
    }
}

fn tell(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())
}

/// Every change of the set or of reachability is an event: look again after each.
fn wait_for_all(member: &Primer) -> Outcome<()> {
    let events = member.events();
    loop {
        let members = member.members().map_err(|error| error.to_string())?;
        if members.iter().filter(|member| member.is_reachable).count() == MEMBERS {
            return Ok(());
        }
        // Not every link makes an event, so the look is repeated.
        let _ = events.next().wait_for(Duration::from_millis(20));
    }
}

/// Enqueues until it is stopped; every value once, each try a new value.
fn produce(queue: &Queue, index: u64, stopped: &AtomicBool) -> Outcome<()> {
    let mut process = index * PROCESSES;
    let mut counter = 0;
    while !stopped.load(Ordering::SeqCst) {
        counter += 1;
        let value = Value { process, counter };
        let asked = Extra {
            on_short: Some(Short::Fail),
            wanted: Some(COPIES),
            ..Extra::default()
        };
        record(index, process, Kind::Invoke, Verb::Enqueue, value, asked)?;
        match queue.enqueue(value.to_string()).copies(COPIES).wait() {
            Ok(receipt) => {
                let answer = Extra {
                    id: Some(identity(receipt.id)?),
                    copies: Some(receipt.copies),
                    wanted: Some(receipt.wanted),
                    ..Extra::default()
                };
                record(index, process, Kind::Ok, Verb::Enqueue, value, answer)?;
            }
            Err(error) => {
                let is_unknown = error.number() >= 300;
                let kind = if is_unknown { Kind::Info } else { Kind::Fail };
                let extra = Extra {
                    error: Some(error.number()),
                    ..Extra::default()
                };
                record(index, process, kind, Verb::Enqueue, value, extra)?;
                if is_unknown {
                    // One whose operation has an unknown end goes on under a new number.
                    process += 1;
                }
            }
        }
    }
    tell("stopped")
}

/// Receives and acks until it is told to end; once nobody produces, it tells what is left here.
fn consume(
    member: &Primer,
    queue: &Queue,
    index: u64,
    stopped: &AtomicBool,
    ended: &AtomicBool,
) -> Outcome<()> {
    let options = ReceiveOptions {
        max: 16,
        wait: Duration::from_millis(100),
        lease: None,
    };
    while !ended.load(Ordering::SeqCst) {
        let received = queue.receive(&options).wait();
        let deliveries = received.map_err(|error| error.to_string())?;
        for delivery in &deliveries {
            take(index, delivery)?;
        }
        if deliveries.is_empty() && stopped.load(Ordering::SeqCst) {
            let stats = member.stats().map_err(|error| error.to_string())?;
            tell(&format!("held {}", stats.get("messages")))?;
        }
    }
    Ok(())
}

fn take(index: u64, delivery: &Delivery) -> Outcome<()> {
    let body = std::str::from_utf8(delivery.body()).map_err(|error| error.to_string())?;
    let value: Value = body.parse()?;
    let process = index * PROCESSES;
    let arrival = Extra {
        id: Some(identity(delivery.id())?),
        attempts: Some(delivery.attempts()),
        ..Extra::default()
    };
    record(index, process, Kind::Ok, Verb::Receive, value, arrival)?;
    record(
        index,
        process,
        Kind::Invoke,
        Verb::Ack,
        value,
        Extra::default(),
    )?;
    match delivery.ack() {
        Ok(()) => record(index, process, Kind::Ok, Verb::Ack, value, Extra::default()),
        Err(error) if error.number() == 402 => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn identity(id: primer::MessageId) -> Outcome<Id> {
    Ok(Id {
        origin: Hex(id.origin.0),
        sequence: id.sequence,
    })
}

fn record(
    member: u64,
    process: u64,
    kind: Kind,
    f: Verb,
    value: Value,
    extra: Extra,
) -> Outcome<()> {
    let record = Record {
        index: 0,
        time_ns: 0,
        process,
        member,
        kind,
        f,
        key: QUEUE.into(),
        value: Some(value),
        extra,
    };
    let line = serde_json::to_string(&record).map_err(|error| error.to_string())?;
    tell(&line)
}
