//! The walls of the house, checked.
//!
//! What cargo, no_std and clippy cannot see: who may import whom, how long a file may be, that one
//! table describes every face, that documents name what exists. Each check reads a [`Tree`] and
//! answers [`Finding`]s; it is a plain function, so that its own tests hand it bad samples.

mod docs;
mod faces;
mod leaks;
mod sizes;
mod source;
mod strays;
mod surface;
mod tree;
mod unsafety;
mod walls;

pub use tree::{Finding, Tree};

/// A check: its name, and what it finds.
pub type Check = (&'static str, fn(&Tree) -> Vec<Finding>);

/// Every check there is.
pub const CHECKS: &[Check] = &[
    ("crate edges", walls::edges),
    ("room order", walls::rooms),
    ("purity", walls::purity),
    ("unsafe blocks", unsafety::blocks),
    ("file heads", sizes::heads),
    ("file sizes", sizes::sizes),
    ("unfinished marks", leaks::marks),
    ("machine paths and hosts", leaks::places),
    ("surface table", surface::table),
    ("surface of every face", surface::faces),
    ("scenarios", surface::scenarios),
    ("documents", docs::documents),
    ("stray files", strays::strays),
];
