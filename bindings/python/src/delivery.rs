//! [`Delivery`]: a message on lease.

use std::ffi::c_int;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList};

use crate::alive::Alive;
use crate::completions::{Completions, queue_of};
use crate::convert::{self, Body, Headers, Int, millis};
use crate::error::OrRaise;
use crate::wait::answer;

/// A message on lease to this process. Garbage unsettled, it is released at once.
#[pyclass(frozen, module = "primer._primer")]
pub struct Delivery {
    pub(crate) alive: Alive<primer::Delivery>,
    /// Made when it is first asked for: many consumers look at a body twice or never.
    body: PyOnceLock<Py<PyBytes>>,
}

#[pymethods]
impl Delivery {
    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.alive.get(py)?.id().to_string())
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let delivery = self.alive.get(py)?;
        let body = self
            .body
            .get_or_init(py, || PyBytes::new(py, delivery.body()).unbind());
        Ok(body.bind(py).clone())
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.alive.get(py)?.headers())
    }

    #[getter]
    fn attempts(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(self.alive.get(py)?.attempts())
    }

    #[getter]
    fn priority(&self, py: Python<'_>) -> PyResult<u8> {
        Ok(self.alive.get(py)?.priority())
    }

    #[getter]
    fn key(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.alive.get(py)?.key().map(str::to_owned))
    }

    #[getter]
    fn queue(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.alive.get(py)?.queue().name().to_owned())
    }

    #[getter]
    fn wants_reply(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.alive.get(py)?.wants_reply())
    }

    #[pyo3(signature = (body, headers=None))]
    fn reply(&self, py: Python<'_>, body: Body, headers: Option<Headers>) -> PyResult<()> {
        let delivery = self.alive.get(py)?;
        delivery.reply(convert::reply(body, headers)).or_raise(py)
    }

    fn ack(&self, py: Python<'_>) -> PyResult<()> {
        self.alive.get(py)?.ack().or_raise(py)
    }

    #[pyo3(signature = (delay_ms=None, on=None))]
    fn nack<'py>(
        &self,
        py: Python<'py>,
        delay_ms: Option<Int<u64>>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.nack(millis(delay_ms));
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    #[pyo3(signature = (on=None))]
    fn release<'py>(
        &self,
        py: Python<'py>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.release();
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    #[pyo3(signature = (reason, on=None))]
    fn reject<'py>(
        &self,
        py: Python<'py>,
        reason: &str,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.reject(reason);
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    #[pyo3(signature = (lease_ms=None, on=None))]
    fn extend<'py>(
        &self,
        py: Python<'py>,
        lease_ms: Option<Int<u64>>,
        on: Option<&Bound<'py, Completions>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pending = self.alive.get(py)?.extend(millis(lease_ms));
        answer(py, pending, queue_of(py, on)?, |()| {
            Ok(py.None().into_bound(py))
        })
    }

    /// `memoryview(delivery)`: the body without a copy, read-only.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let body = slf.get().alive.get(slf.py())?.body();
        let length =
            isize::try_from(body.len()).map_err(|_| PyBufferError::new_err("too large"))?;
        // SAFETY: Python hands a view to fill. The memory belongs to a frozen object's Bytes, which
        // never moves or changes while the object lives, and the view keeps the object alive
        // (PyBuffer_FillInfo takes a reference). Read-only is 1, so nobody may write through it.
        let code = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                body.as_ptr().cast_mut().cast(),
                length,
                1,
                flags,
            )
        };
        if code == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(slf.py()))
        }
    }
}

impl From<primer::Delivery> for Delivery {
    fn from(delivery: primer::Delivery) -> Self {
        Self {
            alive: Alive::new(delivery),
            body: PyOnceLock::new(),
        }
    }
}

/// One delivery for Python.
pub fn delivery(py: Python<'_>, delivery: primer::Delivery) -> PyResult<Bound<'_, PyAny>> {
    Ok(Bound::new(py, Delivery::from(delivery))?.into_any())
}

/// Several, as a list.
pub fn deliveries(py: Python<'_>, deliveries: Vec<primer::Delivery>) -> PyResult<Bound<'_, PyAny>> {
    let list = PyList::new(py, deliveries.into_iter().map(Delivery::from))?;
    Ok(list.into_any())
}
