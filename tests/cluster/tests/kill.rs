//! The kill test once, as a part of `cargo test`; `make kill` repeats it.

use std::process::Command;

#[test]
fn a_killed_member_takes_no_acknowledged_message_with_it() {
    let program = env!("CARGO_BIN_EXE_primer-cluster");
    let output = Command::new(program)
        .args(["--runs", "1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let closing = text.lines().last().unwrap();
    assert!(
        closing.starts_with("kill: runs=1 acked=") && closing.ends_with("lost=0"),
        "{closing}"
    );
}
