//! The history sorted by message: what was asked, answered and seen of each value.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::history::{Extra, History, Kind, Record, Value, Verb};
use crate::report::Report;

/// One arrival of a message at a consumer.
pub(crate) struct Arrival<'a> {
    pub at_ns: u64,
    pub key: &'a Arc<str>,
    pub extra: &'a Extra,
}

/// An ack, nack, reject, release or extend that somebody asked for: it may end or move a lease.
pub(crate) struct Settle {
    pub at_ns: u64,
    pub f: Verb,
    pub lease: Option<(crate::Hex, u32)>,
}

/// Everything about one value.
#[derive(Default)]
pub(crate) struct Life<'a> {
    pub asked: Option<&'a Record>,
    pub answered: Option<&'a Record>,
    pub arrivals: Vec<Arrival<'a>>,
    pub settles: Vec<Settle>,
    /// When every live holder knew of its end.
    pub settled_ns: Option<u64>,
    pub is_doomed: bool,
    /// Its last copies are set aside.
    pub is_aside: bool,
    /// It ended by its own terms.
    pub has_lapsed: bool,
    /// When a copy that had been set aside was first given out again.
    pub returned_ns: Option<u64>,
}

impl Life<'_> {
    /// True when the producer holds a receipt.
    pub fn is_acknowledged(&self) -> bool {
        self.answered.is_some_and(|r| r.kind == Kind::Ok)
    }

    /// True when the harness knows why it may be gone.
    pub fn may_be_lost(&self) -> bool {
        self.is_doomed || self.is_aside || self.has_lapsed
    }

    /// True when somebody asked for its end, with whatever success.
    pub fn is_acked(&self) -> bool {
        self.settles.iter().any(|settle| settle.f == Verb::Ack)
    }
}

/// Every value of a history.
pub(crate) struct Lives<'a> {
    pub by_value: BTreeMap<Value, Life<'a>>,
    pub is_drained: bool,
}

impl<'a> Lives<'a> {
    /// Sorts `history` by value and reports where it breaks the rules of its harness.
    pub fn of(history: &'a History, report: &mut Report) -> Self {
        let mut lives = Lives {
            by_value: BTreeMap::new(),
            is_drained: false,
        };
        let mut last_ns = 0;
        for (place, record) in history.records.iter().enumerate() {
            if record.index != place as u64 {
                report.broken(
                    record.value,
                    format!("record {place} calls itself {}", record.index),
                );
            }
            if record.time_ns < last_ns {
                report.broken(
                    record.value,
                    format!("time goes back at record {}", record.index),
                );
            }
            last_ns = last_ns.max(record.time_ns);
            lives.take(record, report);
        }
        lives
    }

    fn take(&mut self, record: &'a Record, report: &mut Report) {
        match record.f {
            Verb::Drained => self.is_drained = true,
            Verb::Other => {}
            _ => {
                let Some(value) = record.value else {
                    report.broken(None, format!("record {} has no value", record.index));
                    return;
                };
                let life = self.by_value.entry(value).or_default();
                if let Err(why) = life.take(record) {
                    report.broken(Some(value), format!("record {}: {why}", record.index));
                }
            }
        }
    }
}

impl<'a> Life<'a> {
    fn take(&mut self, record: &'a Record) -> Result<(), String> {
        match (record.f, record.kind) {
            (Verb::Enqueue, Kind::Invoke) => return once(&mut self.asked, record, "was asked"),
            (Verb::Enqueue, _) if self.asked.is_none() => {
                return Err("an enqueue ended that nobody began".into());
            }
            (Verb::Enqueue, _) => return once(&mut self.answered, record, "ended"),
            (Verb::Receive, Kind::Ok) => self.arrivals.push(Arrival {
                at_ns: record.time_ns,
                key: &record.key,
                extra: &record.extra,
            }),
            (Verb::Receive, _) => return Err("a receive is recorded when it arrives: ok".into()),
            (
                Verb::Ack | Verb::Nack | Verb::Reject | Verb::Release | Verb::Extend,
                Kind::Invoke,
            ) => {
                self.settles.push(Settle {
                    at_ns: record.time_ns,
                    f: record.f,
                    lease: record.extra.lessor.zip(record.extra.lease),
                });
            }
            (Verb::Settled, _) => self.settled_ns = self.settled_ns.or(Some(record.time_ns)),
            (Verb::Doomed, _) => self.is_doomed = true,
            (Verb::Aside, _) => self.is_aside = true,
            (Verb::Lapsed, _) => self.has_lapsed = true,
            (Verb::Returned, _) => {
                self.is_aside = false;
                self.returned_ns = self.returned_ns.or(Some(record.time_ns));
            }
            _ => {}
        }
        Ok(())
    }
}

/// A value is enqueued once: a retry is a new value.
fn once<'a>(place: &mut Option<&'a Record>, record: &'a Record, what: &str) -> Result<(), String> {
    match place.replace(record) {
        None => Ok(()),
        Some(first) => Err(format!("its enqueue {what} before, at {}", first.index)),
    }
}
