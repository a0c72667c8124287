//! The step that sends dead letters back.

use primer::{MessageId, RedriveOptions, Redriven};
use primer_conformance::scenario::Step;

use crate::calls::headers;
use crate::expect::{Given, settle};
use crate::world::{PATIENCE, Told, World, millis, number, option, text};

impl World {
    /// Sends letters back, once.
    pub fn redrive(&mut self, step: &Step) -> Told<Option<Given>> {
        let usual = RedriveOptions::default();
        let ids = self.letters(step);
        let mut options = RedriveOptions {
            to: text(step, "to"),
            max: number(step, "max")?.unwrap_or(usual.max),
            headers: headers(&step.options),
            dry_run: text(step, "dry_run").as_deref() == Some("true"),
            timeout: millis(step, "timeout")?.unwrap_or(PATIENCE),
            ..usual
        };
        let queue = self.queue(step);
        let told = ids.and_then(|ids| {
            options.ids = ids;
            queue?.redrive(&options).wait()
        });
        let Some(told) = settle(told, &step.expect)? else {
            return Ok(None);
        };
        let missing = number(step, "missing")?.unwrap_or(0);
        if told.missing.len() != missing {
            return Err(format!("{:?} are missing, wanted {missing}", told.missing));
        }
        for word in step.expect.iter().flatten() {
            let key = word.key.as_deref().unwrap_or_default();
            if figure(&told, key)?.to_string() != word.text() {
                return Err(format!("wanted {key}={}, got {told:?}", word.text()));
            }
        }
        Ok(None)
    }

    /// Messages by their names; a text is an id, or none. Errors: 101.
    fn letters(&self, step: &Step) -> primer::Result<Vec<MessageId>> {
        let Some(word) = option(step, "ids") else {
            return Ok(Vec::new());
        };
        let text = word.text();
        let each = text.split(',').map(|name| {
            let known = self.messages.get(name).filter(|_| !word.is_text);
            known.map_or_else(|| name.parse(), |id| Ok(*id))
        });
        each.collect()
    }
}

fn figure(told: &Redriven, key: &str) -> Told<u64> {
    match key {
        "matched" => Ok(told.matched),
        "moved" => Ok(told.moved),
        "refused" => Ok(told.refused),
        "skipped" => Ok(told.skipped),
        "leased" => Ok(told.leased),
        _ => Err(format!("a redrive has no `{key}`")),
    }
}
