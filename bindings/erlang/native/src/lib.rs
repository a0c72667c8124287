//! Primer for Erlang and Elixir: the NIF.
