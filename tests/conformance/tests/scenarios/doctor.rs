//! The step that asks why nothing is delivered.

use std::thread::sleep;
use std::time::{Duration, Instant};

use primer::{Diagnosis, Finding};
use primer_conformance::scenario::{Step, Word};

use crate::expect::{Given, settle};
use crate::world::{PATIENCE, Told, World, number};

impl World {
    /// Waits until just these findings are given.
    pub fn doctor(&mut self, step: &Step) -> Told<Option<Given>> {
        let missing = number(step, "missing")?.unwrap_or(0);
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.queue(step).and_then(|queue| queue.doctor().wait());
            let Some(told) = settle(told, &step.expect)? else {
                return Ok(None);
            };
            if told.missing.len() == missing && is_found(step, &told)? {
                return Ok(None);
            }
            if Instant::now() > end {
                return Err(format!("it is {told:?} after {PATIENCE:?}"));
            }
            sleep(Duration::from_millis(10));
        }
    }
}

/// Each finding, in order.
fn is_found(step: &Step, told: &Diagnosis) -> Told<bool> {
    if told.findings.len() != step.expect.len() || told.facts.is_empty() {
        return Ok(false);
    }
    for (finding, words) in told.findings.iter().zip(&step.expect) {
        for word in words {
            if !is_so(finding, word)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn is_so(finding: &Finding, word: &Word) -> Told<bool> {
    let text = word.text();
    match word.key.as_deref() {
        None => Ok(finding.code == text),
        Some("messages") => Ok(finding.messages.to_string() == text),
        Some("members") => Ok(finding.members.len().to_string() == text),
        Some("group") => Ok(finding.group.as_ref() == Some(&text)),
        Some(other) => Err(format!("a finding has no `{other}`")),
    }
}
