//! A member's process as the harness holds it: its words as a stream, and an end whatever happens.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Sender;

use primer_check::Record;

use crate::Outcome;

/// A line of a member.
#[derive(Debug)]
pub enum Word {
    /// Where it listens.
    Address(String),
    /// It sees all members.
    Ready,
    /// Something that happened.
    Record(Box<Record>),
    /// It produces no more.
    Stopped,
    /// So many messages are held there; told when nothing came for a while.
    Held(u64),
    /// Its output ended: it has.
    Gone,
}

/// A member's process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
}

impl Process {
    /// Starts this program as a member; its words go to `words` with its index.
    pub fn start(index: u64, seed: Option<&str>, words: Sender<(u64, Word)>) -> Outcome<Self> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        Self::start_program(&program, index, seed, words)
    }

    fn start_program(
        program: &std::path::Path,
        index: u64,
        seed: Option<&str>,
        words: Sender<(u64, Word)>,
    ) -> Outcome<Self> {
        let mut command = Command::new(program);
        command.arg("member").arg(index.to_string()).args(seed);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a member without pipes".into());
        };
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // A killed process may leave half a line, which is nobody's word.
                if let Some(word) = parse(&line)
                    && words.send((index, word)).is_err()
                {
                    return;
                }
            }
            let _ = words.send((index, Word::Gone));
        });
        Ok(Self { child, input })
    }

    /// Tells it one word.
    pub fn tell(&mut self, word: &str) -> Outcome<()> {
        writeln!(self.input, "{word}").map_err(|error| format!("telling {word}: {error}"))
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Outcome<()> {
        self.child.kill().map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Waits for its end. Errors: it ended badly.
    pub fn wait(&mut self) -> Outcome<()> {
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        Err(format!("a member ended with {status}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already, in a run that went well.
        let _ = self.kill();
    }
}

fn parse(line: &str) -> Option<Word> {
    if line.starts_with('{') {
        return serde_json::from_str(line)
            .ok()
            .map(|record| Word::Record(Box::new(record)));
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "address" => Some(Word::Address(rest.into())),
        "ready" => Some(Word::Ready),
        "stopped" => Some(Word::Stopped),
        "held" => rest.parse().ok().map(Word::Held),
        _ => None,
    }
}
