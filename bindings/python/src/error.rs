//! Primer's errors as Python exceptions. The classes are Python's own (`primer/_errors.py`): one a
//! hundred, with `number`, `kind`, `reason` and `context`.

use primer::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception for `error`.
#[cold]
pub fn raise(py: Python<'_>, error: &Error) -> PyErr {
    match exception(py, error) {
        Ok(value) => PyErr::from_value(value),
        Err(trouble) => trouble,
    }
}

/// The exception for `error` as an object, for the queue of late answers.
pub fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let make = MAKE.get_or_try_init(py, || -> PyResult<Py<PyAny>> {
        Ok(py.import("primer._errors")?.getattr("make")?.unbind())
    })?;
    let context = PyDict::new(py);
    for (key, value) in error.context() {
        context.set_item(key, value)?;
    }
    let arguments = (
        error.number(),
        error.kind().name(),
        error.to_string(),
        error.reason(),
        context,
    );
    make.bind(py).call1(arguments)
}

/// `?` for results of the core.
pub trait OrRaise<T> {
    /// The value, or the exception for the error.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for primer::Result<T> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raise(py, &error))
    }
}
