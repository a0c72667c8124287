//! Members that find each other, and that are the same again after a restart: in real processes,
//! each on a runtime directory of its test's own.
//!
//! The processes are this program, run again with one ignored test ([`member_process`]). They are told
//! words on their standard input and tell theirs on their output, a line each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::{LIMIT, until};
use primer::{Discover, Options, Primer};

const OPTIONS: &str = "PRIMER_TEST_OPTIONS";
/// Stands before every word, because the test harness writes to the same output.
const MARK: &str = "@ ";

/// A directory of one test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("primer-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().into()
    }

    /// Where the processes of this test meet.
    fn runtime(&self) -> String {
        self.path("runtime")
    }

    /// What lies in the one cluster's directory.
    fn entries(&self) -> Vec<String> {
        let clusters = fs::read_dir(self.runtime()).unwrap();
        let inside = clusters.flat_map(|cluster| fs::read_dir(cluster.unwrap().path()).unwrap());
        inside
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().into())
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One member's process; killed with its value.
struct Process {
    child: Child,
    input: ChildStdin,
    words: Receiver<String>,
}

impl Process {
    /// A process of `program` that opens a member with `pairs`, "key=value" by spaces.
    fn with(mut command: Command, pairs: &str) -> Self {
        command.args(["--ignored", "--exact", "--nocapture", "member_process"]);
        command.env(OPTIONS, pairs);
        command.env_remove("XDG_RUNTIME_DIR");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (told, words) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some((_, word)) = line.split_once(MARK) {
                    let _ = told.send(word.to_string());
                }
            }
        });
        Self {
            child,
            input,
            words,
        }
    }

    /// A process whose members meet in the test's runtime directory.
    fn start(scratch: &Scratch, pairs: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env("PRIMER_RUNTIME_DIR", scratch.runtime());
        Self::with(command, pairs)
    }

    /// Its next word that begins so; the rest of it.
    fn hears(&self, beginning: &str) -> String {
        loop {
            let word = self.words.recv_timeout(LIMIT);
            let word = word.unwrap_or_else(|_| panic!("never heard {beginning:?}"));
            if let Some(rest) = word.strip_prefix(beginning) {
                return rest.trim().into();
            }
        }
    }

    /// Waits until it reaches exactly `count` members, itself included.
    fn sees(&self, count: usize) {
        while self.hears("members") != count.to_string() {}
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.input, "{word}").unwrap();
    }

    fn close(mut self) {
        self.tell("close");
        self.hears("closed");
        assert!(self.child.wait().unwrap().success());
    }

    /// SIGKILL: it has no last words and clears nothing away.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{word}").unwrap();
    out.flush().unwrap();
}

