//! Real processes on loopback sockets.
