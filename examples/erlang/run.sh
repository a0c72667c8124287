#!/bin/sh
# Builds the binding and runs the examples: hello, then two processes that work together.
set -eu
cd "$(dirname "$0")"
(cd ../../bindings/erlang && rebar3 compile)
ERL_LIBS=$PWD/../../bindings/erlang/_build/default/lib
export ERL_LIBS

escript hello.escript

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
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
