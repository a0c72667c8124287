//! [`Primer`]: this process's place in a cluster.

use primer::Options;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::alive::Alive;
use crate::completions::{Completions, queue_of};
use crate::convert;
use crate::convert::{Body, Int, Value, millis};
use crate::error::OrRaise;
use crate::queue::Queue;
use crate::readers::{Events, Topic, Watch};
use crate::values::{entry, explanation, member};
use crate::wait::{answer, away, settle};

/// A member. `weakref`, so that the exit finds the open ones without keeping any.
#[pyclass(frozen, weakref, module = "primer._primer")]
pub struct Primer {
    alive: Alive<primer::Primer>,
}

#[pymethods]
impl Primer {
    /// A member made from pairs of strings; waits until it joined.
    #[staticmethod]
    fn open(py: Python<'_>, options: Vec<(String, String)>) -> PyResult<Self> {
        let primer = Self::start(py, options)?;
        settle(py, primer.alive.get(py)?.joined())?;
        Ok(primer)
    }

    /// The same without waiting; see `joined`.
    #[staticmethod]
    fn start(py: Python<'_>, options: Vec<(String, String)>) -> PyResult<Self> {
        let options = Options::from_pairs(options).or_raise(py)?;
        let primer = away(py, || primer::Primer::start(options)).or_raise(py)?;
        Ok(Self {
            alive: Alive::new(primer),
        })
    }

    #[pyo3(signature = (on=None))]
    fn joined<'py>(
        &self,
        py: Python<'py>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.joined();
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    #[pyo3(signature = (address, on=None))]
    fn join<'py>(
        &self,
        py: Python<'py>,
        address: &str,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.join(address);
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    #[pyo3(signature = (drain_ms=None, force=false, on=None))]
    fn leave<'py>(
        &self,
        py: Python<'py>,
        drain_ms: Option<Int<u64>>,
        force: bool,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.leave(millis(drain_ms), force);
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    #[pyo3(signature = (on=None))]
    fn close<'py>(
        &self,
        py: Python<'py>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.close();
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    fn is_closed(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.alive.get(py)?.is_closed())
    }

    /// True in a forked child; the one question that a child may ask.
    fn is_forked(&self) -> bool {
        self.alive.is_forked()
    }

    fn address(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.alive.get(py)?.address())
    }

    fn members<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for one in self.alive.get(py)?.members().or_raise(py)? {
            list.append(member(py, one)?)?;
        }
        Ok(list)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in self.alive.get(py)?.stats().or_raise(py)?.iter() {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    fn events(&self, py: Python<'_>) -> PyResult<Events> {
        Ok(Events::from(self.alive.get(py)?.events()))
    }

    fn evict(&self, py: Python<'_>, member: &str) -> PyResult<()> {
        let primer = self.alive.get(py)?;
        let evicted = member.parse().and_then(|member| primer.evict(member));
        evicted.or_raise(py)
    }

    fn reclaim(&self, py: Python<'_>, keep: bool) -> PyResult<u64> {
        self.alive.get(py)?.reclaim(keep).or_raise(py)
    }

    fn rotate(&self, py: Python<'_>, secrets: Vec<String>) -> PyResult<()> {
        self.alive.get(py)?.rotate(secrets).or_raise(py)
    }

    fn broadcast(&self, py: Python<'_>, topic: &str, body: Body) -> PyResult<()> {
        self.alive.get(py)?.broadcast(topic, body.0).or_raise(py)
    }

    fn on(&self, py: Python<'_>, topic: &str) -> PyResult<Topic> {
        Ok(Topic::from(self.alive.get(py)?.on(topic).or_raise(py)?))
    }

    fn put(&self, py: Python<'_>, key: &str, value: Value) -> PyResult<()> {
        self.alive.get(py)?.put(key, value.0).or_raise(py)
    }

    fn get<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let value = self.alive.get(py)?.get(key).or_raise(py)?;
        Ok(value.map(|value| PyBytes::new(py, &value)))
    }

    fn delete(&self, py: Python<'_>, key: &str) -> PyResult<()> {
        self.alive.get(py)?.delete(key).or_raise(py)
    }

    fn list<'py>(&self, py: Python<'py>, prefix: &str) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for one in self.alive.get(py)?.list(prefix).or_raise(py)? {
            list.append(entry(py, one)?)?;
        }
        Ok(list)
    }

    fn set_policy(
        &self,
        py: Python<'_>,
        prefix: &str,
        settings: Vec<(String, String)>,
    ) -> PyResult<()> {
        let options = settings.into_iter().collect();
        let primer = self.alive.get(py)?;
        primer.set_policy(prefix, &options).or_raise(py)
    }

    fn remove_policy(&self, py: Python<'_>, prefix: &str) -> PyResult<()> {
        self.alive.get(py)?.remove_policy(prefix).or_raise(py)
    }

    fn policies(&self, py: Python<'_>) -> PyResult<Vec<(String, convert::Pairs)>> {
        let policies = self.alive.get(py)?.policies().or_raise(py)?;
        let policies = policies.into_iter();
        Ok(policies
            .map(|(prefix, options)| (prefix, convert::settings(&options)))
            .collect())
    }

    #[pyo3(signature = (id, on=None))]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let primer = self.alive.get(py)?;
        let pending = id.parse().map(|id| primer.explain(id)).or_raise(py)?;
        answer(py, pending, queue_of(py, on)?, |value| {
            explanation(py, value)
        })
    }

    fn watch(&self, py: Python<'_>, prefix: &str) -> PyResult<Watch> {
        Ok(Watch::from(self.alive.get(py)?.watch(prefix)))
    }

    fn queue(&self, py: Python<'_>, name: &str) -> PyResult<Queue> {
        Ok(Queue::from(self.alive.get(py)?.queue(name).or_raise(py)?))
    }
}
