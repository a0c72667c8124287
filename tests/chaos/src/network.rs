//! A network of this run's own: a namespace for each member, and one with the bridge between them.
//!
//! Nothing of it is in the machine's own namespace but the names, which hold this process's number. All is
//! made by `ip`, cut by `iptables` inside the namespaces, and removed when the value is dropped, on
//! Ctrl-C, and, after a crash, by the next run. Delays need netem, which few machines have;
//! a token bucket makes a link slow instead.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use primer_cluster::{Outcome, text};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::shape::{Cut, unheard_by};

/// What the names of all namespaces begin with; the number of the run's process follows.
const PREFIX: &str = "primer-chaos-";
const PORT: u16 = 7400;
/// The members of one third byte of the address.
const BLOCK: u64 = 250;

/// Ctrl-C came: everything is being removed, and nothing new may be made.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Namespaces of members that hear each other, until they are cut.
#[derive(Debug)]
pub struct Network {
    prefix: String,
    members: u64,
}

impl Network {
    /// Makes the namespaces of so many members. Errors: what this machine does not allow.
    pub fn new(members: u64) -> Outcome<Self> {
        // Made first: what is half made is removed, too.
        let network = Self {
            prefix: format!("{PREFIX}{}-", std::process::id()),
            members,
        };
        let hub = format!("{}hub", network.prefix);
        ip(&["netns", "add", &hub])?;
        let mut plan = String::from("link add bridge type bridge\nlink set bridge up\n");
        for member in 0..members {
            if is_interrupted() {
                return Err("interrupted".into());
            }
            let name = network.name(member);
            ip(&["netns", "add", &name])?;
            plan.push_str(&format!(
                "link add m{member} type veth peer name eth0 netns {name}\n\
                 link set m{member} master bridge up\n"
            ));
        }
        in_namespace(&hub, "ip", &["-batch", "-"]).and_then(|ip| feed(ip, &plan))?;
        network.in_all(&["ip", "-batch", "-"], |member| {
            let address = address(member);
            format!("link set lo up\naddr add {address}/16 dev eth0\nlink set eth0 up\n")
        })?;
        Ok(network)
    }

    /// Where that member is told to listen.
    #[must_use]
    pub fn listen(member: u64) -> String {
        format!("{}:{PORT}", address(member))
    }

    /// A command that runs `program` where that member lives.
    pub fn command(&self, member: u64, program: &str) -> Outcome<Command> {
        in_namespace(&self.name(member), program, &[])
    }

    /// From now on exactly these members do not hear those; nobody is cut off when it is empty.
    pub fn cut(&self, cut: &Cut) -> Outcome<()> {
        self.in_all(&["iptables-restore"], |member| {
            let drops = unheard_by(cut, member)
                .map(|unheard| format!("-A INPUT -s {} -j DROP\n", address(unheard)));
            format!(
                "*filter\n:INPUT ACCEPT\n{}COMMIT\n",
                drops.collect::<String>()
            )
        })
    }

    /// Makes what that member sends slow: 32 KiB a second behind a queue of half a second. Or as it was.
    pub fn slow(&self, member: u64, is_slow: bool) -> Outcome<()> {
        let name = self.name(member);
        let arguments: &[&str] = match is_slow {
            true => &[
                "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "256kbit", "burst",
                "4kb", "latency", "500ms",
            ],
            false => &["qdisc", "del", "dev", "eth0", "root"],
        };
        in_namespace(&name, "tc", arguments).and_then(|tc| feed(tc, ""))
    }

    fn name(&self, member: u64) -> String {
        format!("{}{member}", self.prefix)
    }

    /// Runs `words` in every member's namespace, all at once, each with its own input.
    fn in_all(&self, words: &[&str], input: impl Fn(u64) -> String) -> Outcome<()> {
        let (program, arguments) = words.split_first().ok_or("no program")?;
        let mut outcomes = Vec::new();
        std::thread::scope(|scope| {
            let hands: Vec<_> = (0..self.members)
                .map(|member| {
                    let (name, input) = (self.name(member), input(member));
                    scope.spawn(move || {
                        in_namespace(&name, program, arguments)
                            .and_then(|command| feed(command, &input))
                    })
                })
                .collect();
            let ended = hands.into_iter().map(|hand| {
                let outcome = hand.join();
                outcome.unwrap_or_else(|_| Err("a thread panicked".into()))
            });
            outcomes.extend(ended);
        });
        outcomes.into_iter().collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if !is_interrupted() {
            remove(&self.prefix);
        }
    }
}

