//! Steps about a queue's groups.

use std::thread::sleep;
use std::time::{Duration, Instant};

use primer_conformance::scenario::Step;

use crate::expect::{Given, is_only, settle};
use crate::world::{PATIENCE, Told, World, flag, name};

impl World {
    /// Does one such step.
    pub fn group(&mut self, step: &Step) -> Told<Option<Given>> {
        let queue = self.queue(step);
        let done = match step.verb.as_str() {
            "create_group" => {
                queue.and_then(|queue| queue.create_group(&name(step, 2), flag(step, "backlog")))
            }
            "remove_group" => queue.and_then(|queue| queue.remove_group(&name(step, 2))),
            _ => return self.groups(step),
        };
        Ok(settle(done, &step.expect)?.map(|()| Given::Done))
    }

    /// Waits until a member knows just these groups.
    fn groups(&self, step: &Step) -> Told<Option<Given>> {
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
            let known = self.queue(step).and_then(|queue| queue.groups());
            let Some(known) = settle(known, &step.expect)? else {
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
}
