//! One value, one message id; one message id, one value.

use std::collections::BTreeMap;

use crate::history::{Id, Value};
use crate::life::Lives;
use crate::report::Report;

pub(crate) fn check(lives: &Lives<'_>, report: &mut Report) {
    let mut owners: BTreeMap<Id, Value> = BTreeMap::new();
    for (value, life) in &lives.by_value {
        let mut known: Option<Id> = None;
        let answered = life.answered.and_then(|record| record.extra.id);
        let arrived = life.arrivals.iter().filter_map(|arrival| arrival.extra.id);
        for id in answered.into_iter().chain(arrived) {
            match known {
                Some(first) if first != id => {
                    report.find("two-ids", *value, format!("{first} and {id}"));
                }
                _ => known = Some(id),
            }
            let owner = *owners.entry(id).or_insert(*value);
            if owner != *value {
                report.find("shared-id", *value, format!("{id} is also {owner}"));
            }
        }
    }
}
