//! Several members' processes, what they told, and the history of it.
//!
//! Everything is driven by their words: each `until_` takes words in until it has seen what it waits
//! for, and fails when a long while passes without it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use primer_check::{Extra, History, Kind, Promise, Record, Report, Verb, check};

use crate::member::{Setup, View};
use crate::process::{Process, Speaker, Word};
use crate::{Outcome, QUEUE};

/// No word for this long, or not what is waited for in many of it, and the run has failed.
const SILENCE: Duration = Duration::from_secs(60);
/// A drain takes a takeover and a lease; this is many of both.
const DRAIN: Duration = Duration::from_secs(120);

/// Members and their history. All processes are killed when it is dropped.
pub struct Cluster {
    processes: BTreeMap<u64, Process>,
    told: Sender<(Speaker, Word)>,
    words: Receiver<(Speaker, Word)>,
    history: History,
    started: Instant,
    /// Receipts by member.
    acked: BTreeMap<u64, u64>,
    addresses: BTreeMap<u64, String>,
    ready: BTreeSet<u64>,
    stopped: BTreeSet<u64>,
    /// The last count that each member told.
    held: BTreeMap<u64, u64>,
    /// The last view that each member told.
    views: BTreeMap<u64, View>,
    looks: u64,
}

impl Default for Cluster {
    fn default() -> Self {
        let (told, words) = channel();
        Self {
            processes: BTreeMap::new(),
            told,
            words,
            history: History::default(),
            started: Instant::now(),
            acked: BTreeMap::new(),
            addresses: BTreeMap::new(),
            ready: BTreeSet::new(),
            stopped: BTreeSet::new(),
            held: BTreeMap::new(),
            views: BTreeMap::new(),
            looks: 0,
        }
    }
}

impl Cluster {
    /// Starts a member by `command`, to which its setup is added, in place of its former process.
    pub fn start(&mut self, mut command: Command, setup: &Setup) -> Outcome<()> {
        setup.add_to(&mut command);
        let speaker = Speaker {
            index: setup.index,
            life: setup.life,
        };
        self.addresses.remove(&setup.index);
        self.ready.remove(&setup.index);
        let process = Process::start(command, speaker, self.told.clone())?;
        self.processes.insert(setup.index, process);
        Ok(())
    }

    /// Where that member listens, once it told.
    pub fn until_listening(&mut self, index: u64) -> Outcome<String> {
        self.until("an address", |cluster| {
            cluster.addresses.contains_key(&index)
        })?;
        Ok(self.addresses.get(&index).cloned().unwrap_or_default())
    }

    /// Until every member has seen as many others as it was told to.
    pub fn until_ready(&mut self) -> Outcome<()> {
        self.until("members that see each other", |cluster| {
            cluster.ready.len() == cluster.processes.len()
        })
    }

    /// Until that member, or all together, hold so many receipts.
    pub fn until_acked(&mut self, member: Option<u64>, count: u64) -> Outcome<()> {
        self.until("receipts", |cluster| cluster.acked_by(member) >= count)
    }

    /// Takes words in until `is_there`. Errors: a member ended, or `SILENCE` passed without `what`.
    fn until(&mut self, what: &str, is_there: impl Fn(&Self) -> bool) -> Outcome<()> {
        let begun = Instant::now();
        while !is_there(self) {
            if begun.elapsed() > 2 * SILENCE {
                return Err(format!("waited {} s for {what}", begun.elapsed().as_secs()));
            }
            self.step(SILENCE)?;
        }
        Ok(())
    }

