//! Primer for Node.js.
