//! The set algebra over enqueues and deliveries (Jepsen's `total-queue`), and what a delivery may
//! look like.
//!
//! With A all values that were asked for, E those with a receipt and D all arrivals:
//! unexpected = D without A; lost = E without D; duplicated = arrivals beyond the first; recovered
//! = delivered although their enqueue ended unknown. Lost ones are split per producer into those
//! before its first delivered value (prefix), between (middle) and after its last (postfix): a
//! middle loss is certain, a postfix one may be a drain that stopped early.

use std::collections::BTreeMap;

use crate::Promise;
use crate::history::{Kind, Value};
use crate::life::{Life, Lives};
use crate::report::Report;

pub(crate) fn check(lives: &Lives<'_>, promise: &Promise, report: &mut Report) {
    let spans = delivered_spans(lives);
    for (value, life) in &lives.by_value {
        figures(life, report);
        if life.asked.is_some() {
            endings(*value, life, lives.is_drained, &spans, report);
        }
        deliveries(*value, life, promise, report);
    }
}

fn figures(life: &Life<'_>, report: &mut Report) {
    let arrivals = life.arrivals.len() as u64;
    report.count("asked", u64::from(life.asked.is_some()));
    report.count("acknowledged", u64::from(life.is_acknowledged()));
    report.count("deliveries", arrivals);
    if life.asked.is_some() {
        report.count("delivered", u64::from(arrivals > 0));
        report.count("duplicated", arrivals.saturating_sub(1));
        let is_recovered = arrivals > 0 && !life.is_acknowledged();
        report.count("recovered", u64::from(is_recovered));
    }
}

/// First and last counter of each producer that arrived anywhere.
fn delivered_spans(lives: &Lives<'_>) -> BTreeMap<u64, (u64, u64)> {
    let mut spans = BTreeMap::new();
    for (value, life) in &lives.by_value {
        if life.arrivals.is_empty() || life.asked.is_none() {
            continue;
        }
        let span = spans
            .entry(value.process)
            .or_insert((value.counter, value.counter));
        span.1 = value.counter;
    }
    spans
}

fn endings(
    value: Value,
    life: &Life<'_>,
    is_drained: bool,
    spans: &BTreeMap<u64, (u64, u64)>,
    report: &mut Report,
) {
    if !life.is_acknowledged() {
        return;
    }
    if life.arrivals.is_empty() {
        if life.may_be_lost() {
            let name = if life.has_lapsed {
                "lapsed"
            } else if life.is_doomed {
                "lost_doomed"
            } else {
                "lost_aside"
            };
            report.count(name, 1);
            return;
        }
        let part = match spans.get(&value.process) {
            Some((first, _)) if value.counter < *first => "lost_prefix",
            Some((_, last)) if value.counter < *last => "lost_middle",
            _ => "lost_postfix",
        };
        report.count(part, 1);
        report.count("lost", 1);
        report.find(
            "lost",
            value,
            format!("has a receipt, was never delivered ({part})"),
        );
    } else if is_drained && !life.is_acked() && !life.may_be_lost() {
        let detail = format!("delivered {} times, never acked", life.arrivals.len());
        report.find("stranded", value, detail);
    }
}

fn deliveries(value: Value, life: &Life<'_>, promise: &Promise, report: &mut Report) {
    let count = life.arrivals.len();
    let Some(asked) = life.asked else {
        if count > 0 {
            report.count("unexpected", count as u64);
            report.find("unexpected", value, "nobody enqueued it".into());
        }
        return;
    };
    for arrival in &life.arrivals {
        if *arrival.key != asked.key {
            let detail = format!("put into {:?}, came from {:?}", asked.key, arrival.key);
            report.find("misrouted", value, detail);
        }
    }
    if count > 0
        && let Some(answered) = life.answered
        && answered.kind == Kind::Fail
    {
        let error = answered.extra.error.unwrap_or_default();
        let detail = format!("its producer was told {error}: nothing happened");
        report.find("aborted-delivered", value, detail);
    }
    if count > 1 && asked.extra.is_at_most_once {
        report.find("repeated", value, format!("{count} deliveries"));
    }
    if count > 1 && promise.is_exactly_once {
        report.find("not-once", value, format!("{count} deliveries"));
    }
}
