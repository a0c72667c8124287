//! Ratios to the limits of the machine and to peers.
