//! A message whose handler ends its own process, and with it the owner: members with a copy each, all of
//! which consume it. Some of them die of it, and then it is a dead letter.

use std::io::BufRead;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use primer::{Options, Primer, ReceiveOptions};

use crate::member::{hand, tell};
use crate::{Outcome, text};

/// Two more than it takes: on a busy machine an announcement may be told too late to be of use.
const MEMBERS: usize = 7;
const MAX_ATTEMPTS: usize = 3;
/// No word for this long, and the run has failed.
const SILENCE: Duration = Duration::from_secs(90);
/// Well beyond any run: nobody waits that long for a message.
const WAIT: Duration = Duration::from_secs(600);

/// What a run was.
#[derive(Debug, PartialEq, Eq)]
pub struct Poisoned {
    /// Processes that the message ended.
    pub deaths: usize,
    /// What its dead letter says of its attempts.
    pub attempts: String,
}

/// One process: a member that consumes and dies of what it gets. It enqueues that on the word `go`.
pub fn take(options: &[&str]) -> Outcome<()> {
    let pairs = options.iter().filter_map(|pair| pair.split_once('='));
    let options = Options::from_pairs(pairs).map_err(text)?;
    let member = Primer::start(options).map_err(text)?;
    tell(&format!(
        "address {}",
        member.address().ok_or("no address")?
    ))?;
    let jobs = member.queue("jobs").map_err(text)?;
    let dead = member.queue("jobs.dead").map_err(text)?;
    let consumed = jobs.clone();
    hand(move || {
        let got = consumed.receive(&patiently()).wait().map_err(text)?;
        if got.is_empty() {
            return Ok(());
        }
        // As a handler does that runs out of memory, or into a fault of a library.
        std::process::abort()
    });
    hand(move || {
        for letter in dead.receive(&patiently()).wait().map_err(text)? {
            let headers = letter.headers();
            let attempts = headers.iter().find(|(key, _)| key == "primer-attempts");
            tell(&format!("dead {}", attempts.map_or("", |(_, value)| value)))?;
        }
        Ok(())
    });
    for line in std::io::stdin().lock().lines() {
        match line.map_err(text)?.as_str() {
            "go" => drop(jobs.enqueue("poison").wait().map_err(text)?),
            "look" => {
                let members = member.members().map_err(text)?;
                let seen = members.iter().filter(|one| one.is_reachable).count();
                tell(&format!("sees {seen}"))?;
            }
            line => return Err(format!("there is no word {line:?}")),
        }
    }
    Ok(())
}

fn patiently() -> ReceiveOptions {
    ReceiveOptions {
        wait: WAIT,
        ..ReceiveOptions::default()
    }
}

/// Kills what it holds.
struct Taker(Child, ChildStdin);

impl Drop for Taker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `program` that often and gives one of them the message. Errors: silence.
pub fn run(program: &str) -> Outcome<Poisoned> {
    let (told, words) = channel();
    let mut takers: Vec<Taker> = Vec::new();
    let mut seed = String::new();
    for index in 0..MEMBERS {
        let (taker, output) = start(program, &seed)?;
        let told = told.clone();
        std::thread::spawn(move || {
            for line in std::io::BufReader::new(output)
                .lines()
                .map_while(Result::ok)
            {
                let _ = told.send((index, line));
            }
            let _ = told.send((index, "gone".into()));
        });
        takers.push(taker);
        let word = next(&words)?;
        if index == 0 {
            seed = word.strip_prefix("address ").ok_or("no address")?.into();
        }
    }
    until_all_see_all(&mut takers, &words)?;
    say(&mut takers, 0, "go")?;
    let mut deaths = 0;
    loop {
        let word = next(&words)?;
        if let Some(attempts) = word.strip_prefix("dead ") {
            let attempts = attempts.into();
            return Ok(Poisoned { deaths, attempts });
        }
        deaths += usize::from(word == "gone");
        if deaths == MEMBERS {
            return Err("the message ended every member".into());
        }
    }
}

fn start(program: &str, seed: &str) -> Outcome<(Taker, ChildStdout)> {
    let mut command = Command::new(program);
    command.args([
        "taker",
        "cluster=poison",
        "discover=none",
        "takeover_after_ms=300",
    ]);
    command.args([format!("copies={MEMBERS}"), format!("seeds={seed}")]);
    command.args([
        format!("max_attempts={MAX_ATTEMPTS}"),
        "on_short=fail".into(),
    ]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    // What an aborting process says of itself is no news.
    command.stderr(Stdio::null());
    let mut child = command.spawn().map_err(text)?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(input), Some(output)) => Ok((Taker(child, input), output)),
        _ => Err("a member without pipes".into()),
    }
}

fn next(words: &Receiver<(usize, String)>) -> Outcome<String> {
    let word = words.recv_timeout(SILENCE);
    word.map(|(_, word)| word).map_err(text)
}

fn say(takers: &mut [Taker], index: usize, line: &str) -> Outcome<()> {
    use std::io::Write;
    let taker = takers.get_mut(index).ok_or("no such member")?;
    writeln!(taker.1, "{line}").map_err(text)
}

fn until_all_see_all(takers: &mut [Taker], words: &Receiver<(usize, String)>) -> Outcome<()> {
    let all = format!("sees {MEMBERS}");
    for index in 0..takers.len() {
        loop {
            say(takers, index, "look")?;
            if next(words)? == all {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}
