//! Primer for C and C++: the ABI that every further language may use.
