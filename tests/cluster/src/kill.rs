//! Five members under load, one killed with SIGKILL; afterwards every acknowledged message must
//! have been delivered.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use primer_check::{History, Kind, Promise, Record, Report, Verb, check};

use crate::member::MEMBERS;
use crate::process::{Process, Word};
use crate::{Outcome, QUEUE};

/// The victim dies after so many of its own messages were acknowledged, and the others stop after
/// so many more.
const ACKED_BEFORE: u64 = 300;
const ACKED_AFTER: u64 = 2_000;
/// No word for this long and the run has failed.
const SILENCE: Duration = Duration::from_secs(60);
/// A drain takes a takeover and a lease; this is many of both.
const DRAIN: Duration = Duration::from_secs(90);

/// Repeats the run and closes with one line. Errors: something was lost, or odd.
pub fn runs(count: u64) -> Outcome<()> {
    let (mut acked, mut duplicates, mut lost, mut odd) = (0, 0, 0, 0);
    for run in 1..=count {
        let report = one(run)?;
        acked += report.figure("acknowledged");
        duplicates += report.figure("duplicated");
        lost += report.figure("lost");
        odd += report.findings.len();
        for finding in report.findings.iter().take(10) {
            println!("  {finding}");
        }
        println!(
            "run {run}: acked={} delivered={} duplicates={} unknown_delivered={} lost={}",
            report.figure("acknowledged"),
            report.figure("delivered"),
            report.figure("duplicated"),
            report.figure("recovered"),
            report.figure("lost"),
        );
    }
    println!("kill: runs={count} acked={acked} duplicates={duplicates} lost={lost}");
    if odd > 0 {
        return Err(format!("{odd} findings"));
    }
    Ok(())
}

/// One run: start, load, kill, load, stop, drain, judge.
pub fn one(run: u64) -> Outcome<Report> {
    let mut cluster = Cluster::start()?;
    let victim = run % MEMBERS as u64;
    cluster.tell_all("go")?;
    cluster.until_acked(Some(victim), ACKED_BEFORE)?;
    cluster.kill(victim)?;
    let acked = cluster.acked_by(None);
    cluster.until_acked(None, acked + ACKED_AFTER)?;
    cluster.tell_all("stop")?;
    cluster.until_drained()?;
    cluster.tell_all("end")?;
    for process in cluster.processes.values_mut() {
        process.wait()?;
    }
    cluster.note(Record {
        index: 0,
        time_ns: 0,
        process: 0,
        member: 0,
        kind: Kind::Info,
        f: Verb::Drained,
        key: QUEUE.into(),
        value: None,
        extra: primer_check::Extra::default(),
    });
    Ok(check(&cluster.history, &Promise::default()))
}

struct Cluster {
    processes: BTreeMap<u64, Process>,
    words: Receiver<(u64, Word)>,
    history: History,
    started: Instant,
    /// Receipts by member.
    acked: BTreeMap<u64, u64>,
    addresses: BTreeMap<u64, String>,
    ready: usize,
    stopped: usize,
    /// The last count that each member told.
    held: BTreeMap<u64, u64>,
}

impl Cluster {
    fn start() -> Outcome<Self> {
        let (told, words) = channel();
        let mut cluster = Self {
            processes: BTreeMap::new(),
            words,
            history: History::default(),
            started: Instant::now(),
            acked: BTreeMap::new(),
            addresses: BTreeMap::new(),
            ready: 0,
            stopped: 0,
            held: BTreeMap::new(),
        };
        let seed = cluster.start_member(0, None, &told)?;
        for index in 1..MEMBERS as u64 {
            cluster.start_member(index, Some(&seed), &told)?;
        }
        while cluster.ready < MEMBERS {
            cluster.step()?;
        }
        Ok(cluster)
    }

    fn start_member(
        &mut self,
        index: u64,
        seed: Option<&str>,
        told: &Sender<(u64, Word)>,
    ) -> Outcome<String> {
        let process = Process::start(index, seed, told.clone())?;
        self.processes.insert(index, process);
        while !self.addresses.contains_key(&index) {
            self.step()?;
        }
        Ok(self.addresses.get(&index).cloned().unwrap_or_default())
    }

    fn word(&mut self) -> Outcome<(u64, Word)> {
        let word = self.words.recv_timeout(SILENCE);
        word.map_err(|_| format!("no word for {} s", SILENCE.as_secs()))
    }

    /// Takes one word in.
    fn step(&mut self) -> Outcome<()> {
        match self.word()? {
            (index, Word::Record(record)) => {
                let is_receipt = record.f == Verb::Enqueue && record.kind == Kind::Ok;
                *self.acked.entry(index).or_default() += u64::from(is_receipt);
                self.held.remove(&index);
                self.note(*record);
            }
            (index, Word::Held(count)) => {
                self.held.insert(index, count);
            }
            (index, Word::Address(address)) => {
                self.addresses.insert(index, address);
            }
            (_, Word::Ready) => self.ready += 1,
            (_, Word::Stopped) => self.stopped += 1,
            (index, Word::Gone) if self.processes.contains_key(&index) => {
                return Err(format!("member {index} ended by itself"));
            }
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, mut record: Record) {
        // Pipes are read by several threads, so this clock is the one that orders the history.
        record.time_ns = self.started.elapsed().as_nanos() as u64;
        self.history.push(record);
    }

    fn acked_by(&self, member: Option<u64>) -> u64 {
        let of = |(index, count): (&u64, &u64)| match member {
            Some(member) if *index != member => 0,
            _ => *count,
        };
        self.acked.iter().map(of).sum()
    }

    fn until_acked(&mut self, member: Option<u64>, count: u64) -> Outcome<()> {
        while self.acked_by(member) < count {
            self.step()?;
        }
        Ok(())
    }

    /// Until every member that lives holds nothing, with nobody producing.
    fn until_drained(&mut self) -> Outcome<()> {
        let begun = Instant::now();
        while self.stopped < self.processes.len() {
            self.step()?;
        }
        self.held.clear();
        while self.held.len() < self.processes.len() || self.held.values().any(|held| *held > 0) {
            if begun.elapsed() > DRAIN {
                return Err(format!("not drained, still held: {:?}", self.held));
            }
            self.step()?;
        }
        Ok(())
    }

    fn kill(&mut self, member: u64) -> Outcome<()> {
        let Some(mut victim) = self.processes.remove(&member) else {
            return Err(format!("no member {member}"));
        };
        victim.kill()
    }

    fn tell_all(&mut self, word: &str) -> Outcome<()> {
        self.processes
            .values_mut()
            .try_for_each(|process| process.tell(word))
    }
}
