//! The step that asks what every member knows of a message.

use std::thread::sleep;
use std::time::{Duration, Instant};

use primer::{Account, Explanation, Known, MemberId, MessageId};
use primer_conformance::scenario::{Step, Word};

use crate::expect::{Given, settle};
use crate::world::{PATIENCE, Told, World, name, number};

impl World {
    /// Waits until just these accounts are given.
    pub fn explain(&mut self, step: &Step) -> Told<Option<Given>> {
        let missing = number(step, "missing")?.unwrap_or(0);
        let id = self.message(step);
        let end = Instant::now() + PATIENCE;
        loop {
            let (member, _) = self.member(&name(step, 0))?;
            let told = id.clone().and_then(|id| member.explain(id).wait());
            let Some(told) = settle(told, &step.expect)? else {
                return Ok(None);
            };
            if told.missing.len() == missing && self.is_told(step, &told)? {
                return Ok(None);
            }
            if Instant::now() > end {
                return Err(format!("it is {told:?} after {PATIENCE:?}"));
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// A message by its name; a text is an id, or none. Errors: 101.
    fn message(&self, step: &Step) -> primer::Result<MessageId> {
        let word = name(step, 1);
        let known = self.messages.get(&word);
        let is_text = step.args.get(1).is_some_and(|word| word.is_text);
        known
            .filter(|_| !is_text)
            .map_or_else(|| word.parse(), |id| Ok(*id))
    }

    /// Each account once, in the order of the members.
    fn is_told(&self, step: &Step, told: &Explanation) -> Told<bool> {
        if told.accounts.len() != step.expect.len() || !told.accounts.is_sorted_by_key(|a| a.member)
        {
            return Ok(false);
        }
        for words in &step.expect {
            let (member, words) = words.split_first().ok_or("whose account?")?;
            let member = self.id_of(&member.text())?;
            let mut own = told.accounts.iter().filter(|one| one.member == member);
            let account = own.next().filter(|_| own.next().is_none());
            let Some(account) = account else {
                return Ok(false);
            };
            for word in words {
                if !self.is_so(account, word)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn is_so(&self, account: &Account, word: &Word) -> Told<bool> {
        let text = word.text();
        let is_member = |member: Option<MemberId>| Ok(member == Some(self.id_of(&text)?));
        match word.key.as_deref() {
            None if text == "done" => Ok([Known::Acked, Known::Forgotten].contains(&account.known)),
            None => Ok(account.known.name() == text
                && account.lease_ms.is_some() == (text == "leased")
                && account.ready_at_ms.is_some() == (text == "delayed")),
            Some("queue") => Ok(account.queue.as_ref() == Some(&text)),
            Some("attempts") => Ok(account.attempts.to_string() == text),
            Some("holders") => Ok(account.holders.len().to_string() == text),
            Some("confirmed") => Ok(account.confirmed.to_string() == text),
            Some("owner") => is_member(account.owner),
            Some("lessee") => is_member(account.lessee),
            Some(other) => Err(format!("an account has no `{other}`")),
        }
    }
}
