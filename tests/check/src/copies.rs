//! Receipts against the stores that really held the message when they were given (the W audit).

use std::collections::BTreeSet;

use crate::history::{Kind, Short, Verb};
use crate::life::Lives;
use crate::report::Report;

pub(crate) fn check(lives: &Lives<'_>, report: &mut Report) {
    for (value, life) in &lives.by_value {
        let (Some(asked), Some(answered)) = (life.asked, life.answered) else {
            continue;
        };
        let (Kind::Ok, Some(copies)) = (answered.kind, answered.extra.copies) else {
            continue;
        };
        if copies == 0 {
            report.find("copies-none", *value, "accepted with no copy at all".into());
        }
        // What was consumed before its receipt was given needs no copies any more.
        let is_consumed = life
            .settles
            .iter()
            .any(|settle| settle.f == Verb::Ack && settle.at_ns <= answered.time_ns);
        if is_consumed {
            continue;
        }
        if let Some(stores) = &answered.extra.stores {
            let distinct: BTreeSet<_> = stores.iter().collect();
            report.count("audited", 1);
            if distinct.len() < usize::from(copies) {
                let detail = format!(
                    "the receipt says {copies}, {} stores held it",
                    distinct.len()
                );
                report.find("copies-overstated", *value, detail);
            }
        }
        let wanted = answered.extra.wanted.unwrap_or_default();
        report.count("short", u64::from(copies < wanted));
        let on_short = answered.extra.on_short.or(asked.extra.on_short);
        if copies < wanted && matches!(on_short, Some(Short::Fail | Short::Wait)) {
            let detail = format!("{copies} of {wanted} copies with {on_short:?}");
            report.find("copies-short", *value, detail);
        }
    }
}
