#!/bin/sh
# Builds the binding and runs the examples: hello, fanout, then two processes that work together.
set -eu
cd "$(dirname "$0")"
(cd ../../bindings/erlang && rebar3 compile)
ERL_LIBS=$PWD/../../bindings/erlang/_build/default/lib
export ERL_LIBS

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Members of one cluster's name and one user meet there: these are to meet only each other.
PRIMER_RUNTIME_DIR=$scratch/runtime
export PRIMER_RUNTIME_DIR

escript hello.escript
escript fanout.escript

mkfifo "$scratch/boss"
escript workers.escript >"$scratch/boss" &
boss=$!
{
    read -r address
    escript workers.escript "$address" &
    worker=$!
    cat
    wait "$worker"
} <"$scratch/boss"
wait "$boss"
