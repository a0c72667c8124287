#!/usr/bin/env bash
# Builds the four faces that the demo needs and runs it: scripts/demo.sh [--small]
# scripts/setup.sh demo must have run.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
build=$CARGO_TARGET_DIR/demo
mkdir -p "$build"

echo "demo: building the faces of Python, Node.js, Erlang and C"
bindings/python/test.sh --install
bindings/nodejs/build.sh
(cd bindings/erlang && rebar3 compile >/dev/null)
bindings/c/install.sh "$build/c" face >/dev/null
PKG_CONFIG_PATH=$build/c/lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # several flags
cc -std=c99 -Wall -Wextra -Werror -O2 examples/demo/worker.c $(pkg-config --cflags --libs primer) \
    -Wl,-rpath,"$build/c/lib" -o "$build/worker"

# Node.js finds the package by its path.
mkdir -p examples/demo/node_modules
ln -sfn ../../../bindings/nodejs examples/demo/node_modules/primer
export ERL_LIBS=$PWD/bindings/erlang/_build/default/lib
exec build/venv/bin/python examples/demo/demo.py --c "$build/worker" "$@"