/// What the processes run: a member that tells what it sees until it is told to close.
#[test]
#[ignore = "run by the other tests as a process of its own"]
fn member_process() {
    let text = std::env::var(OPTIONS).unwrap();
    let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
    let member = match Options::from_pairs(pairs).and_then(Options::open_blocking) {
        Ok(member) => member,
        Err(error) => return say(&format!("error {}", error.number())),
    };
    say(&format!("address {}", member.address().unwrap_or_default()));
    let own = |member: &Primer| member.members().unwrap().into_iter().find(|m| m.is_self);
    say(&format!("id {}", own(&member).unwrap().id));
    let (told, words) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = told.send(line);
        }
    });
    let mut last = 0;
    loop {
        let members = member.members().unwrap();
        let count = members.iter().filter(|member| member.is_reachable).count();
        if count == members.len() && count != last {
            last = count;
            say(&format!("members {count}"));
        }
        match words.recv_timeout(Duration::from_millis(5)).as_deref() {
            Ok("leave") => {
                member.leave(None, true).wait().unwrap();
                say("left");
            }
            Ok(_) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
    member.close().wait().unwrap();
    say("closed");
}

#[test]
fn two_processes_with_a_clusters_name_and_nothing_else_find_each_other() {
    let scratch = Scratch::new("two");
    let first = Process::start(&scratch, "cluster=shop");
    first.sees(1);
    let second = Process::start(&scratch, "cluster=shop");
    second.sees(2);
    first.sees(2);
    let stranger = Process::start(&scratch, "cluster=bank");
    stranger.sees(1);
    assert!(
        first.words.try_recv().is_err(),
        "another cluster is no news"
    );
    stranger.close();
    first.close();
    second.close();
    let left: Vec<String> = scratch.entries();
    assert_eq!(left, ["secret", "secret"], "members take their files away");
}

#[test]
fn who_is_killed_is_not_in_the_way_of_those_who_come() {
    let scratch = Scratch::new("killed");
    let first = Process::start(&scratch, "cluster=shop name=first");
    first.sees(1);
    first.kill();
    assert_eq!(scratch.entries().len(), 2, "its file is still there");
    // Alone from the start: nobody there is worth waiting for.
    let second = Process::start(&scratch, "cluster=shop");
    second.sees(1);
    until("the dead one's file is removed", || {
        scratch.entries().len() == 2
    });
    let third = Process::start(&scratch, "cluster=shop");
    third.sees(2);
    second.sees(2);
    let again = Process::start(&scratch, "cluster=shop name=first");
    again.sees(3);
    second.sees(3);
    for process in [second, third, again] {
        process.close();
    }
}

#[test]
fn processes_that_start_at_one_instant_are_one_cluster() {
    let scratch = Scratch::new("instant");
    for round in 0..3 {
        let pairs = format!("cluster=shop-{round}");
        let start = |_| Process::start(&scratch, &pairs);
        let processes: Vec<Process> = (0..6).map(start).collect();
        for process in &processes {
            process.sees(6);
        }
        for process in processes {
            process.close();
        }
    }
}

#[test]
fn who_left_is_not_found_and_the_others_are() {
    let scratch = Scratch::new("left");
    let mut first = Process::start(&scratch, "cluster=shop");
    first.sees(1);
    let second = Process::start(&scratch, "cluster=shop");
    second.sees(2);
    first.sees(2);
    first.tell("leave");
    first.hears("left");
    first.sees(1);
    second.sees(1);
    until("it is not to be found", || scratch.entries().len() == 2);
    let third = Process::start(&scratch, "cluster=shop");
    third.sees(2);
    second.sees(2);
    assert!(
        first.words.try_recv().is_err(),
        "the one that left stays alone"
    );
    for process in [first, second, third] {
        process.close();
    }
}

#[test]
fn a_runtime_directory_that_others_can_use_is_refused() {
    let scratch = Scratch::new("open");
    fs::create_dir(scratch.runtime()).unwrap();
    let mode = |mode| fs::set_permissions(scratch.runtime(), fs::Permissions::from_mode(mode));
    mode(0o777).unwrap();
    let refused = Process::start(&scratch, "cluster=shop");
    assert_eq!(refused.hears("error"), "101");
    // Whoever does not need it does not look at it.
    let alone = Process::start(&scratch, "cluster=shop discover=none");
    alone.sees(1);
    alone.close();
    mode(0o700).unwrap();
    let member = Process::start(&scratch, "cluster=shop");
    member.sees(1);
    member.close();
}

#[test]
fn without_a_directory_that_can_be_written_a_member_works_alone() {
    let scratch = Scratch::new("nowhere");
    fs::write(scratch.path("file"), b"").unwrap();
    let start = |pairs| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env("PRIMER_RUNTIME_DIR", scratch.path("file/below"));
        Process::with(command, pairs)
    };
    let alone = start("cluster=shop");
    alone.sees(1);
    alone.close();
    let asked = start("cluster=shop discover=local");
    assert_eq!(asked.hears("error"), "502");
}

#[test]
fn a_seed_and_a_clusters_name_lead_to_the_same_members() {
    let scratch = Scratch::new("seed");
    let first = Process::start(&scratch, "cluster=shop");
    let address = first.hears("address");
    first.sees(1);
    let pairs = format!("cluster=shop seeds={address}");
    let second = Process::start(&scratch, &pairs);
    second.sees(2);
    first.sees(2);
    assert_eq!(
        scratch.entries().len(),
        2,
        "who is led there is not looked for"
    );
    // It does not know what those who meet by the name know.
    let stranger = Process::start(&scratch, &format!("{pairs} discover=none"));
    stranger.sees(1);
    first.close();
    second.close();
    stranger.close();
}

#[test]
fn members_with_a_secret_of_their_own_find_each_other_by_name_too() {
    let scratch = Scratch::new("secret");
    let secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let pairs = format!("cluster=shop secret={secret}");
    let [first, second] = [(); 2].map(|()| Process::start(&scratch, &pairs));
    first.sees(2);
    second.sees(2);
    first.close();
    second.close();
}

