//! Python's arguments as the core's values.

use std::time::{Duration, SystemTime};

use primer::{Bytes, Error, ErrorKind, IfNoGroup, OnShort};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyMapping};

use crate::error::raise;

/// Bodies up to this size are copied, larger ones shared with the `bytes` object: a copy of this
/// much costs about as much as the bookkeeping of sharing (bindings.md, rule 6).
const COPIED_BYTES_MAX: usize = 4 << 10;

/// A body: `bytes`, or anything with a contiguous buffer of bytes.
pub struct Body(pub Bytes);

impl<'py> FromPyObject<'_, 'py> for Body {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        content(object, "body").map(Body)
    }
}

/// What is under a key: as a body.
pub struct Value(pub Bytes);

impl<'py> FromPyObject<'_, 'py> for Value {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        content(object, "value").map(Value)
    }
}

fn content(object: Borrowed<'_, '_, PyAny>, what: &str) -> PyResult<Bytes> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        let content = bytes.as_bytes();
        return Ok(if content.len() <= COPIED_BYTES_MAX {
            Bytes::copy_from_slice(content)
        } else {
            // `bytes` never change, so the core may read them where they are.
            Bytes::from_owner(PyBackedBytes::from(bytes.to_owned()))
        });
    }
    // Whatever else can change under our hands and is copied.
    let buffer = PyBuffer::<u8>::get(&object).map_err(|_| {
        let kind = object
            .get_type()
            .name()
            .map_or_else(|_| "?".into(), |name| name.to_string());
        PyTypeError::new_err(format!("a {what} is bytes-like, not {kind}"))
    })?;
    Ok(Bytes::from(buffer.to_vec(object.py())?))
}

/// Headers: a mapping of text to text, or pairs of texts where names may repeat; their order counts.
pub struct Headers(pub Vec<(String, String)>);

impl<'py> FromPyObject<'_, 'py> for Headers {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let pairs = if let Ok(dict) = object.cast::<PyDict>() {
            dict.items().into_any()
        } else if let Ok(mapping) = object.cast::<PyMapping>() {
            mapping.items()?.into_any()
        } else {
            object.to_owned()
        };
        let mut headers = Vec::new();
        for pair in pairs.try_iter()? {
            headers.push(pair?.extract::<(String, String)>().map_err(|_| {
                PyTypeError::new_err("headers are a mapping of str to str, or pairs of str")
            })?);
        }
        Ok(Headers(headers))
    }
}

/// Pairs of texts.
pub type Pairs = Vec<(String, String)>;

/// Settings as pairs.
pub fn settings(options: &primer::QueueOptions) -> Pairs {
    let settings = options.iter();
    settings
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

/// A handler's reply.
pub fn reply(body: Body, headers: Option<Headers>) -> primer::Reply {
    primer::Reply {
        body: body.0,
        headers: headers.map(|headers| headers.0).unwrap_or_default(),
    }
}

/// A whole number. One that does not fit the core's type is out of its range: 101, not Python's
/// OverflowError, so that all numbers out of range look alike.
pub struct Int<T>(pub T);

impl<'py, T> FromPyObject<'_, 'py> for Int<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    type Error = PyErr;

    #[inline]
    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = object.py();
        object.extract::<T>().map(Int).map_err(|error: PyErr| {
            if !error.is_instance_of::<PyOverflowError>(py) {
                return error;
            }
            let wrong =
                Error::new(ErrorKind::InvalidArgument).because("a number is out of its range");
            raise(py, &wrong.with("number", object.to_string()))
        })
    }
}

/// Milliseconds as a duration.
#[inline]
pub fn millis(time: Option<Int<u64>>) -> Option<Duration> {
    time.map(|time| Duration::from_millis(time.0))
}

/// Milliseconds since 1970 as a date. Errors: 101 past the last one that the operating system knows.
#[inline]
pub fn date(py: Python<'_>, at: Option<Int<u64>>) -> PyResult<Option<SystemTime>> {
    let Some(Int(at)) = at else { return Ok(None) };
    match SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at)) {
        Some(date) => Ok(Some(date)),
        None => Err(raise(
            py,
            &Error::new(ErrorKind::InvalidArgument)
                .because("there is no such date")
                .with("at_ms", at),
        )),
    }
}

/// "degrade", "fail" or "wait". Errors: 101.
pub fn on_short(py: Python<'_>, word: Option<&str>) -> PyResult<Option<OnShort>> {
    let Some(word) = word else { return Ok(None) };
    match word {
        "degrade" => Ok(Some(OnShort::Degrade)),
        "fail" => Ok(Some(OnShort::Fail)),
        "wait" => Ok(Some(OnShort::Wait)),
        other => Err(raise(
            py,
            &Error::new(ErrorKind::InvalidArgument)
                .because("on_short is degrade, fail or wait")
                .with("on_short", other),
        )),
    }
}

/// "hold", "drop" or "refuse". Errors: 101.
pub fn if_no_group(py: Python<'_>, word: Option<&str>) -> PyResult<IfNoGroup> {
    match word {
        None | Some("hold") => Ok(IfNoGroup::Hold),
        Some("drop") => Ok(IfNoGroup::Drop),
        Some("refuse") => Ok(IfNoGroup::Refuse),
        Some(other) => Err(raise(
            py,
            &Error::new(ErrorKind::InvalidArgument)
                .because("if_no_group is hold, drop or refuse")
                .with("if_no_group", other),
        )),
    }
}
