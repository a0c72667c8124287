//! The load of one member: a producer and a consumer that tell everything they see as records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use primer::{Delivery, Primer, Queue, ReceiveOptions};
use primer_check::{Extra, Hex, Id, Kind, Record, Short, Value, Verb};

use crate::member::{Setup, hand, tell};
use crate::{Outcome, QUEUE, text};

/// The copies of every message, unless a member is set up with others; one that gets fewer is refused.
pub const COPIES: u16 = 2;
/// Values of one producer lie this far apart from those of the next.
const PRODUCERS: u64 = 1_000_000;
/// So many times a member may be started, and its producer be sent.
const LIVES: u64 = 1_000;

/// A producer and a consumer.
pub(crate) struct Load {
    seat: Arc<Seat>,
    producer: Option<JoinHandle<()>>,
    consumer: Option<JoinHandle<()>>,
    rounds: u64,
}

/// What both work with.
struct Seat {
    member: Primer,
    queue: Queue,
    index: u64,
    life: u64,
    pace: Duration,
    work: Duration,
    copies: u16,
    is_stopped: AtomicBool,
    is_ended: AtomicBool,
}

impl Load {
    pub fn new(member: &Primer, setup: &Setup) -> Outcome<Self> {
        let seat = Seat {
            queue: member.queue(QUEUE).map_err(text)?,
            member: member.clone(),
            index: setup.index,
            life: setup.life,
            pace: setup.pace,
            work: setup.work,
            copies: setup.copies(),
            is_stopped: AtomicBool::new(true),
            is_ended: AtomicBool::new(false),
        };
        Ok(Self {
            seat: Arc::new(seat),
            producer: None,
            consumer: None,
            rounds: 0,
        })
    }

    /// Begins to produce, and to consume if it does not yet.
    pub fn go(&mut self) {
        self.stop();
        join(&mut self.producer);
        self.seat.is_stopped.store(false, Ordering::SeqCst);
        let lives = (self.seat.index * LIVES + self.seat.life) * LIVES + self.rounds;
        self.rounds += 1;
        let seat = self.seat.clone();
        self.producer = Some(hand(move || seat.produce(lives * PRODUCERS)));
        if self.consumer.is_none() {
            let seat = self.seat.clone();
            self.consumer = Some(hand(move || seat.consume()));
        }
    }

    /// Produces no more; the producer says when it has ended.
    pub fn stop(&self) {
        self.seat.is_stopped.store(true, Ordering::SeqCst);
    }

    /// Ends both and waits for them.
    pub fn end(&mut self) -> Outcome<()> {
        self.stop();
        self.seat.is_ended.store(true, Ordering::SeqCst);
        join(&mut self.producer);
        join(&mut self.consumer);
        Ok(())
    }
}

fn join(hand: &mut Option<JoinHandle<()>>) {
    // A hand that fails ends the process, so there is nothing to hear here.
    let _ = hand.take().map(JoinHandle::join);
}

impl Seat {
    /// Enqueues until it is stopped; every value once, each try a new value.
    fn produce(&self, mut process: u64) -> Outcome<()> {
        let mut counter = 0;
        while !self.is_stopped.load(Ordering::SeqCst) {
            counter += 1;
            let value = Value { process, counter };
            let asked = Extra {
                on_short: Some(Short::Fail),
                wanted: Some(self.copies),
                ..Extra::default()
            };
            self.record(Kind::Invoke, Verb::Enqueue, value, asked)?;
            let enqueue = self.queue.enqueue(value.to_string());
            match enqueue.copies(self.copies).wait() {
                Ok(receipt) => {
                    let answer = Extra {
                        id: Some(identity(receipt.id)),
                        copies: Some(receipt.copies),
                        wanted: Some(receipt.wanted),
                        ..Extra::default()
                    };
                    self.record(Kind::Ok, Verb::Enqueue, value, answer)?;
                }
                Err(error) => {
                    let is_unknown = error.number() >= 300;
                    let kind = if is_unknown { Kind::Info } else { Kind::Fail };
                    let extra = Extra {
                        error: Some(error.number()),
                        ..Extra::default()
                    };
                    self.record(kind, Verb::Enqueue, value, extra)?;
                    // One whose operation has an unknown end goes on under a new number.
                    process += u64::from(is_unknown);
                }
            }
            // The pace of a load, not a wait for anything.
            std::thread::sleep(self.pace);
        }
        tell("stopped")
    }

    /// Receives and acks until it is told to end; once nobody produces, it tells what is left here.
    fn consume(&self) -> Outcome<()> {
        let options = ReceiveOptions {
            max: 16,
            wait: Duration::from_millis(100),
            lease: None,
            ..ReceiveOptions::default()
        };
        while !self.is_ended.load(Ordering::SeqCst) {
            let deliveries = self.queue.receive(&options).wait().map_err(text)?;
            for delivery in &deliveries {
                self.take(delivery)?;
            }
            if deliveries.is_empty() && self.is_stopped.load(Ordering::SeqCst) {
                let stats = self.member.stats().map_err(text)?;
                tell(&format!("held {}", stats.get("messages")))?;
            }
        }
        Ok(())
    }

    fn take(&self, delivery: &Delivery) -> Outcome<()> {
        let body = std::str::from_utf8(delivery.body()).map_err(text)?;
        let value: Value = body.parse()?;
        let arrival = Extra {
            id: Some(identity(delivery.id())),
            attempts: Some(delivery.attempts()),
            ..Extra::default()
        };
        self.record(Kind::Ok, Verb::Receive, value, arrival)?;
        if !self.is_stopped.load(Ordering::SeqCst) {
            std::thread::sleep(self.work);
        }
        self.record(Kind::Invoke, Verb::Ack, value, Extra::default())?;
        match delivery.ack() {
            Ok(()) => self.record(Kind::Ok, Verb::Ack, value, Extra::default()),
            Err(error) if error.number() == 402 => Ok(()),
            Err(error) => Err(text(error)),
        }
    }

    fn record(&self, kind: Kind, f: Verb, value: Value, extra: Extra) -> Outcome<()> {
        let record = Record {
            index: 0,
            time_ns: 0,
            process: value.process,
            member: self.index,
            kind,
            f,
            key: QUEUE.into(),
            value: Some(value),
            extra,
        };
        tell(&serde_json::to_string(&record).map_err(text)?)
    }
}

fn identity(id: primer::MessageId) -> Id {
    Id {
        origin: Hex(id.origin.0),
        sequence: id.sequence,
    }
}
