//! [`Events`], [`Topic`], [`Watch`]: readers of news, as one member hears it.

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::alive::Alive;
use crate::completions::{Completions, queue_of};
use crate::convert::Int;
use crate::values::{broadcast, change, event};
use crate::wait::next_of;

/// A class for one kind of reader: Python has no generic ones of native code.
macro_rules! reader {
    ($(#[$doc:meta])* $name:ident, $value:path) => {
        $(#[$doc])*
        #[pyclass(frozen, module = "primer._primer")]
        pub struct $name {
            alive: Alive<primer::$name>,
        }

        impl From<primer::$name> for $name {
            fn from(reader: primer::$name) -> Self {
                Self {
                    alive: Alive::new(reader),
                }
            }
        }

        #[pymethods]
        impl $name {
            /// Up to `max` items that are here already.
            fn take<'py>(&self, py: Python<'py>, max: Int<usize>) -> PyResult<Bound<'py, PyList>> {
                let list = PyList::empty(py);
                for item in self.alive.get(py)?.take(max.0) {
                    list.append($value(py, item)?)?;
                }
                Ok(list)
            }

            /// The next item; none when `wait_ms` (none: no limit) passed. With `on`, `wait_ms` is
            /// ignored.
            #[pyo3(signature = (wait_ms=None, on=None))]
            fn next<'py>(
                &self,
                py: Python<'py>,
                wait_ms: Option<Int<u64>>,
                on: Option<&Bound<'py, Completions>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let pending = self.alive.get(py)?.next();
                next_of(py, pending, wait_ms, queue_of(py, on)?, $value)
            }

            fn missed(&self, py: Python<'_>) -> PyResult<u64> {
                Ok(self.alive.get(py)?.missed())
            }

            fn close(&self, py: Python<'_>) -> PyResult<()> {
                self.alive.get(py)?.close();
                Ok(())
            }
        }
    };
}

reader!(
    /// What happens to the cluster.
    Events,
    event
);
reader!(
    /// What members tell everyone who listens to one topic.
    Topic,
    broadcast
);
reader!(
    /// Changes of keys.
    Watch,
    change
);
