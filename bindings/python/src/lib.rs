//! The native layer of Primer for Python: `primer._primer`.
//!
//! It decides nothing: it converts, calls one verb of the core, converts back. What Python people
//! expect beyond that (context managers, iterators, awaitables, "30s") is written in Python over
//! these classes, in `python/primer`. A verb that may have to wait takes `on`: without it the call
//! waits with the interpreter lock let go, with it the answer is the value, if it is here already,
//! or an `int`, the ticket under which that [`completions::Completions`] will bring it.
//!
//! Every class is frozen and lives in an [`alive::Alive`], so that a forked child, whose copy of
//! the core has lost its threads, gets an error instead of a deadlock.

pub mod alive;
pub mod completions;
pub mod convert;
pub mod delivery;
pub mod error;
pub mod primer_handle;
pub mod queue;
pub mod readers;
pub mod receipt;
pub mod subscription;
pub mod values;
pub mod wait;

/// The module as Python sees it; `_primer.pyi` describes it, and a test compares the two.
#[pyo3::pymodule]
mod _primer {
    use pyo3::types::PyModuleMethods;

    #[pymodule_export]
    use crate::completions::Completions;
    #[pymodule_export]
    use crate::delivery::Delivery;
    #[pymodule_export]
    use crate::primer_handle::Primer;
    #[pymodule_export]
    use crate::queue::Queue;
    #[pymodule_export]
    use crate::readers::{Events, Topic, Watch};
    #[pymodule_export]
    use crate::receipt::Receipt;
    #[pymodule_export]
    use crate::subscription::Subscription;
    #[pymodule_export]
    use crate::wait::{join_waits, waits};

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::alive::watch_forks();
        crate::wait::find_main_thread(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
