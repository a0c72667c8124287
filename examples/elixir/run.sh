#!/bin/sh
# Builds the binding and runs the project's tests, offline: the only dependency is a path.
set -eu
cd "$(dirname "$0")"
MIX_REBAR3=${MIX_REBAR3:-$(command -v rebar3)}
export MIX_REBAR3
# Members of one cluster's name and one user meet there: these are to meet only each other.
PRIMER_RUNTIME_DIR=$(mktemp -d)
export PRIMER_RUNTIME_DIR
trap 'rm -rf "$PRIMER_RUNTIME_DIR"' EXIT
# Elixir wants a UTF-8 locale and says so at length otherwise.
LC_ALL=C.UTF-8 mix test "$@"
