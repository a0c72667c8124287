//! [`Events`]: what happened to the cluster, as one member sees it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;

use crate::alive::Alive;
use crate::completions::{Completions, queue_of};
use crate::convert::{Int, millis};
use crate::wait::{answer, settle_within};

/// A reader of a member's events.
#[pyclass(frozen, module = "primer._primer")]
pub struct Events {
    alive: Alive<primer::Events>,
}

impl From<primer::Events> for Events {
    fn from(events: primer::Events) -> Self {
        Self {
            alive: Alive::new(events),
        }
    }
}

#[pymethods]
impl Events {
    /// Up to `max` events that are here already.
    fn take<'py>(&self, py: Python<'py>, max: Int<usize>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for happened in self.alive.get(py)?.take(max.0) {
            list.append(event(py, &happened)?)?;
        }
        Ok(list)
    }

    /// The next event; none when `wait_ms` (none: no limit) passed. With `on`, `wait_ms` is ignored.
    #[pyo3(signature = (wait_ms=None, on=None))]
    fn next<'py>(
        &self,
        py: Python<'py>,
        wait_ms: Option<Int<u64>>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.next();
        if on.is_some() {
            return answer(py, pending, queue_of(py, on)?, |happened| {
                event(py, &happened)
            });
        }
        match settle_within(py, pending, millis(wait_ms))? {
            Some(happened) => event(py, &happened),
            None => Ok(py.None().into_bound(py)),
        }
    }

    fn missed(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.alive.get(py)?.missed())
    }
}

/// A `primer.Event`.
pub fn event<'py>(py: Python<'py>, event: &primer::Event) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || -> PyResult<Py<PyAny>> {
        Ok(py.import("primer._values")?.getattr("Event")?.unbind())
    })?;
    class.bind(py).call1((
        event.at_ms,
        event.kind.name(),
        event.member.to_string(),
        &event.name,
        &event.detail,
    ))
}

/// A `primer.Member`.
pub fn member<'py>(py: Python<'py>, member: &primer::Member) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || -> PyResult<Py<PyAny>> {
        Ok(py.import("primer._values")?.getattr("Member")?.unbind())
    })?;
    class.bind(py).call1((
        member.id.to_string(),
        &member.name,
        &member.address,
        member.boot.to_string(),
        member.is_self,
        member.is_reachable,
    ))
}
