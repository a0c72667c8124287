//! Primer for Python.
