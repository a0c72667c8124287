//! Steps about calls: a call goes on beside the other steps until its end is asked for.

use std::time::Duration;

use primer::{EnqueueOptions, Reply};
use primer_conformance::scenario::{Step, Word};

use crate::expect::{Given, settle};
use crate::world::{PATIENCE, Told, World, name};

impl World {
    /// Does one such step.
    pub fn call(&mut self, step: &Step) -> Told<Option<Given>> {
        match step.verb.as_str() {
            "call" => self.begin_call(step),
            "reply" => {
                let delivery = self.received(&name(step, 0), &name(step, 1))?;
                let reply = Reply {
                    body: body(step)?.into(),
                    headers: headers(&step.options),
                };
                let done = delivery.queue().reply(delivery, reply);
                Ok(settle(done, &step.expect)?.map(|()| Given::Done))
            }
            _ => self.end_call(step),
        }
    }

    fn begin_call(&mut self, step: &Step) -> Told<Option<Given>> {
        let mut options = Self::enqueue_options(step)?;
        let timeout = options.timeout.take().unwrap_or(PATIENCE);
        let options = EnqueueOptions {
            timeout: None,
            ..options
        };
        let queue = self.queue(step).map_err(|error| error.to_string())?;
        let call = queue.call_with(body(step)?.into(), &options, timeout);
        let bound = step.expect.first().and_then(|group| group.first());
        let bound = bound.ok_or("no name to bind")?;
        self.calls.insert(bound.text(), call);
        Ok(None)
    }

    fn end_call(&mut self, step: &Step) -> Told<Option<Given>> {
        let mut call = self
            .calls
            .remove(&name(step, 0))
            .ok_or("no such call, or it has ended")?;
        let ended = call.wait_for(PATIENCE + Duration::from_secs(10));
        let Some(reply) = settle(ended.ok_or("it does not end")?, &step.expect)? else {
            return Ok(None);
        };
        let words = step.expect.first().ok_or("what is it answered?")?;
        let wanted = words.first().map(|word| word.value.as_slice());
        if wanted != Some(&reply.body[..]) {
            return Err(format!("it was answered {:?}", reply.body));
        }
        for (key, value) in headers(words) {
            if !reply.headers.contains(&(key.clone(), value)) {
                return Err(format!("{key} is not in {:?}", reply.headers));
            }
        }
        Ok(None)
    }
}

fn body(step: &Step) -> Told<Vec<u8>> {
    let word = step.args.get(2).ok_or("no body")?;
    Ok(word.value.clone())
}

pub fn headers(words: &[Word]) -> Vec<(String, String)> {
    let headers = words.iter().filter_map(|word| {
        let key = word.key.as_deref()?.strip_prefix("header.")?;
        Some((key.to_string(), word.text()))
    });
    headers.collect()
}
