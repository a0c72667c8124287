//! [`Receipt`]: an enqueue's honest answer.

use std::hash::{Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::PyList;

/// Receipt of an enqueue. It stays valid in a forked child: it holds no handle.
#[pyclass(frozen, eq, hash, module = "primer._primer")]
#[derive(PartialEq, Eq)]
pub struct Receipt(primer::Receipt);

impl Hash for Receipt {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

#[pymethods]
impl Receipt {
    #[getter]
    fn id(&self) -> String {
        self.0.id.to_string()
    }

    #[getter]
    fn copies(&self) -> u16 {
        self.0.copies
    }

    #[getter]
    fn durable_copies(&self) -> u16 {
        self.0.durable_copies
    }

    #[getter]
    fn wanted(&self) -> u16 {
        self.0.wanted
    }

    #[getter]
    fn is_duplicate(&self) -> bool {
        self.0.is_duplicate
    }

    fn __repr__(&self) -> String {
        let primer::Receipt {
            id,
            copies,
            durable_copies,
            wanted,
            is_duplicate,
        } = self.0;
        let duplicate = if is_duplicate { " is_duplicate" } else { "" };
        format!(
            "<primer.Receipt {id} copies={copies} durable_copies={durable_copies} wanted={wanted}{duplicate}>"
        )
    }
}

/// One receipt for Python.
pub fn receipt(py: Python<'_>, receipt: primer::Receipt) -> PyResult<Bound<'_, PyAny>> {
    Ok(Bound::new(py, Receipt(receipt))?.into_any())
}

/// Several, as a list.
pub fn receipts(py: Python<'_>, receipts: Vec<primer::Receipt>) -> PyResult<Bound<'_, PyAny>> {
    let list = PyList::new(py, receipts.into_iter().map(Receipt))?;
    Ok(list.into_any())
}
