//! Steps about a queue's groups.

use primer_conformance::scenario::Step;

use crate::expect::{Given, settle};
use crate::settings::becomes;
use crate::world::{Told, World, flag, name};

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
        becomes(step, || self.queue(step)?.groups())
    }
}
