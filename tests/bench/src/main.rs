//! `primer-bench [--smoke] [--json] [--faces]`: one line a row, tabs between row, value, unit,
//! reference and ratio.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use primer_bench::cluster::{self, Cluster};
use primer_bench::local::Local;
#[cfg(feature = "nats")]
use primer_bench::row::Line;
use primer_bench::row::{Row, run};
use primer_bench::{BODY, Effort, Outcome, faces, limits};

const CHANNEL: &str = "limit: channel between two threads";
const ROUND_TRIP: &str = "limit: loopback round trip";
#[cfg(feature = "nats")]
const JETSTREAM: &str = "JetStream R3 memory, window 1000";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let outcome = match arguments.as_slice() {
        [word, seed] if word == "member" => cluster::member(seed),
        _ => bench(has("--smoke"), has("--json"), has("--faces")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("primer-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn bench(is_smoke: bool, is_json: bool, has_faces: bool) -> Outcome<()> {
    let effort = if is_smoke {
        Effort::SMOKE
    } else {
        Effort::FULL
    };
    let count = effort.messages;
    let (local, cluster) = (Local::open()?, Cluster::start()?);
    #[cfg(feature = "nats")]
    let peer = primer_bench::nats::Nats::start()?;
    let mut rows = rows(&local, &cluster, count);
    #[cfg(feature = "nats")]
    if let Some(peer) = &peer {
        let measure = Box::new(move || peer.windowed(BODY, 1_000, count / 8));
        rows.push(Row {
            name: JETSTREAM,
            unit: "msg/s",
            reference: "",
            measure,
        });
    }
    let mut lines = run(&mut rows, effort.rounds)?;
    #[cfg(feature = "nats")]
    compare(&mut lines);
    if has_faces {
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

/// Rows with three copies are ratios of JetStream's where that was measured.
#[cfg(feature = "nats")]
fn compare(lines: &mut [Line]) {
    let peer = lines
        .iter()
        .find(|line| line.name == JETSTREAM)
        .map(|line| line.value);
    for line in lines.iter_mut().filter(|line| line.name.starts_with("W=3")) {
        if let (Some(peer), "msg/s") = (peer, line.unit.as_str()) {
            line.reference = JETSTREAM.into();
            line.ratio = Some(line.value / peer);
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
