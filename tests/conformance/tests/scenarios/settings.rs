//! Steps about what queues are told.

use std::thread::sleep;
use std::time::{Duration, Instant};

use primer::{QueueOptions, Result};
use primer_conformance::scenario::Step;

use crate::expect::{Given, is_only, settle};
use crate::world::{PATIENCE, Told, World, name};

impl World {
    /// Does one such step.
    pub fn setting(&mut self, step: &Step) -> Told<Option<Given>> {
        let member = || self.member(&name(step, 0)).map(|member| &member.0);
        let done = match step.verb.as_str() {
            "configuration" => {
                let known = || {
                    let options = self.queue(step)?.configuration()?;
                    let pairs = options.iter();
                    Ok(pairs.map(|(key, value)| format!("{key}={value}")).collect())
                };
                return becomes(step, known);
            }
            "policies" => {
                let known_by = member()?;
                let known = || {
                    let policies = known_by.policies()?;
                    Ok(policies.into_keys().collect())
                };
                return becomes(step, known);
            }
            "configure" => self
                .queue(step)
                .and_then(|queue| queue.configure(&options(step))),
            "pause" => self
                .queue(step)
                .and_then(|queue| queue.pause(&name(step, 2))),
            "resume" => self.queue(step).and_then(|queue| queue.resume()),
            "purge" => self.queue(step).and_then(|queue| queue.purge()),
            "set_policy" => member()?.set_policy(&name(step, 1), &options(step)),
            _ => member()?.remove_policy(&name(step, 1)),
        };
        Ok(settle(done, &step.expect)?.map(|()| Given::Done))
    }
}

/// Settings between spaces.
fn options(step: &Step) -> QueueOptions {
    let text = name(step, 2);
    let pairs = text.split_whitespace();
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect()
}

/// Waits until just these texts are known.
pub fn becomes(step: &Step, known: impl Fn() -> Result<Vec<String>>) -> Told<Option<Given>> {
    let wanted: Vec<String> = match is_only(&step.expect, "empty") {
        true => Vec::new(),
        false => step
            .expect
            .iter()
            .flatten()
            .map(|word| word.text())
            .collect(),
    };
    let end = Instant::now() + PATIENCE;
    loop {
        let Some(known) = settle(known(), &step.expect)? else {
            return Ok(None);
        };
        if known == wanted {
            return Ok(None);
        }
        if Instant::now() > end {
            return Err(format!("they are {known:?} after {PATIENCE:?}"));
        }
        sleep(Duration::from_millis(10));
    }
}
