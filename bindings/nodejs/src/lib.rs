//! Primer for Node.js, the native layer: it converts, calls one verb of `primer`, converts back.
//!
//! Everything here is a free function over small numbers, because a class method of Node-API costs ten
//! times a plain call. A handle is a place in a slab ([`slab`]) of the calling thread ([`room`]); an answer
//! is one number: 0 for "done", a positive ticket (or handle) for "later", a negative place of a failure.
//! What is more than a number is packed into memory that JavaScript owns ([`pack`]). Promises, iterators,
//! classes and options are JavaScript's, in `lib/`.
//!
//! No function here blocks, and none panics across the border: [`room::verb`] turns a panic into a 599
//! and `catch_unwind` is on every function for what happens outside of it.

// Node-API's registration is left out of test builds, and with it every use of the verbs.
#![cfg_attr(test, allow(dead_code))]

mod browse;
mod delivery;
mod gossip;
mod host;
mod member;
mod pack;
mod parcel;
mod queue;
mod reader;
mod room;
mod slab;