    /// Takes words in for that long, whatever they are.
    pub fn pass(&mut self, time: Duration) -> Outcome<()> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.take_within(left)?;
        }
    }

    fn step(&mut self, patience: Duration) -> Outcome<()> {
        if self.take_within(patience)? {
            return Ok(());
        }
        Err(format!("no word for {} s", patience.as_secs()))
    }

    /// Takes one word in; false when none came.
    fn take_within(&mut self, time: Duration) -> Outcome<bool> {
        let (speaker, word) = match self.words.recv_timeout(time) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) => return Ok(false),
            Err(RecvTimeoutError::Disconnected) => return Err("nobody is left".into()),
        };
        let index = speaker.index;
        if let Word::Record(record) = word {
            let is_receipt = record.f == Verb::Enqueue && record.kind == Kind::Ok;
            *self.acked.entry(index).or_default() += u64::from(is_receipt);
            self.held.remove(&index);
            self.note(*record);
            return Ok(true);
        }
        let process = self.processes.get(&index);
        if process.is_none_or(|process| process.life() != speaker.life) {
            // A dead process's last words; only its records are of use.
            return Ok(true);
        }
        match word {
            Word::Held(count) => drop(self.held.insert(index, count)),
            Word::Address(address) => drop(self.addresses.insert(index, address)),
            Word::View(view) => drop(self.views.insert(index, *view)),
            Word::Ready => drop(self.ready.insert(index)),
            Word::Stopped => drop(self.stopped.insert(index)),
            Word::Gone => return Err(format!("member {index} ended by itself")),
            Word::Record(_) => {}
        }
        Ok(true)
    }

    fn note(&mut self, mut record: Record) {
        // Pipes are read by several threads, so this clock is the one that orders the history.
        record.time_ns = self.started.elapsed().as_nanos() as u64;
        self.history.push(record);
    }

    /// Receipts of that member, or of all.
    #[must_use]
    pub fn acked_by(&self, member: Option<u64>) -> u64 {
        let of = |(index, count): (&u64, &u64)| match member {
            Some(member) if *index != member => 0,
            _ => *count,
        };
        self.acked.iter().map(of).sum()
    }

    /// What every member knows now.
    pub fn look(&mut self) -> Outcome<BTreeMap<u64, View>> {
        self.looks += 1;
        let look = self.looks;
        self.tell_all(&format!("look {look}"))?;
        self.until("views", |cluster| {
            let fresh = cluster.views.values().filter(|view| view.look == look);
            fresh.count() == cluster.processes.len()
        })?;
        Ok(self.views.clone())
    }

    /// Ends the producers, then waits until every member that lives holds nothing.
    pub fn drain(&mut self) -> Outcome<()> {
        self.stopped.clear();
        self.tell_all("stop")?;
        self.until("the producers to end", |cluster| {
            cluster.stopped.len() == cluster.processes.len()
        })?;
        let begun = Instant::now();
        self.held.clear();
        while self.held.len() < self.processes.len() || self.held.values().any(|held| *held > 0) {
            if begun.elapsed() > DRAIN {
                let held = self.shelves()?;
                return Err(format!("not drained, still held: {}", held.join("; ")));
            }
            self.step(SILENCE)?;
        }
        Ok(())
    }

    /// In which states each member that holds anything holds it.
    fn shelves(&mut self) -> Outcome<Vec<String>> {
        let views = self.look()?;
        let is_shelf = |name: &str| name.starts_with("messages") || name.starts_with("tombstones");
        let shelf = |(index, view): (&u64, &View)| {
            let stats = view.stats.iter();
            let states = stats.filter(|(name, count)| is_shelf(name) && **count > 0);
            let states: Vec<_> = states
                .map(|(name, count)| format!("{name}={count}"))
                .collect();
            (!states.is_empty()).then(|| format!("member {index} {}", states.join(" ")))
        };
        Ok(views.iter().filter_map(shelf).collect())
    }

    /// SIGKILL, and what it held is forgotten here.
    pub fn kill(&mut self, member: u64) -> Outcome<()> {
        let Some(mut victim) = self.processes.remove(&member) else {
            return Err(format!("no member {member}"));
        };
        self.held.remove(&member);
        self.stopped.remove(&member);
        self.views.remove(&member);
        self.ready.remove(&member);
        victim.kill()
    }

    /// Tells one member a line.
    pub fn tell(&mut self, member: u64, line: &str) -> Outcome<()> {
        let process = self.processes.get_mut(&member);
        process.ok_or(format!("no member {member}"))?.tell(line)
    }

    /// Tells every member a line.
    pub fn tell_all(&mut self, line: &str) -> Outcome<()> {
        self.processes
            .values_mut()
            .try_for_each(|process| process.tell(line))
    }

    /// The system's numbers of the processes, by member.
    #[must_use]
    pub fn pids(&self) -> BTreeMap<u64, u32> {
        let pid = |(index, process): (&u64, &Process)| (*index, process.pid());
        self.processes.iter().map(pid).collect()
    }

    /// Ends every process. Errors: one ended badly.
    pub fn end(&mut self) -> Outcome<()> {
        self.tell_all("end")?;
        let mut processes = std::mem::take(&mut self.processes);
        processes.values_mut().try_for_each(Process::wait)
    }

    /// Judges the history of a run that was drained.
    #[must_use]
    pub fn judge(mut self) -> Report {
        self.note(Record {
            index: 0,
            time_ns: 0,
            process: 0,
            member: 0,
            kind: Kind::Info,
            f: Verb::Drained,
            key: QUEUE.into(),
            value: None,
            extra: Extra::default(),
        });
        check(&self.history, &Promise::default())
    }
}
