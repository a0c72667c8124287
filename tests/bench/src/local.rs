//! One member in memory, from Rust.

use std::time::{Duration, Instant};

use primer::{Bytes, Delivery, Discover, EnqueueOptions, Options, Primer, Queue, ReceiveOptions};

use crate::{BODY, Outcome};

/// A member without a socket.
pub struct Local {
    queue: Queue,
    _member: Primer,
}

impl Local {
    /// Opens it.
    pub fn open() -> Outcome<Self> {
        let options = Options::from_pairs::<&str, &str>([]).map_err(text)?;
        let member = options.open_blocking().map_err(text)?;
        let queue = member.queue("bench").map_err(text)?;
        Ok(Self {
            queue,
            _member: member,
        })
    }

    /// Enqueue, receive and ack, one at a time; messages a second.
    pub fn singly(&self, count: usize) -> Outcome<f64> {
        let body = Bytes::from_static(&[b'x'; BODY]);
        let options = ReceiveOptions::default();
        let begun = Instant::now();
        for _ in 0..count {
            self.queue.enqueue(body.clone()).wait().map_err(text)?;
            let received = self.queue.receive(&options).wait().map_err(text)?;
            for delivery in &received {
                delivery.ack().map_err(text)?;
            }
        }
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    }

    /// The same in batches of 100.
    pub fn in_batches(&self, count: usize) -> Outcome<f64> {
        let body = Bytes::from_static(&[b'x'; BODY]);
        let options = ReceiveOptions {
            max: 100,
            wait: Duration::ZERO,
            lease: None,
            ..ReceiveOptions::default()
        };
        let begun = Instant::now();
        for _ in 0..count / 100 {
            let bodies = vec![body.clone(); 100];
            let receipts = self.queue.enqueue_many(bodies, &EnqueueOptions::default());
            receipts.wait().map_err(text)?;
            let received = self.queue.receive(&options).wait().map_err(text)?;
            let all: Vec<&Delivery> = received.iter().collect();
            self.queue.ack_many(&all).map_err(text)?;
        }
        Ok((count / 100 * 100) as f64 / begun.elapsed().as_secs_f64())
    }

    /// Milliseconds to open a member and close it again.
    pub fn open_and_close() -> Outcome<f64> {
        let begun = Instant::now();
        let member = Options::new("bench")
            .discover(Discover::None)
            .open_blocking()
            .map_err(text)?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        member.close().wait().map_err(text)?;
        Ok(took)
    }
}

/// An error as a text.
pub fn text(error: primer::Error) -> String {
    error.to_string()
}
