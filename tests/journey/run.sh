#!/usr/bin/env bash
# Runs the journey with the faces that their test.sh built: Python's wheel in build/venv, Node.js's and
# Erlang's in their folders.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
mkdir -p node_modules
ln -sfn ../../../bindings/nodejs node_modules/primer
export ERL_LIBS=$root/bindings/erlang/_build/default/lib
exec "$root/build/venv/bin/python" journey.py