/// Needs root: nobody else can start a process of another user.
#[test]
fn different_users_never_meet() {
    const OTHER: u32 = 12_345;
    let scratch = Scratch::new("users");
    if fs::metadata(&scratch.0).unwrap().uid() != 0 {
        return eprintln!("not run: this needs root");
    }
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o1777)).unwrap();
    // Where the other user can run it.
    let program = scratch.0.join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let command = |user: u32| {
        let mut command = Command::new(&program);
        command.uid(user).gid(user).current_dir("/");
        command
    };
    let start = |user| {
        let mut command = command(user);
        command.env_remove("PRIMER_RUNTIME_DIR");
        command.env("TMPDIR", &scratch.0);
        Process::with(command, "cluster=shop")
    };
    let ours = [start(0), start(0)];
    let theirs = [start(OTHER), start(OTHER)];
    for process in ours.iter().chain(&theirs) {
        process.sees(2);
    }
    for user in [0, OTHER] {
        let place = fs::metadata(scratch.path(&format!("primer-{user}"))).unwrap();
        assert_eq!((place.uid(), place.mode() & 0o777), (user, 0o700));
    }
    // Not by asking for it, either.
    let mut command = command(OTHER);
    command.env("PRIMER_RUNTIME_DIR", scratch.path("primer-0"));
    let intruder = Process::with(command, "cluster=shop");
    assert_eq!(intruder.hears("error"), "101");
    for process in ours.into_iter().chain(theirs) {
        assert!(process.words.try_recv().is_err(), "no news of others");
        process.close();
    }
}

#[test]
fn a_killed_process_is_the_same_member_again_by_its_directory() {
    let scratch = Scratch::new("data");
    let pairs = format!("cluster=shop data_dir={}", scratch.path("data"));
    let first = Process::start(&scratch, &pairs);
    let id = first.hears("id");
    let twin = Process::start(&scratch, &pairs);
    assert_eq!(twin.hears("error"), "108");
    first.kill();
    let again = Process::start(&scratch, &pairs);
    assert_eq!(again.hears("id"), id);
    again.close();
    let other = format!("cluster=bank data_dir={}", scratch.path("data"));
    let stranger = Process::start(&scratch, &other);
    assert_eq!(stranger.hears("error"), "107");
    fs::write(scratch.path("data/identity"), "primer identity 1\n").unwrap();
    let broken = Process::start(&scratch, &pairs);
    assert_eq!(broken.hears("error"), "503");
}

#[test]
fn a_member_that_is_closed_can_be_opened_again_at_once() {
    let scratch = Scratch::new("again");
    let open = || {
        let options = Options::default().data_dir(scratch.path("data"));
        options.open_blocking()
    };
    let first = open().unwrap();
    assert_eq!(open().unwrap_err().number(), 108);
    let id = first.members().unwrap()[0].id;
    first.close().wait().unwrap();
    let second = open().unwrap();
    assert_eq!(second.members().unwrap()[0].id, id);
    second.close().wait().unwrap();
}

#[test]
fn a_seed_that_is_this_member_itself_is_left_alone() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let options = Options::new("mirror").discover(Discover::None);
    let member = options
        .listen(&address)
        .seed(&address)
        .open_blocking()
        .unwrap();
    let events = member.events();
    // `open` returned because nobody else is there to wait for: one dial was enough.
    assert_eq!(member.stats().unwrap().get("dials"), 1);
    assert!(events.take(10).is_empty());
    member.close().wait().unwrap();
}

/// Runs `program` where `hosts` says what names mean; none where that cannot be arranged.
fn with_hosts(hosts: &Path) -> Option<Command> {
    let mount = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let wrap = |program: &Path| {
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", mount])
            .arg(hosts)
            .arg(program);
        command
    };
    let is_possible = wrap(Path::new("true"))
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    is_possible.then(|| wrap(&std::env::current_exe().unwrap()))
}

/// Needs root: what a name means here is said in a mount namespace.
#[test]
fn a_name_leads_to_every_member_behind_it_also_to_those_that_come_later() {
    let scratch = Scratch::new("name");
    let hosts = scratch.0.join("hosts");
    // In place: the mount shows this very file.
    let means = |addresses: &[&str]| {
        let line = |address: &&str| format!("{address} members.primer.test\n");
        fs::write(&hosts, addresses.iter().map(line).collect::<String>()).unwrap();
    };
    means(&["127.0.0.1", "127.0.0.2"]);
    let Some(command) = with_hosts(&hosts) else {
        return eprintln!("not run: this needs a mount namespace");
    };
    let island = |address: &str| {
        let pairs = format!("cluster=shop discover=none listen={address}");
        let process = Process::start(&scratch, &pairs);
        (process.hears("address"), process)
    };
    let (address, first) = island("127.0.0.1:0");
    let port = address.rsplit_once(':').unwrap().1.to_string();
    let (_, second) = island(&format!("127.0.0.2:{port}"));
    let (_, third) = island(&format!("127.0.0.3:{port}"));
    for process in [&first, &second, &third] {
        process.sees(1);
    }
    let pairs = format!("cluster=shop discover=none seeds=members.primer.test:{port}");
    let seeker = Process::with(command, &pairs);
    // Islands that know nothing of each other: it dialled both.
    seeker.sees(3);
    means(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    seeker.sees(4);
    for process in [&first, &second, &third] {
        process.sees(4);
    }
    for process in [first, second, third, seeker] {
        process.close();
    }
}
