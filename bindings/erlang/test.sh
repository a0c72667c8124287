#!/bin/sh
# Builds the binding and runs its tests, then the Elixir example's. Needs cargo, Erlang/OTP 25 or later
# (with eunit and, for --dialyzer, dialyzer), rebar3 and Elixir on PATH; nothing is fetched.
set -eu
cd "$(dirname "$0")"
# Members of one cluster's name and one user meet there: these are to meet only each other.
PRIMER_RUNTIME_DIR=$(mktemp -d)
export PRIMER_RUNTIME_DIR
trap 'rm -rf "$PRIMER_RUNTIME_DIR"' EXIT
rebar3 eunit
if [ "${1:-}" = "--dialyzer" ]; then
    rebar3 dialyzer
fi
sh ../../examples/elixir/run.sh
