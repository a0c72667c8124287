//! Work for several processes: each is a member of the cluster and takes what it can.
//!
//! ```text
//! workers                     alone: prints its address, waits for a helper, hands out numbers
//!                             and adds up their squares
//! workers 127.0.0.1:41873     joins the member at that address and squares, on two threads, until
//!                             its standard input ends
//! ```

use std::collections::BTreeMap;
use std::io::Read;
use std::thread;
use std::time::Duration;

use primer::{
    Bytes, Delivery, EnqueueOptions, Error, ErrorKind, EventKind, Options, Primer, ReceiveOptions,
    Result,
};

const NUMBERS: u64 = 30;
const THREADS: usize = 2;
/// For what must come; a limit, not a measure.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    match std::env::args().nth(1) {
        None => lead(&Options::new("workers").open_blocking()?),
        Some(address) => help(&Options::new("workers").seed(address).open_blocking()?),
    }
}

/// Hands out the numbers and collects their squares.
fn lead(member: &Primer) -> Result<()> {
    let events = member.events();
    println!("{}", member.address().unwrap_or_default());
    while events.next().wait()?.kind != EventKind::Joined {}

    let bodies = (1..=NUMBERS)
        .map(|number| Bytes::from(number.to_string()))
        .collect();
    let copies = EnqueueOptions {
        copies: Some(2),
        ..EnqueueOptions::default()
    };
    member
        .queue("numbers")?
        .enqueue_many(bodies, &copies)
        .wait()?;

    let squares = member.queue("squares")?;
    let some = ReceiveOptions {
        max: 10,
        wait: PATIENCE,
        ..ReceiveOptions::default()
    };
    // At least once: a square that comes twice is the same one.
    let mut seen = BTreeMap::new();
    while (seen.len() as u64) < NUMBERS {
        let deliveries = squares.receive(&some).wait()?;
        if deliveries.is_empty() {
            return Err(Error::new(ErrorKind::Interrupted).because("the helpers are gone"));
        }
        for delivery in &deliveries {
            let words = numbers_in(delivery)?;
            seen.extend(
                words
                    .first()
                    .zip(words.get(1))
                    .map(|(number, square)| (*number, *square)),
            );
        }
        squares.ack_many(&deliveries.iter().collect::<Vec<_>>())?;
    }
    println!(
        "{} squares, their sum is {}",
        seen.len(),
        seen.values().sum::<u64>()
    );
    member.close().wait()
}

/// Squares until standard input ends, then closes: what its threads wait for answers 501.
fn help(member: &Primer) -> Result<()> {
    let workers: Vec<_> = (0..THREADS)
        .map(|_| {
            let member = member.clone();
            thread::spawn(move || work(&member))
        })
        .collect();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    member.close().wait()?;
    for worker in workers {
        match worker.join() {
            Ok(Err(error)) if error.kind() != ErrorKind::Closed => return Err(error),
            Ok(_) => {}
            Err(_) => return Err(Error::new(ErrorKind::Internal).because("a worker panicked")),
        }
    }
    Ok(())
}

/// One thread's loop; it ends by the error that `close` brings.
fn work(member: &Primer) -> Result<()> {
    let (numbers, squares) = (member.queue("numbers")?, member.queue("squares")?);
    let one = ReceiveOptions {
        wait: PATIENCE,
        ..ReceiveOptions::default()
    };
    loop {
        for delivery in numbers.receive(&one).wait()? {
            let number = numbers_in(&delivery)?.first().copied().unwrap_or(0);
            if number % 7 == 0 && delivery.attempts() == 1 {
                println!("{number}: not today");
                delivery.nack(Some(Duration::from_millis(10))).wait()?;
                continue;
            }
            // First the result, then the ack: a crash between the two repeats, and loses nothing.
            squares
                .enqueue(format!("{number} {}", number * number))
                .wait()?;
            delivery.ack()?;
        }
    }
}

fn numbers_in(delivery: &Delivery) -> Result<Vec<u64>> {
    let text = String::from_utf8_lossy(delivery.body()).into_owned();
    let words = text.split(' ').map(str::parse);
    words
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Error::new(ErrorKind::Corrupt).with("body", text))
}
