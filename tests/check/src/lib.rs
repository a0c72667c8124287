//! Histories and their checkers.
