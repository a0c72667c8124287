//! Steps that look at messages without taking them.

use primer::{BrowseOptions, Browsed, Page};
use primer_conformance::scenario::{Step, Word};

use crate::calls::headers;
use crate::expect::{Given, is_only, settle};
use crate::world::{PATIENCE, Told, World, millis, number, option, text};

impl World {
    /// Looks at one page.
    pub fn browse(&mut self, step: &Step) -> Told<Option<Given>> {
        let usual = BrowseOptions::default();
        let mut states = Vec::new();
        for state in text(step, "states").iter().flat_map(|all| all.split(',')) {
            states.push(state.parse().map_err(|error| format!("{error}"))?);
        }
        let options = BrowseOptions {
            max: number(step, "max")?.unwrap_or(usual.max),
            after: option(step, "after")
                .map(|word| self.cursor(word))
                .transpose()?,
            group: text(step, "group"),
            states,
            headers: headers(&step.options),
            body_bytes_max: number(step, "body_bytes")?.unwrap_or(usual.body_bytes_max),
            timeout: millis(step, "timeout")?.unwrap_or(PATIENCE),
        };
        let page = self
            .queue(step)
            .and_then(|queue| queue.browse(&options).wait());
        let Some(page) = settle(page, &step.expect)? else {
            return Ok(None);
        };
        self.check_page(step, &page)?;
        Ok(None)
    }

    /// A cursor by its name; a text is one that no page gave.
    fn cursor(&self, word: &Word) -> Told<String> {
        if word.is_text {
            return Ok(word.text());
        }
        let known = self.cursors.get(&word.text());
        known
            .cloned()
            .ok_or_else(|| format!("no cursor `{}`", word.text()))
    }

    fn check_page(&mut self, step: &Step, page: &Page) -> Told<()> {
        let count = if is_only(&step.expect, "empty") {
            0
        } else {
            step.expect.len()
        };
        if page.messages.len() != count {
            return Err(format!("wanted {count} messages, got {:?}", page.messages));
        }
        for (browsed, words) in page.messages.iter().zip(&step.expect) {
            let (bound, words) = words.split_first().ok_or("no name to bind")?;
            self.bind(&bound.text(), browsed.id)?;
            check(browsed, words).map_err(|told| format!("{}: {told}", bound.text()))?;
        }
        let missing = number(step, "missing")?.unwrap_or(0);
        if page.missing.len() != missing {
            return Err(format!("{:?} are missing, wanted {missing}", page.missing));
        }
        match (text(step, "cursor").as_deref(), &page.cursor) {
            (None, _) | (Some("none"), None) => Ok(()),
            (Some(bound), Some(cursor)) if bound != "none" => {
                self.cursors.insert(bound.into(), cursor.clone());
                Ok(())
            }
            (wanted, cursor) => Err(format!("wanted cursor {wanted:?}, got {cursor:?}")),
        }
    }
}

/// Holds a message against what is written of it.
fn check(browsed: &Browsed, words: &[Word]) -> Told<()> {
    for word in words {
        let is = match word.key.as_deref() {
            None => browsed.body.as_ref() == word.value,
            Some("state") => browsed.state.name() == word.text(),
            Some("attempts") => browsed.attempts.to_string() == word.text(),
            Some("priority") => browsed.priority.to_string() == word.text(),
            Some("key") => browsed.key.as_deref() == Some(word.text().as_str()),
            Some("copies") => browsed.copies.to_string() == word.text(),
            Some("bytes") => browsed.body_bytes.to_string() == word.text(),
            Some("group") => browsed.group.as_deref() == Some(word.text().as_str()),
            Some(key) => {
                let key = key
                    .strip_prefix("header.")
                    .ok_or(format!("it has no `{key}`"))?;
                browsed.headers.contains(&(key.into(), word.text()))
            }
        };
        if !is {
            return Err(format!(
                "wanted {:?}={:?}, got {browsed:?}",
                word.key,
                word.text()
            ));
        }
    }
    let has_dates = browsed.accepted_ms > 0
        && browsed.ready_at_ms.is_some() == (browsed.state.name() == "delayed")
        && browsed.lease_ms.is_some() == (browsed.state.name() == "leased");
    has_dates
        .then_some(())
        .ok_or(format!("its dates do not fit its state: {browsed:?}"))
}
