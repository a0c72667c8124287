//! [`Queue`]: a best-effort-order queue.

use std::time::Duration;

use primer::{
    BrowseOptions, Bytes, EnqueueOptions, MessageId, ReceiveOptions, RedriveOptions, State,
    SubscribeOptions,
};
use pyo3::prelude::*;

use crate::alive::Alive;
use crate::completions::{Completions, queue_of};
use crate::convert::{self, Body, Headers, Int, date, millis, on_short};
use crate::delivery::{Delivery, deliveries};
use crate::error::OrRaise;
use crate::receipt::{receipt, receipts};
use crate::subscription::Subscription;
use crate::values::{diagnosis, page, redriven, reply};
use crate::wait::answer;

/// A queue as seen from one member.
#[pyclass(frozen, module = "primer._primer")]
pub struct Queue {
    alive: Alive<primer::Queue>,
}

impl From<primer::Queue> for Queue {
    fn from(queue: primer::Queue) -> Self {
        Self {
            alive: Alive::new(queue),
        }
    }
}

#[pymethods]
impl Queue {
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.alive.get(py)?.name().to_owned())
    }

    #[pyo3(signature = (
        body, copies=None, on_short=None, timeout_ms=None, headers=None, on=None, priority=None, delay_ms=None,
        at_ms=None, ttl_ms=None, max_attempts=None, at_most_once=false, if_no_group=None,
        key=None, dedup=None, dedup_window_ms=None
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "the options of one verb, as Python's keywords"
    )]
    fn enqueue<'py>(
        &self,
        py: Python<'py>,
        body: Body,
        copies: Option<Int<u16>>,
        on_short: Option<&str>,
        timeout_ms: Option<Int<u64>>,
        headers: Option<Headers>,
        on: Option<&Bound<'py, Completions>>,
        priority: Option<Int<u8>>,
        delay_ms: Option<Int<u64>>,
        at_ms: Option<Int<u64>>,
        ttl_ms: Option<Int<u64>>,
        max_attempts: Option<Int<u32>>,
        at_most_once: bool,
        if_no_group: Option<&str>,
        key: Option<String>,
        dedup: Option<String>,
        dedup_window_ms: Option<Int<u64>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = EnqueueOptions {
            priority: priority.map(|priority| priority.0),
            delay: millis(delay_ms),
            at: date(py, at_ms)?,
            ttl: millis(ttl_ms),
            max_attempts: max_attempts.map(|attempts| attempts.0),
            at_most_once,
            if_no_group: convert::if_no_group(py, if_no_group)?,
            key,
            dedup,
            dedup_window: millis(dedup_window_ms),
            ..enqueue_options(py, copies, on_short, timeout_ms, headers)?
        };
        let pending = self.alive.get(py)?.enqueue_with(body.0, &options);
        answer(py, pending, queue_of(py, on)?, |value| receipt(py, value))
    }

    #[pyo3(signature = (
        bodies, copies=None, on_short=None, timeout_ms=None, headers=None, on=None, priority=None, delay_ms=None,
        at_ms=None, ttl_ms=None, max_attempts=None, at_most_once=false, if_no_group=None,
        key=None, dedup=None, dedup_window_ms=None
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "the options of one verb, as Python's keywords"
    )]
    fn enqueue_many<'py>(
        &self,
        py: Python<'py>,
        bodies: &Bound<'py, PyAny>,
        copies: Option<Int<u16>>,
        on_short: Option<&str>,
        timeout_ms: Option<Int<u64>>,
        headers: Option<Headers>,
        on: Option<&Bound<'py, Completions>>,
        priority: Option<Int<u8>>,
        delay_ms: Option<Int<u64>>,
        at_ms: Option<Int<u64>>,
        ttl_ms: Option<Int<u64>>,
        max_attempts: Option<Int<u32>>,
        at_most_once: bool,
        if_no_group: Option<&str>,
        key: Option<String>,
        dedup: Option<String>,
        dedup_window_ms: Option<Int<u64>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = EnqueueOptions {
            priority: priority.map(|priority| priority.0),
            delay: millis(delay_ms),
            at: date(py, at_ms)?,
            ttl: millis(ttl_ms),
            max_attempts: max_attempts.map(|attempts| attempts.0),
            at_most_once,
            if_no_group: convert::if_no_group(py, if_no_group)?,
            key,
            dedup,
            dedup_window: millis(dedup_window_ms),
            ..enqueue_options(py, copies, on_short, timeout_ms, headers)?
        };
        let queue = self.alive.get(py)?;
        let bodies = bodies
            .try_iter()?
            .map(|body| body?.extract::<Body>().map(|body| body.0))
            .collect::<PyResult<Vec<Bytes>>>()?;
        let pending = queue.enqueue_many(bodies, &options);
        answer(py, pending, queue_of(py, on)?, |values| {
            receipts(py, values)
        })
    }

    #[pyo3(signature = (
        body, timeout_ms, copies=None, on_short=None, enqueue_timeout_ms=None, headers=None, on=None, priority=None,
        delay_ms=None, at_ms=None, ttl_ms=None, max_attempts=None, at_most_once=false, if_no_group=None,
        key=None, dedup=None, dedup_window_ms=None
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "the options of one verb, as Python's keywords"
    )]
    fn call<'py>(
        &self,
        py: Python<'py>,
        body: Body,
        timeout_ms: Int<u64>,
        copies: Option<Int<u16>>,
        on_short: Option<&str>,
        enqueue_timeout_ms: Option<Int<u64>>,
        headers: Option<Headers>,
        on: Option<&Bound<'py, Completions>>,
        priority: Option<Int<u8>>,
        delay_ms: Option<Int<u64>>,
        at_ms: Option<Int<u64>>,
        ttl_ms: Option<Int<u64>>,
        max_attempts: Option<Int<u32>>,
        at_most_once: bool,
        if_no_group: Option<&str>,
        key: Option<String>,
        dedup: Option<String>,
        dedup_window_ms: Option<Int<u64>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = EnqueueOptions {
            priority: priority.map(|priority| priority.0),
            delay: millis(delay_ms),
            at: date(py, at_ms)?,
            ttl: millis(ttl_ms),
            max_attempts: max_attempts.map(|attempts| attempts.0),
            at_most_once,
            if_no_group: convert::if_no_group(py, if_no_group)?,
            key,
            dedup,
            dedup_window: millis(dedup_window_ms),
            ..enqueue_options(py, copies, on_short, enqueue_timeout_ms, headers)?
        };
        let timeout = Duration::from_millis(timeout_ms.0);
        let pending = self.alive.get(py)?.call_with(body.0, &options, timeout);
        answer(py, pending, queue_of(py, on)?, |value| reply(py, value))
    }

    #[pyo3(
        signature = (max=Int(1), wait_ms=Int(0), lease_ms=None, on=None, group=None, backlog=false),
        text_signature = "(self, /, max=1, wait_ms=0, lease_ms=None, on=None, group=None, backlog=False)"
    )]
    #[expect(clippy::too_many_arguments, reason = "as enqueue")]
    fn receive<'py>(
        &self,
        py: Python<'py>,
        max: Int<usize>,
        wait_ms: Int<u64>,
        lease_ms: Option<Int<u64>>,
        on: Option<&Bound<'py, Completions>>,
        group: Option<String>,
        backlog: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = ReceiveOptions {
            max: max.0,
            wait: Duration::from_millis(wait_ms.0),
            lease: millis(lease_ms),
            group,
            backlog,
        };
        let pending = self.alive.get(py)?.receive(&options);
        answer(py, pending, queue_of(py, on)?, |values| {
            deliveries(py, values)
        })
    }

    #[pyo3(
        signature = (
            max=Int(100), after=None, group=None, states=None, headers=None, body_bytes_max=Int(65_536),
            timeout_ms=Int(2_000), on=None
        ),
        text_signature = "(self, /, max=100, after=None, group=None, states=None, headers=None, body_bytes_max=65536, timeout_ms=2000, on=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "as enqueue")]
    fn browse<'py>(
        &self,
        py: Python<'py>,
        max: Int<u32>,
        after: Option<String>,
        group: Option<String>,
        states: Option<Vec<String>>,
        headers: Option<Headers>,
        body_bytes_max: Int<u32>,
        timeout_ms: Int<u64>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let states = states.unwrap_or_default().into_iter();
        let states: primer::Result<Vec<State>> = states.map(|state| state.parse()).collect();
        let options = BrowseOptions {
            max: max.0,
            after,
            group,
            states: states.or_raise(py)?,
            headers: headers.map(|headers| headers.0).unwrap_or_default(),
            body_bytes_max: body_bytes_max.0,
            timeout: Duration::from_millis(timeout_ms.0),
        };
        let pending = self.alive.get(py)?.browse(&options);
        answer(py, pending, queue_of(py, on)?, |value| page(py, value))
    }

    #[pyo3(
        signature = (to=None, max=Int(10_000), headers=None, ids=None, dry_run=false, timeout_ms=Int(30_000), on=None),
        text_signature = "(self, /, to=None, max=10000, headers=None, ids=None, dry_run=False, timeout_ms=30000, on=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "as enqueue")]
    fn redrive<'py>(
        &self,
        py: Python<'py>,
        to: Option<String>,
        max: Int<u64>,
        headers: Option<Headers>,
        ids: Option<Vec<String>>,
        dry_run: bool,
        timeout_ms: Int<u64>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ids = ids.unwrap_or_default().into_iter();
        let ids: primer::Result<Vec<MessageId>> = ids.map(|id| id.parse()).collect();
        let options = RedriveOptions {
            to,
            max: max.0,
            headers: headers.map(|headers| headers.0).unwrap_or_default(),
            ids: ids.or_raise(py)?,
            dry_run,
            timeout: Duration::from_millis(timeout_ms.0),
        };
        let pending = self.alive.get(py)?.redrive(&options);
        answer(py, pending, queue_of(py, on)?, |value| redriven(py, value))
    }

    #[pyo3(signature = (on=None), text_signature = "(self, /, on=None)")]
    fn doctor<'py>(
        &self,
        py: Python<'py>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.doctor();
        answer(py, pending, queue_of(py, on)?, |value| diagnosis(py, value))
    }

    #[pyo3(
        signature = (credit=Int(64), lease_ms=None, group=None, backlog=false, credit_bytes=None, max_run_ms=None),
        text_signature = "(self, /, credit=64, lease_ms=None, group=None, backlog=False, credit_bytes=None, max_run_ms=None)"
    )]
    #[expect(
        clippy::too_many_arguments,
        reason = "the options of one verb, as Python's keywords"
    )]
    fn subscribe(
        &self,
        py: Python<'_>,
        credit: Int<u32>,
        lease_ms: Option<Int<u64>>,
        group: Option<String>,
        backlog: bool,
        credit_bytes: Option<Int<u64>>,
        max_run_ms: Option<Int<u64>>,
    ) -> PyResult<Subscription> {
        let options = SubscribeOptions {
            credit: credit.0,
            credit_bytes: credit_bytes.map(|bytes| bytes.0),
            lease: millis(lease_ms),
            max_run: millis(max_run_ms),
            group,
            backlog,
        };
        let subscription = self.alive.get(py)?.subscribe(&options).or_raise(py)?;
        Ok(Subscription::from(subscription))
    }

    #[pyo3(signature = (group, backlog=false))]
    fn create_group(&self, py: Python<'_>, group: &str, backlog: bool) -> PyResult<()> {
        let queue = self.alive.get(py)?;
        queue.create_group(group, backlog).or_raise(py)
    }

    fn remove_group(&self, py: Python<'_>, group: &str) -> PyResult<()> {
        self.alive.get(py)?.remove_group(group).or_raise(py)
    }

    fn groups(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.alive.get(py)?.groups().or_raise(py)
    }

    fn configure(&self, py: Python<'_>, settings: Vec<(String, String)>) -> PyResult<()> {
        let options = settings.into_iter().collect();
        self.alive.get(py)?.configure(&options).or_raise(py)
    }

    fn configuration(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        let options = self.alive.get(py)?.configuration().or_raise(py)?;
        Ok(convert::settings(&options))
    }

    fn pause(&self, py: Python<'_>, direction: &str) -> PyResult<()> {
        self.alive.get(py)?.pause(direction).or_raise(py)
    }

    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        self.alive.get(py)?.resume().or_raise(py)
    }

    fn purge(&self, py: Python<'_>) -> PyResult<()> {
        self.alive.get(py)?.purge().or_raise(py)
    }

    #[pyo3(signature = (delivery, body, headers=None))]
    fn reply(
        &self,
        py: Python<'_>,
        delivery: &Bound<'_, Delivery>,
        body: Body,
        headers: Option<Headers>,
    ) -> PyResult<()> {
        let delivery = delivery.get().alive.get(py)?;
        let reply = convert::reply(body, headers);
        self.alive.get(py)?.reply(delivery, reply).or_raise(py)
    }

    fn ack(&self, py: Python<'_>, delivery: &Bound<'_, Delivery>) -> PyResult<()> {
        let delivery = delivery.get().alive.get(py)?;
        self.alive.get(py)?.ack(delivery).or_raise(py)
    }

    /// One number a delivery: 0, or the error's.
    fn ack_many(&self, py: Python<'_>, deliveries: Vec<Bound<'_, Delivery>>) -> PyResult<Vec<u16>> {
        let deliveries = deliveries
            .iter()
            .map(|delivery| delivery.get().alive.get(py))
            .collect::<PyResult<Vec<_>>>()?;
        self.alive.get(py)?.ack_many(&deliveries).or_raise(py)
    }

    #[pyo3(signature = (delivery, delay_ms=None, on=None))]
    fn nack<'py>(
        &self,
        py: Python<'py>,
        delivery: &Bound<'py, Delivery>,
        delay_ms: Option<Int<u64>>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let delivery = delivery.get().alive.get(py)?;
        let pending = self.alive.get(py)?.nack(delivery, millis(delay_ms));
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    #[pyo3(signature = (delivery, on=None))]
    fn release<'py>(
        &self,
        py: Python<'py>,
        delivery: &Bound<'py, Delivery>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let delivery = delivery.get().alive.get(py)?;
        let pending = self.alive.get(py)?.release(delivery);
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    #[pyo3(signature = (delivery, reason, on=None))]
    fn reject<'py>(
        &self,
        py: Python<'py>,
        delivery: &Bound<'py, Delivery>,
        reason: &str,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let delivery = delivery.get().alive.get(py)?;
        let pending = self.alive.get(py)?.reject(delivery, reason);
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    #[pyo3(signature = (delivery, lease_ms=None, on=None))]
    fn extend<'py>(
        &self,
        py: Python<'py>,
        delivery: &Bound<'py, Delivery>,
        lease_ms: Option<Int<u64>>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let delivery = delivery.get().alive.get(py)?;
        let pending = self.alive.get(py)?.extend(delivery, millis(lease_ms));
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }
}

/// What it says of its copies, and its headers.
fn enqueue_options(
    py: Python<'_>,
    copies: Option<Int<u16>>,
    word: Option<&str>,
    timeout_ms: Option<Int<u64>>,
    headers: Option<Headers>,
) -> PyResult<EnqueueOptions> {
    Ok(EnqueueOptions {
        copies: copies.map(|copies| copies.0),
        on_short: on_short(py, word)?,
        timeout: millis(timeout_ms),
        headers: headers.map(|headers| headers.0).unwrap_or_default(),
        ..EnqueueOptions::default()
    })
}
