//! What the checkers found.

use std::collections::BTreeMap;
use std::fmt;

use crate::history::Value;

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One of [`crate::NAMES`].
    pub name: &'static str,
    /// About which message, if about one.
    pub value: Option<Value>,
    /// What was seen, for a person.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(value) = self.value {
            write!(f, " {value}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Figures and findings of one history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Numbers by name; none of them is a fault by itself.
    pub figures: BTreeMap<&'static str, u64>,
    /// Broken promises, in the order of the checkers.
    pub findings: Vec<Finding>,
}

impl Report {
    /// True when no promise was broken.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.findings.is_empty()
    }

    /// The figure of that name; 0 when nothing was counted.
    #[must_use]
    pub fn figure(&self, name: &str) -> u64 {
        self.figures.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn count(&mut self, name: &'static str, by: u64) {
        *self.figures.entry(name).or_default() += by;
    }

    pub(crate) fn find(&mut self, name: &'static str, value: Value, detail: String) {
        debug_assert!(crate::NAMES.iter().any(|(known, _)| *known == name));
        self.findings.push(Finding {
            name,
            value: Some(value),
            detail,
        });
    }

    pub(crate) fn broken(&mut self, value: Option<Value>, detail: String) {
        self.findings.push(Finding {
            name: "broken-history",
            value,
            detail,
        });
    }
}
