//! [`Completions`]: late answers for an event loop.
//!
//! The loop polls the descriptor and drains; no thread of Primer's ever enters Python.

use primer::Outcome;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::alive::Alive;
use crate::delivery::{deliveries, delivery};
use crate::error::{OrRaise, exception};
use crate::receipt::{receipt, receipts};
use crate::values::{broadcast, change, diagnosis, event, explanation, page, redriven, reply};

/// A queue of late answers.
#[pyclass(frozen, module = "primer._primer")]
pub struct Completions {
    alive: Alive<primer::Completions>,
}

#[pymethods]
impl Completions {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        Ok(Self {
            alive: Alive::new(primer::Completions::new().or_raise(py)?),
        })
    }

    fn descriptor(&self, py: Python<'_>) -> PyResult<i32> {
        Ok(self.alive.get(py)?.descriptor())
    }

    /// Up to `max` answers as (ticket, value); a failed one has the exception as its value.
    fn drain<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Bound<'py, PyList>> {
        let answers = PyList::empty(py);
        for completion in self.alive.get(py)?.drain(max) {
            let value = match completion.outcome {
                Ok(outcome) => convert(py, outcome)?,
                Err(error) => exception(py, &error)?,
            };
            answers.append((completion.ticket, value))?;
        }
        Ok(answers)
    }

    /// Stops waiting for that ticket; false when its answer had come already.
    fn cancel(&self, py: Python<'_>, ticket: u64) -> PyResult<bool> {
        Ok(self.alive.get(py)?.cancel(ticket))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.alive.get(py)?.close();
        Ok(())
    }
}

/// The core's queue in an optional argument.
pub fn queue_of<'a>(
    py: Python<'_>,
    on: Option<&'a Bound<'_, Completions>>,
) -> PyResult<Option<&'a primer::Completions>> {
    on.map(|on| on.get().alive.get(py)).transpose()
}

fn convert(py: Python<'_>, outcome: Outcome) -> PyResult<Bound<'_, PyAny>> {
    match outcome {
        Outcome::Receipt(value) => receipt(py, value),
        Outcome::Reply(value) => reply(py, value),
        Outcome::Page(value) => page(py, value),
        Outcome::Explanation(value) => explanation(py, value),
        Outcome::Redriven(value) => redriven(py, value),
        Outcome::Diagnosis(value) => diagnosis(py, value),
        Outcome::Receipts(values) => receipts(py, values),
        Outcome::Deliveries(values) => deliveries(py, values),
        Outcome::Delivery(value) => delivery(py, value),
        Outcome::Event(value) => event(py, value),
        Outcome::Broadcast(value) => broadcast(py, value),
        Outcome::Change(value) => change(py, value),
        // Nobody calls `notify` from Python: a loop asks for one delivery or item at a time.
        Outcome::Done | Outcome::Ready => Ok(py.None().into_bound(py)),
    }
}
