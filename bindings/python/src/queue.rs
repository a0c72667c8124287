//! [`Queue`]: a best-effort-order queue.

use std::time::Duration;

use primer::{Bytes, EnqueueOptions, ReceiveOptions, SubscribeOptions};
use pyo3::prelude::*;

use crate::alive::Alive;
use crate::completions::{Completions, queue_of};
use crate::convert::{Body, Headers, Int, millis, on_short};
use crate::delivery::{Delivery, deliveries};
use crate::error::OrRaise;
use crate::receipt::{receipt, receipts};
use crate::subscription::Subscription;
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

    #[pyo3(signature = (body, copies=None, on_short=None, timeout_ms=None, headers=None, on=None))]
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
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = enqueue_options(py, copies, on_short, timeout_ms, headers)?;
        let pending = self.alive.get(py)?.enqueue_with(body.0, &options);
        answer(py, pending, queue_of(py, on)?, |value| receipt(py, value))
    }

    #[pyo3(signature = (bodies, copies=None, on_short=None, timeout_ms=None, headers=None, on=None))]
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
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = enqueue_options(py, copies, on_short, timeout_ms, headers)?;
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

    #[pyo3(
        signature = (max=Int(1), wait_ms=Int(0), lease_ms=None, on=None),
        text_signature = "(self, /, max=1, wait_ms=0, lease_ms=None, on=None)"
    )]
    fn receive<'py>(
        &self,
        py: Python<'py>,
        max: Int<usize>,
        wait_ms: Int<u64>,
        lease_ms: Option<Int<u64>>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = ReceiveOptions {
            max: max.0,
            wait: Duration::from_millis(wait_ms.0),
            lease: millis(lease_ms),
        };
        let pending = self.alive.get(py)?.receive(&options);
        answer(py, pending, queue_of(py, on)?, |values| {
            deliveries(py, values)
        })
    }

    #[pyo3(signature = (credit=Int(64), lease_ms=None), text_signature = "(self, /, credit=64, lease_ms=None)")]
    fn subscribe(
        &self,
        py: Python<'_>,
        credit: Int<u32>,
        lease_ms: Option<Int<u64>>,
    ) -> PyResult<Subscription> {
        let options = SubscribeOptions {
            credit: credit.0,
            lease: millis(lease_ms),
        };
        let subscription = self.alive.get(py)?.subscribe(&options).or_raise(py)?;
        Ok(Subscription::from(subscription))
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
    })
}
