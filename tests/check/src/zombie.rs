//! Deliveries of what is over.
//!
//! A delivery before the end is known everywhere is a duplicate, which at-least-once allows. One
//! that an owner gives after every live holder knew of the end is a message that rose again. The
//! exception is what an evicted member had set aside, and its host then asked for: that is counted.

use crate::Promise;
use crate::life::Lives;
use crate::report::Report;

pub(crate) fn check(lives: &Lives<'_>, promise: &Promise, report: &mut Report) {
    for (value, life) in &lives.by_value {
        let Some(settled_ns) = life.settled_ns else {
            continue;
        };
        report.count("settled", 1);
        for arrival in &life.arrivals {
            // Where the owner's moment is known, what was on its way needs no allowance.
            let (given_ns, limit_ns) = match arrival.extra.given_ns {
                Some(given_ns) => (given_ns, settled_ns),
                None => (arrival.at_ns, settled_ns.saturating_add(promise.zombie_ns)),
            };
            if given_ns > limit_ns && life.returned_ns.is_some_and(|at_ns| given_ns >= at_ns) {
                report.count("returned_after_the_end", 1);
            } else if given_ns > limit_ns {
                let late_ms = given_ns.saturating_sub(settled_ns) / 1_000_000;
                let detail = format!("given {late_ms} ms after its end was known everywhere");
                report.find("zombie", *value, detail);
            }
        }
    }
}
