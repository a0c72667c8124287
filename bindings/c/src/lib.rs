//! Primer for C and C++: the ABI that every further language may use.
//!
//! Decides nothing: each function checks its pointers, calls one verb of `primer` and hands the
//! answer out. `table` makes handles safe to get wrong, `boundary` keeps panics in and puts errors
//! where C finds them, `values` converts, and one module per handle holds its verbs. The doc comments
//! of everything public are `include/primer.h`'s, written for people who read C; `tests/header.rs`
//! regenerates that file and compares.
#![expect(
    non_camel_case_types,
    reason = "the names are C's, as the header shows them"
)]

mod boundary;
mod browse;
mod calls;
mod code;
mod completion;
mod delivery;
mod doctor;
mod event;
mod explain;
mod groups;
mod handle;
mod keys;
mod lists;
mod options;
mod primer;
mod queue;
mod queue_start;
mod reader;
mod redrive;
mod settings;
mod subscription;
mod table;
mod topic;
mod values;
mod watch;
