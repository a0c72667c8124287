//! One process of the cluster: a member that obeys its harness.
//!
//! It hears words on its standard input, a line each, and tells records and words on its standard output.
//! `go` begins the load and `stop` ends its producing half; `put KEY VALUE` writes metadata; `look N`
//! asks for a [`View`]; `end` closes it. An input that ends is a harness that is gone, and so is the
//! member then. A line is written before what it promises goes on: a killed process has told all that
//! anyone else may have seen of it.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::process::Command;
use std::time::Duration;

use primer::{Options, Primer};
use serde::{Deserialize, Serialize};

use crate::load::{COPIES, Load};
use crate::{Outcome, text};

/// How a member is started: the arguments of its process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The harness's number for it.
    pub index: u64,
    /// How often it was started before. Values of another life are other values.
    pub life: u64,
    /// Members that it must see before it says that it is ready.
    pub members: usize,
    /// Between two enqueues; zero for one after the other.
    pub pace: Duration,
    /// What a consumer does with each delivery before its ack, while anyone produces. Longer than the
    /// pace it leaves a backlog: a member that holds nothing has nothing to lose.
    pub work: Duration,
    /// Options as pairs of strings.
    pub options: Vec<(String, String)>,
}

impl Setup {
    /// The same with one more option.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.options.push((key.into(), value.to_string()));
        self
    }

    /// The copies that its producer asks for: those of its options.
    #[must_use]
    pub fn copies(&self) -> u16 {
        let set = self.options.iter().rev().find(|(key, _)| key == "copies");
        set.and_then(|(_, value)| value.parse().ok())
            .unwrap_or(COPIES)
    }

    /// Adds what [`Setup::parse`] reads to `command`.
    pub fn add_to(&self, command: &mut Command) {
        command.arg("member");
        command.args([self.index, self.life, self.members as u64].map(|number| number.to_string()));
        command.args([self.pace, self.work].map(|time| time.as_millis().to_string()));
        for (key, value) in &self.options {
            command.arg(format!("{key}={value}"));
        }
    }

    /// Reads the arguments behind the word `member`. Errors: what is wrong with them.
    pub fn parse(words: &[&str]) -> Outcome<Self> {
        let [index, life, members, pace_ms, work_ms, options @ ..] = words else {
            return Err("a member has five numbers and its options".into());
        };
        let pair = |word: &&str| {
            let (key, value) = word.split_once('=')?;
            Some((key.to_string(), value.to_string()))
        };
        let options: Option<Vec<_>> = options.iter().map(pair).collect();
        Ok(Self {
            index: number(index)?,
            life: number(life)?,
            members: number(members)? as usize,
            pace: Duration::from_millis(number(pace_ms)?),
            work: Duration::from_millis(number(work_ms)?),
            options: options.ok_or("an option is key=value")?,
        })
    }
}

/// A number. Errors: it is none.
pub fn number(text: &str) -> Outcome<u64> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

/// What a member knows of the cluster, as it tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The number that was asked with.
    pub look: u64,
    /// The ids of the member set.
    pub members: Vec<String>,
    /// How many of them it hears, itself included.
    pub reachable: usize,
    /// Every key of the users' with its value.
    pub keys: BTreeMap<String, String>,
    /// Its stats.
    pub stats: BTreeMap<String, u64>,
}

/// Runs a member until it is told to end. Errors: it could not open, or its harness is gone.
pub fn run(setup: &Setup) -> Outcome<()> {
    let options = Options::from_pairs(setup.options.iter().map(|(key, value)| (key, value)));
    let member = Primer::start(options.map_err(text)?).map_err(text)?;
    let address = member.address().ok_or("no address")?;
    tell(&format!("address {address}"))?;
    let (waiting, expected) = (member.clone(), setup.members);
    hand(move || wait_for_all(&waiting, expected));
    let mut load = Load::new(&member, setup)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(text)?;
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["go"] => load.go(),
            ["stop"] => load.stop(),
            ["put", key, value] => member.put(key, value.to_string()).map_err(text)?,
            ["look", look] => tell(&look_about(&member, number(look)?)?)?,
            ["end"] => {
                load.end()?;
                return member.close().wait().map_err(text);
            }
            _ => return Err(format!("there is no word {line:?}")),
        }
    }
    Err("the harness is gone".into())
}

/// Runs `work` beside the rest; when it fails, so does this process.
pub(crate) fn hand(
    work: impl FnOnce() -> Outcome<()> + Send + 'static,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        if let Err(why) = work() {
            eprintln!("member: {why}");
            std::process::exit(1);
        }
    })
}

/// Writes one line to the harness.
pub(crate) fn tell(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(text)
}

/// Every change of the set or of reachability is an event: look again after each.
fn wait_for_all(member: &Primer, expected: usize) -> Outcome<()> {
    let events = member.events();
    loop {
        let members = match member.members() {
            Ok(members) => members,
            Err(_) if member.is_closed() => return Ok(()),
            Err(error) => return Err(text(error)),
        };
        if members.iter().filter(|one| one.is_reachable).count() >= expected {
            return tell("ready");
        }
        // Not every link makes an event, so the look is repeated.
        let _ = events.next().wait_for(Duration::from_millis(100));
    }
}

fn look_about(member: &Primer, look: u64) -> Outcome<String> {
    let members = member.members().map_err(text)?;
    let keys = member.list("").map_err(text)?;
    let stats = member.stats().map_err(text)?;
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let view = View {
        look,
        reachable: members.iter().filter(|one| one.is_reachable).count(),
        members: members.iter().map(|one| one.id.to_string()).collect(),
        keys: keys
            .into_iter()
            .map(|entry| (entry.key, shown(&entry.value)))
            .collect(),
        stats: stats
            .iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
    };
    let json = serde_json::to_string(&view).map_err(text)?;
    Ok(format!("view {json}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_is_started_with_is_what_it_reads() {
        let setup = Setup {
            index: 3,
            life: 2,
            members: 5,
            pace: Duration::from_millis(7),
            work: Duration::from_millis(9),
            options: Vec::new(),
        }
        .with("cluster", "kill")
        .with("lease_ms", 2_000);
        let mut command = Command::new("program");
        setup.add_to(&mut command);
        let words: Vec<&str> = command
            .get_args()
            .filter_map(|word| word.to_str())
            .collect();
        assert_eq!(words[0], "member");
        assert_eq!(Setup::parse(&words[1..]), Ok(setup));
        assert!(Setup::parse(&["1", "2", "3", "4", "5", "cluster"]).is_err());
        assert!(Setup::parse(&["1", "2", "3", "4"]).is_err());
    }
}