/// Tries everything that the scenarios need, once. Errors: why they cannot run here.
pub fn try_out() -> Outcome<()> {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces need root".into());
    }
    let network = Network::new(2)?;
    network.cut(&crate::shape::Shape::Halves.cut(2))?;
    network.cut(&Cut::new())
}

/// Whether links can be made slow here. Errors: why not.
pub fn try_slow() -> Outcome<()> {
    let network = Network::new(1)?;
    network.slow(0, true)?;
    network.slow(0, false)
}

/// Removes what earlier runs left that did not end by themselves.
pub fn sweep() {
    for name in names(PREFIX) {
        let pid = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let Some(pid) = pid else { continue };
        if !std::path::Path::new("/proc").join(pid).exists() {
            remove(&format!("{PREFIX}{pid}-"));
        }
    }
}

/// On Ctrl-C and its like: removes what this run has made, and ends.
pub fn guard() -> Outcome<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(text)?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            IS_INTERRUPTED.store(true, Ordering::SeqCst);
            eprintln!("chaos: interrupted");
            remove(&format!("{PREFIX}{}-", std::process::id()));
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// True once the run is being ended from outside: what fails then tells nothing.
#[must_use]
pub fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::SeqCst)
}

/// Kills who is in the namespaces of that name and removes them; their links go with them.
fn remove(prefix: &str) {
    for name in names(prefix) {
        let pids = ip(&["netns", "pids", &name]).unwrap_or_default();
        for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            // Some members are stopped, and such a one hears nothing else. Gone is as good.
            let _ = send(pid, Signal::KILL);
        }
        if let Err(why) = ip(&["netns", "delete", &name]) {
            eprintln!("chaos: {name} stays: {why}");
        }
    }
}

fn names(prefix: &str) -> Vec<String> {
    let listed = ip(&["netns", "list"]).unwrap_or_default();
    let firsts = listed.lines().filter_map(|line| line.split(' ').next());
    firsts
        .filter(|name| name.starts_with(prefix))
        .map(String::from)
        .collect()
}

/// Sends a signal to a process.
pub fn send(pid: u32, signal: Signal) -> Outcome<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.ok_or("not the number of a process")?, signal).map_err(text)
}

fn address(member: u64) -> String {
    format!("10.77.{}.{}", member / BLOCK, member % BLOCK + 1)
}

fn in_namespace(name: &str, program: &str, arguments: &[&str]) -> Outcome<Command> {
    let mut command = tool("ip");
    command
        .args(["netns", "exec", name, program])
        .args(arguments);
    Ok(command)
}

fn ip(arguments: &[&str]) -> Outcome<String> {
    let mut command = tool("ip");
    command.args(arguments);
    heard(command)
}

/// A program that may lie where only root looks.
fn tool(program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

fn heard(mut command: Command) -> Outcome<String> {
    let output = command.output().map_err(|error| told(&command, error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(told(&command, String::from_utf8_lossy(&output.stderr)))
}

/// Runs a command with that input.
fn feed(mut command: Command, input: &str) -> Outcome<()> {
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| told(&command, error))?;
    if let Some(mut to) = child.stdin.take() {
        // One that has ended already says why by itself.
        let _ = to.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(text)?;
    if output.status.success() {
        return Ok(());
    }
    Err(told(&command, String::from_utf8_lossy(&output.stderr)))
}

fn told(command: &Command, why: impl std::fmt::Display) -> String {
    let words = command.get_args().map(|word| word.to_string_lossy());
    let words: Vec<_> = words.collect();
    let program = command.get_program().to_string_lossy();
    format!("{program} {}: {}", words.join(" "), why.to_string().trim())
}
