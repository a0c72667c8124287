//! [`Subscription`]: a pushed stream of deliveries.

use pyo3::prelude::*;

use crate::alive::Alive;
use crate::completions::{Completions, queue_of};
use crate::convert::Int;
use crate::delivery::{deliveries, delivery};
use crate::error::OrRaise;
use crate::wait::next_of;

/// Deliveries pushed to this process. Garbage, it is closed.
#[pyclass(frozen, module = "primer._primer")]
pub struct Subscription {
    alive: Alive<primer::Subscription>,
}

impl From<primer::Subscription> for Subscription {
    fn from(subscription: primer::Subscription) -> Self {
        Self {
            alive: Alive::new(subscription),
        }
    }
}

#[pymethods]
impl Subscription {
    #[getter]
    fn queue(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.alive.get(py)?.queue().name().to_owned())
    }

    /// The next delivery; none when `wait_ms` (none: no limit) passed. With `on`, `wait_ms` is
    /// ignored.
    #[pyo3(signature = (wait_ms=None, on=None))]
    fn next<'py>(
        &self,
        py: Python<'py>,
        wait_ms: Option<Int<u64>>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.next();
        next_of(py, pending, wait_ms, queue_of(py, on)?, delivery)
    }

    /// Up to `max` deliveries that are here already.
    fn take<'py>(&self, py: Python<'py>, max: Int<usize>) -> PyResult<Bound<'py, PyAny>> {
        deliveries(py, self.alive.get(py)?.take(max.0).or_raise(py)?)
    }

    fn credit(&self, py: Python<'_>, more: Int<u32>) -> PyResult<()> {
        self.alive.get(py)?.credit(more.0).or_raise(py)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.alive.get(py)?.close();
        Ok(())
    }
}
