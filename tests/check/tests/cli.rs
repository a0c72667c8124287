//! The command: what it prints and how it exits.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn judge(arguments: &[&str], lines: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_primer-check"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments may be gone before it reads.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child.wait_with_output().unwrap()
}

const TWICE: &str = r#"{"index":0,"time_ns":1,"process":1,"member":0,"type":"invoke","f":"enqueue","key":"q","value":"1-1"}
{"index":1,"time_ns":2,"process":1,"member":0,"type":"ok","f":"enqueue","key":"q","value":"1-1"}
{"index":2,"time_ns":3,"process":2,"member":0,"type":"ok","f":"receive","key":"q","value":"1-1"}
{"index":3,"time_ns":4,"process":2,"member":0,"type":"ok","f":"receive","key":"q","value":"1-1"}
"#;

#[test]
fn a_good_history_prints_its_figures_and_exits_zero() {
    let output = judge(&["-"], TWICE);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("duplicated         1\n"), "{text}");
    assert!(text.ends_with("check: violations=0\n"), "{text}");
}

#[test]
fn a_broken_promise_is_named_and_exits_one() {
    let output = judge(&["--exactly-once", "-"], TWICE);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("violation not-once 1-1: 2 deliveries\n"),
        "{text}"
    );
    assert!(text.ends_with("check: violations=1\n"), "{text}");
}

#[test]
fn what_cannot_be_read_exits_two() {
    assert_eq!(judge(&["-"], "what?").status.code(), Some(2));
    assert_eq!(judge(&["no/such/file"], "").status.code(), Some(2));
    assert_eq!(judge(&["--no-such-flag", "-"], "").status.code(), Some(2));
    assert_eq!(judge(&[], "").status.code(), Some(2));
}
