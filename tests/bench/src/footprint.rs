//! What messages and queues cost in memory, each in a process of its own.

use std::process::Command;

use primer::{Bytes, EnqueueOptions, Options, Primer, ReceiveOptions};

use crate::local::text;
use crate::{BODY, Outcome};

/// Resident bytes of a message that a member holds, less its body, over so many.
pub fn of_message(count: usize) -> Outcome<f64> {
    ask("messages", count)
}

/// Resident bytes of a queue through which one message went, over so many.
pub fn of_queue(count: usize) -> Outcome<f64> {
    ask("queues", count)
}

fn ask(what: &str, count: usize) -> Outcome<f64> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    let output = command
        .args(["footprint", &format!("{what}:{count}")])
        .output();
    let output = output.map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stdout);
    let told = told.trim().parse();
    told.map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The process that does it: prints the bytes of each.
pub fn child(wanted: &str) -> Outcome<()> {
    let (what, count) = wanted.split_once(':').ok_or("what:count")?;
    let count: usize = count.parse().map_err(|_| "not a number")?;
    let options = Options::from_pairs::<&str, &str>([]).map_err(text)?;
    let member = options.open_blocking().map_err(text)?;
    let before = resident()?;
    match what {
        "messages" => hold(&member, count)?,
        "queues" => use_queues(&member, count)?,
        _ => return Err("messages or queues".into()),
    }
    let each = (resident()?.saturating_sub(before)) as f64 / count as f64;
    let body = if what == "messages" { BODY as f64 } else { 0.0 };
    println!("{:.1}", each - body);
    Ok(())
}

fn hold(member: &Primer, count: usize) -> Outcome<()> {
    let queue = member.queue("bench").map_err(text)?;
    for _ in 0..count / 1_000 {
        let bodies = (0..1_000).map(|_| Bytes::from(vec![b'x'; BODY])).collect();
        let receipts = queue.enqueue_many(bodies, &EnqueueOptions::default());
        receipts.wait().map_err(text)?;
    }
    Ok(())
}

fn use_queues(member: &Primer, count: usize) -> Outcome<()> {
    let options = ReceiveOptions::default();
    for index in 0..count {
        let queue = member.queue(&format!("user/{index}")).map_err(text)?;
        queue.enqueue("x").wait().map_err(text)?;
        for delivery in &queue.receive(&options).wait().map_err(text)? {
            delivery.ack().map_err(text)?;
        }
    }
    Ok(())
}

/// Resident bytes of this process.
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1_024).ok_or("no VmRSS".into())
}
