//! Two members, one queue: what one puts in, the other takes out.
//!
//! `cargo run -p primer-examples --bin hello`

use std::time::Duration;

use primer::{Options, ReceiveOptions, Result};

fn main() -> Result<()> {
    let ann = Options::new("hello").open_blocking()?;
    let bob = Options::new("hello")
        .seed(ann.address().unwrap_or_default())
        .open_blocking()?;

    let receipt = ann
        .queue("greetings")?
        .enqueue("hello from ann")
        .copies(2)
        .wait()?;
    println!(
        "enqueued {}: {} of {} copies",
        receipt.id, receipt.copies, receipt.wanted
    );

    let one = ReceiveOptions {
        wait: Duration::from_secs(10),
        ..ReceiveOptions::default()
    };
    for message in bob.queue("greetings")?.receive(&one).wait()? {
        let body = String::from_utf8_lossy(message.body());
        println!("bob received \"{body}\" (attempt {})", message.attempts());
        message.ack()?;
    }
    bob.close().wait()?;
    ann.close().wait()
}
