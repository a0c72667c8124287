//! `primer-bench [--smoke] [--json] [--faces] [--only TEXT]`: one line a row, tabs between row, value, unit,
//! reference and ratio. With `--only` those rows whose names contain the text, and the machine's limits: for a
//! profiler, or while something is being changed.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use primer_bench::cluster::{self, Cluster};
use primer_bench::local::Local;
#[cfg(feature = "nats")]
use primer_bench::row::Line;
use primer_bench::row::{Row, run};
use primer_bench::{BODY, Effort, Outcome, faces, footprint, limits};

const CHANNEL: &str = "limit: channel between two threads";
const ROUND_TRIP: &str = "limit: loopback round trip";
/// Of the cluster that talks over TLS.
const SECRET: &str = "the secret of all members of the bench";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [word, seed] if word == "member" => cluster::member(seed, None),
        [word, seed, secret] if word == "member" => cluster::member(seed, Some(secret)),
        [word, count] if word == "footprint" => footprint::child(count),
        _ => bench(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("primer-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &[String]) -> Outcome<()> {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let is_json = has("--json");
    let effort = if has("--smoke") {
        Effort::SMOKE
    } else {
        Effort::FULL
    };
    let count = effort.messages;
    let (local, cluster) = (Local::open()?, Cluster::start(None)?);
    let secured = Cluster::start(Some(SECRET))?;
    #[cfg(feature = "nats")]
    let peer = primer_bench::nats::Nats::start()?;
    let mut rows = rows(&local, &cluster, count);
    rows.extend(secured_rows(&secured, count));
    #[cfg(feature = "nats")]
    if let Some(peer) = &peer {
        rows.extend(peer_rows(peer, count));
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--only") {
        let text = arguments.get(at + 1).ok_or("--only needs a text")?;
        rows.retain(|row| row.name.contains(text.as_str()) || row.name.starts_with("limit: "));
    }
    let mut lines = run(&mut rows, effort.rounds)?;
    #[cfg(feature = "nats")]
    compare(&mut lines);
    if has("--faces") {
        let channel = lines
            .iter()
            .find(|line| line.name == CHANNEL)
            .map(|line| line.value);
        lines.extend(faces::rows(channel));
    }
    for line in &lines {
        println!(
            "{}",
            if is_json {
                line.as_json()
            } else {
                line.as_tabs()
            }
        );
    }
    if !is_json {
        println!("bench: rows={}", lines.len());
    }
    Ok(())
}

/// JetStream's rows, each beside one of Primer's with three copies.
#[cfg(feature = "nats")]
const PEERS: &[(&str, &str)] = &[
    (
        "W=3 one at a time, p50",
        "JetStream R3 memory, one at a time, p50",
    ),
    ("W=3 window 1000", "JetStream R3 memory, window 1000"),
    ("W=3 window 1000, TLS", "JetStream R3 memory, window 1000"),
    (
        "W=3 window 1000, 1 KiB",
        "JetStream R3 memory, window 1000, 1 KiB",
    ),
    (
        "W=3 produce, consume and ack",
        "JetStream R3 memory, produce, consume and ack",
    ),
    (
        "W=3 produce, consume and ack, TLS",
        "JetStream R3 memory, produce, consume and ack",
    ),
    // It has nothing of the kind.
    (
        "W=3 enqueue_many of 1000",
        "JetStream R3 memory, window 1000",
    ),
];

#[cfg(feature = "nats")]
fn peer_rows<'a>(peer: &'a primer_bench::nats::Nats, count: usize) -> Vec<Row<'a>> {
    let few = count / 16;
    vec![
        row(
            "JetStream R3 memory, one at a time, p50",
            "us",
            "",
            move || peer.latency(count / 100),
        ),
        row("JetStream R3 memory, window 1000", "msg/s", "", move || {
            peer.windowed(BODY, 1_000, 2 * few)
        }),
        row(
            "JetStream R3 memory, window 1000, 1 KiB",
            "msg/s",
            "",
            move || peer.windowed(1_024, 1_000, few),
        ),
        row(
            "JetStream R3 memory, produce, consume and ack",
            "msg/s",
            "",
            move || peer.through(1_000, few),
        ),
    ]
}

/// Rows with three copies are ratios of JetStream's where those were measured.
#[cfg(feature = "nats")]
fn compare(lines: &mut [Line]) {
    let values: std::collections::BTreeMap<String, f64> = lines
        .iter()
        .map(|line| (line.name.clone(), line.value))
        .collect();
    for line in lines {
        let peer = PEERS.iter().find(|(name, _)| *name == line.name);
        if let Some((_, peer)) = peer
            && let Some(value) = values.get(*peer)
        {
            line.reference = (*peer).into();
            line.ratio = Some(line.value / value);
        }
    }
}

fn row<'a>(
    name: &'static str,
    unit: &'static str,
    reference: &'static str,
    measure: impl FnMut() -> Outcome<f64> + 'a,
) -> Row<'a> {
    let measure = Box::new(measure);
    Row {
        name,
        unit,
        reference,
        measure,
    }
}

fn rows<'a>(local: &'a Local, cluster: &'a Cluster, count: usize) -> Vec<Row<'a>> {
    let (slow, some) = (count / 40, count / 4);
    vec![
        row(CHANNEL, "msg/s", "", move || limits::channel(count)),
        row(ROUND_TRIP, "us", "", move || limits::round_trip(slow)),
        row("rust local one at a time", "msg/s", CHANNEL, move || {
            local.singly(count)
        }),
        row(
            "rust local in batches of 100",
            "msg/s",
            CHANNEL,
            move || local.in_batches(count),
        ),
        row("open a member", "ms", "", Local::open_and_close),
        row(
            "memory of a held message, beyond its body",
            "B",
            "",
            move || footprint::of_message(5 * count / 2),
        ),
        row("memory of a queue that was used", "B", "", move || {
            footprint::of_queue(5 * count / 2)
        }),
        row("W=2 one at a time, p50", "us", ROUND_TRIP, move || {
            cluster.latency(2, slow)
        }),
        row("W=3 one at a time, p50", "us", ROUND_TRIP, move || {
            cluster.latency(3, slow)
        }),
        row("W=3 window 1000", "msg/s", CHANNEL, move || {
            cluster.windowed(BODY, 1_000, some)
        }),
        row("W=3 window 1000, 1 KiB", "msg/s", CHANNEL, move || {
            cluster.windowed(1_024, 1_000, some / 2)
        }),
        row(
            "W=3 produce, consume and ack",
            "msg/s",
            CHANNEL,
            move || cluster.through(1_000, some),
        ),
        row("W=3 enqueue_many of 1000", "msg/s", CHANNEL, move || {
            cluster.many(some)
        }),
    ]
}

/// The same between members that have a secret.
fn secured_rows<'a>(cluster: &'a Cluster, count: usize) -> Vec<Row<'a>> {
    let (slow, some) = (count / 40, count / 4);
    vec![
        row("W=2 one at a time, p50, TLS", "us", ROUND_TRIP, move || {
            cluster.latency(2, slow)
        }),
        row("W=3 window 1000, TLS", "msg/s", CHANNEL, move || {
            cluster.windowed(BODY, 1_000, some)
        }),
        row(
            "W=3 produce, consume and ack, TLS",
            "msg/s",
            CHANNEL,
            move || cluster.through(1_000, some),
        ),
    ]
}
