//! Steps about what everyone hears: topics, keys, and who may be a member.

use std::thread::sleep;
use std::time::{Duration, Instant};

use primer::{MemberId, Primer, Result};
use primer_conformance::scenario::{Step, Word};

use crate::expect::{Given, is_only, settle};
use crate::world::{PATIENCE, Told, World, name, option};

impl World {
    /// Does one such step.
    pub fn gossip(&mut self, step: &Step) -> Told<Option<Given>> {
        match step.verb.as_str() {
            "heard" => self.heard(step),
            "changed" => self.changed(step),
            "unlisten" => {
                if let Some(topic) = self.topics.get(&name(step, 0)) {
                    topic.close();
                } else {
                    let watch = self.watches.get(&name(step, 0));
                    watch.ok_or("no such reader")?.close();
                }
                Ok(Some(Given::Done))
            }
            "on" => {
                let opened = self.primer(step)?.on(&name(step, 1));
                if let Some(topic) = settle(opened, &step.expect)? {
                    self.topics.insert(bound(step)?, topic);
                }
                Ok(None)
            }
            "watch" => {
                let watch = self.primer(step)?.watch(&name(step, 1));
                self.watches.insert(bound(step)?, watch);
                Ok(None)
            }
            "get" => self.get(step),
            "list" => self.list(step),
            "reclaim" => {
                let keeps = option(step, "keep").is_some_and(|word| word.value == b"true");
                let count = self.primer(step)?.reclaim(keeps);
                let Some(count) = settle(count, &step.expect)? else {
                    return Ok(None);
                };
                let is_right = is_only(&step.expect, &count.to_string());
                is_right.then_some(None).ok_or(format!("it is {count}"))
            }
            _ => {
                let done = self.change(step)?;
                Ok(settle(done, &step.expect)?.map(|()| Given::Done))
            }
        }
    }

    fn change(&self, step: &Step) -> Told<Result<()>> {
        let primer = self.primer(step)?;
        let (key, value) = (name(step, 1), step.args.get(2));
        let value = || value.map(|word| word.value.clone()).unwrap_or_default();
        Ok(match step.verb.as_str() {
            "broadcast" => primer.broadcast(&key, value()),
            "put" => primer.put(&key, value()),
            "delete" => primer.delete(&key),
            "rotate" => primer.rotate(key.split(',')),
            _ => primer.evict(self.id_of(&key)?),
        })
    }

    fn heard(&self, step: &Step) -> Told<Option<Given>> {
        let topic = self.topics.get(&name(step, 0)).ok_or("no such reader")?;
        let next = topic.next().wait_for(PATIENCE).ok_or("it heard nothing")?;
        let Some(heard) = settle(next, &step.expect)? else {
            return Ok(None);
        };
        if step.args.get(1).map(|word| word.value.as_slice()) != Some(&heard.body[..]) {
            return Err(format!("it heard {:?}", heard.body));
        }
        match option(step, "from") {
            Some(from) if self.id_of(&from.text())? != heard.from => {
                Err(format!("it heard that from {}", heard.from))
            }
            _ => Ok(Some(Given::Done)),
        }
    }

    fn changed(&self, step: &Step) -> Told<Option<Given>> {
        let watch = self.watches.get(&name(step, 0)).ok_or("no such reader")?;
        let wanted = step.args.get(2).filter(|word| is_value(word));
        let end = Instant::now() + PATIENCE;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let next = watch.next().wait_for(left).ok_or("no such change")?;
            let Some(change) = settle(next, &step.expect)? else {
                return Ok(None);
            };
            let is_value = match (&change.value, wanted) {
                (Some(value), Some(word)) => value[..] == word.value[..],
                (None, None) => true,
                _ => false,
            };
            if change.key == name(step, 1) && is_value {
                return Ok(Some(Given::Done));
            }
        }
        Err("no such change".into())
    }

    fn get(&self, step: &Step) -> Told<Option<Given>> {
        let primer = self.primer(step)?;
        let wanted = step.expect.first().and_then(|group| group.first());
        let wanted = wanted.filter(|word| is_value(word));
        until(|| {
            let Some(value) = settle(primer.get(&name(step, 1)), &step.expect)? else {
                return Ok(None);
            };
            let is_right = value.as_deref() == wanted.map(|word| word.value.as_slice());
            Ok((!is_right).then(|| format!("it is {value:?}")))
        })
    }

    fn list(&self, step: &Step) -> Told<Option<Given>> {
        let primer = self.primer(step)?;
        let is_empty = is_only(&step.expect, "empty");
        until(|| {
            let Some(entries) = settle(primer.list(&name(step, 1)), &step.expect)? else {
                return Ok(None);
            };
            let listed = entries
                .iter()
                .map(|one| (one.key.clone(), one.value.to_vec()));
            let listed: Vec<(String, Vec<u8>)> = listed.collect();
            let wanted = step.expect.iter().filter(|_| !is_empty).map(|group| {
                let value = group.get(1).map(|word| word.value.clone());
                let key = group.first().map(Word::text);
                (key.unwrap_or_default(), value.unwrap_or_default())
            });
            let is_right = listed == wanted.collect::<Vec<_>>();
            Ok((!is_right).then(|| format!("it is {listed:?}")))
        })
    }

    fn primer(&self, step: &Step) -> Told<&Primer> {
        Ok(&self.member(&name(step, 0))?.0)
    }

    pub fn id_of(&self, member: &str) -> Told<MemberId> {
        let members = self
            .member(member)?
            .0
            .members()
            .map_err(|e| e.to_string())?;
        let own = members.iter().find(|one| one.is_self);
        own.map(|one| one.id).ok_or("it is no member".into())
    }
}

/// A text, or `bytes:N`; else it is the word `none`.
fn is_value(word: &Word) -> bool {
    word.is_text || word.value != b"none"
}

fn bound(step: &Step) -> Told<String> {
    let word = step.expect.first().and_then(|group| group.first());
    word.map(Word::text).ok_or("no name to bind".into())
}

/// Asks until nothing differs.
fn until(mut differs: impl FnMut() -> Told<Option<String>>) -> Told<Option<Given>> {
    let end = Instant::now() + PATIENCE;
    while let Some(how) = differs()? {
        if Instant::now() > end {
            return Err(format!("{how} after {PATIENCE:?}"));
        }
        sleep(Duration::from_millis(10));
    }
    Ok(None)
}
