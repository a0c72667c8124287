//! A member's process as the harness holds it: its words as a stream, and an end whatever happens.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Sender;

use primer_check::Record;

use crate::member::View;
use crate::{Outcome, text};

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
    /// What it knows, as it was asked.
    View(Box<View>),
    /// Its output ended: it has.
    Gone,
}

/// Whose word it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Speaker {
    /// Which member.
    pub index: u64,
    /// Which of its processes.
    pub life: u64,
}

/// A member's process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
    speaker: Speaker,
}

impl Process {
    /// Starts `command`; its words go to `words` with `speaker`.
    pub fn start(
        mut command: Command,
        speaker: Speaker,
        words: Sender<(Speaker, Word)>,
    ) -> Outcome<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(text)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a member without pipes".into());
        };
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // A killed process may leave half a line, which is nobody's word.
                if let Some(word) = parse(&line)
                    && words.send((speaker, word)).is_err()
                {
                    return;
                }
            }
            let _ = words.send((speaker, Word::Gone));
        });
        Ok(Self {
            child,
            input,
            speaker,
        })
    }

    /// Which of the member's processes this is.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.speaker.life
    }

    /// The system's number for it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it one line.
    pub fn tell(&mut self, line: &str) -> Outcome<()> {
        writeln!(self.input, "{line}").map_err(|error| format!("telling {line}: {error}"))
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Outcome<()> {
        self.child.kill().map_err(text)?;
        self.child.wait().map_err(text)?;
        Ok(())
    }

    /// Waits for its end. Errors: it ended badly.
    pub fn wait(&mut self) -> Outcome<()> {
        let status = self.child.wait().map_err(text)?;
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
        let record = serde_json::from_str(line).ok()?;
        return Some(Word::Record(Box::new(record)));
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "address" => Some(Word::Address(rest.into())),
        "ready" => Some(Word::Ready),
        "stopped" => Some(Word::Stopped),
        "held" => rest.parse().ok().map(Word::Held),
        "view" => Some(Word::View(serde_json::from_str(rest).ok()?)),
        _ => None,
    }
}
