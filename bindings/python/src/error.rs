//! Primer's errors as Python exceptions. The classes are Python's own (`primer/_errors.py`): one a
//! hundred, with `number`, `kind`, `reason` and `context`. They are made as [`crate::values`] are,
//! without a line of Python being run.

use primer::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// By hundred; the first is for a hundred that is not known.
const NAMES: [&str; 6] = [
    "PrimerError",
    "WrongCall",
    "NotNow",
    "InDoubt",
    "TooLate",
    "MemberDown",
];

/// The classes, each with its `__new__`.
type Classes = Vec<(Py<PyAny>, Py<PyAny>)>;

fn classes(py: Python<'_>) -> PyResult<&Classes> {
    static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
    CLASSES.get_or_try_init(py, || {
        let module = py.import("primer._errors")?;
        let class = |name| {
            let class = module.getattr(name)?;
            Ok((class.clone().unbind(), class.getattr("__new__")?.unbind()))
        };
        NAMES.into_iter().map(class).collect()
    })
}

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
    let context = PyDict::new(py);
    for (key, value) in error.context() {
        context.set_item(key, value)?;
    }
    let classes = classes(py)?;
    let known = classes.get(usize::from(error.number() / 100));
    let (class, new) = known.or(classes.first()).ok_or_else(|| {
        // There are six of them.
        pyo3::exceptions::PySystemError::new_err(error.to_string())
    })?;
    let object = new.bind(py).call1((class, error.to_string()))?;
    object.setattr("number", error.number())?;
    object.setattr("kind", error.kind().name())?;
    object.setattr("reason", error.reason())?;
    object.setattr("context", context)?;
    Ok(object)
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
