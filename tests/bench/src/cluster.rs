//! Three members, each a process: copies before the receipt, on one machine, in the clear or with TLS.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use primer::{
    Bytes, Delivery, Discover, EnqueueOptions, OnShort, Options, Pending, Primer, Queue, Receipt,
    ReceiveOptions,
};

use crate::local::text;
use crate::{BODY, Outcome};

/// A member in this process and two in others.
pub struct Cluster {
    member: Primer,
    others: Vec<Child>,
    /// A new queue for each round, so that none finds another's rest.
    round: std::cell::Cell<u32>,
}

/// What all members of a cluster begin with. With a secret they talk over TLS 1.3, else in the clear.
fn options(secret: Option<&str>) -> Options {
    let options = Options::new("bench").discover(Discover::None);
    match secret {
        Some(secret) => options.secret(secret),
        None => options,
    }
}

/// What the other processes run: a member that keeps copies until its standard input ends.
pub fn member(seed: &str, secret: Option<&str>) -> Outcome<()> {
    let member = options(secret).seed(seed).open_blocking().map_err(text)?;
    println!("ready");
    let mut input = Vec::new();
    std::io::stdin()
        .read_to_end(&mut input)
        .map_err(|error| error.to_string())?;
    member.close().wait().map_err(text)
}

impl Cluster {
    /// Starts the others and waits until all see this one.
    pub fn start(secret: Option<&str>) -> Outcome<Self> {
        let options = options(secret).on_short(OnShort::Fail);
        let member = options.open_blocking().map_err(text)?;
        let address = member.address().ok_or("no address")?;
        let mut cluster = Self {
            member,
            others: Vec::new(),
            round: std::cell::Cell::new(0),
        };
        for _ in 0..2 {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let mut command = Command::new(program);
            command
                .arg("member")
                .arg(&address)
                .args(secret)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut child = command.spawn().map_err(|error| error.to_string())?;
            let output = child.stdout.take();
            cluster.others.push(child);
            let mut line = String::new();
            let read = output.map(|output| BufReader::new(output).read_line(&mut line));
            if !matches!(read, Some(Ok(_))) || line.trim() != "ready" {
                return Err(format!("a member said {line:?}"));
            }
        }
        let events = cluster.member.events();
        loop {
            let members = cluster.member.members().map_err(text)?;
            if members.iter().filter(|member| member.is_reachable).count() == 3 {
                return Ok(cluster);
            }
            let _ = events.next().wait_for(Duration::from_millis(20));
        }
    }

    fn fresh_queue(&self) -> Outcome<Queue> {
        self.round.set(self.round.get() + 1);
        let name = format!("bench-{}", self.round.get());
        self.member.queue(&name).map_err(text)
    }

    /// Enqueues with `copies`, one at a time; the median in microseconds.
    pub fn latency(&self, copies: u16, count: usize) -> Outcome<f64> {
        let queue = self.fresh_queue()?;
        let body = Bytes::from_static(&[b'x'; BODY]);
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            queue
                .enqueue(body.clone())
                .copies(copies)
                .wait()
                .map_err(text)?;
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        drain(&queue, count)?;
        Ok(crate::row::median(times))
    }

    /// Enqueues with three copies, up to `window` of them under way; messages a second.
    pub fn windowed(&self, bytes: usize, window: usize, count: usize) -> Outcome<f64> {
        let queue = self.fresh_queue()?;
        let begun = Instant::now();
        produce(&queue, bytes, window, count)?;
        let took = begun.elapsed().as_secs_f64();
        drain(&queue, count)?;
        Ok(count as f64 / took)
    }

    /// The same while a consumer here receives and acks them; messages a second.
    pub fn through(&self, window: usize, count: usize) -> Outcome<f64> {
        let queue = self.fresh_queue()?;
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let producer = scope.spawn(|| produce(&queue, BODY, window, count));
            drain(&queue, count)?;
            producer.join().map_err(|_| "the producer panicked")?
        })?;
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    }

    /// `enqueue_many` of 1,000 with three copies; messages a second.
    pub fn many(&self, count: usize) -> Outcome<f64> {
        let queue = self.fresh_queue()?;
        let body = Bytes::from_static(&[b'x'; BODY]);
        let options = EnqueueOptions {
            copies: Some(3),
            ..EnqueueOptions::default()
        };
        let begun = Instant::now();
        for _ in 0..count / 1_000 {
            let bodies = vec![body.clone(); 1_000];
            queue.enqueue_many(bodies, &options).wait().map_err(text)?;
        }
        let took = begun.elapsed().as_secs_f64();
        drain(&queue, count / 1_000 * 1_000)?;
        Ok((count / 1_000 * 1_000) as f64 / took)
    }
}

fn produce(queue: &Queue, bytes: usize, window: usize, count: usize) -> Outcome<()> {
    let body = Bytes::from(vec![b'x'; bytes]);
    let mut under_way: VecDeque<Pending<Receipt>> = VecDeque::with_capacity(window);
    for _ in 0..count {
        if under_way.len() == window
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.wait().map_err(text)?;
        }
        under_way.push_back(queue.enqueue(body.clone()).copies(3).start());
    }
    under_way
        .into_iter()
        .try_for_each(|pending| pending.wait().map(drop))
        .map_err(text)
}

fn drain(queue: &Queue, count: usize) -> Outcome<()> {
    let options = ReceiveOptions {
        max: 1_000,
        wait: Duration::from_secs(30),
        lease: None,
        ..ReceiveOptions::default()
    };
    let mut left = count;
    while left > 0 {
        let received = queue.receive(&options).wait().map_err(text)?;
        if received.is_empty() {
            return Err(format!("{left} messages are missing"));
        }
        let all: Vec<&Delivery> = received.iter().collect();
        queue.ack_many(&all).map_err(text)?;
        left = left.saturating_sub(all.len());
    }
    Ok(())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in &mut self.others {
            // Closing its input ends it; a member that hangs must not outlive the bench.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}
