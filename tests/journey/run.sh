#!/usr/bin/env bash
# Runs the journey with the faces that their test.sh built (Python's wheel in build/venv, Node.js's
# primer.node) and Erlang's application, compiled here: EUnit builds another profile.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
mkdir -p node_modules
ln -sfn ../../../bindings/nodejs node_modules/primer
(cd "$root/bindings/erlang" && rebar3 compile >/dev/null)
export ERL_LIBS=$root/bindings/erlang/_build/default/lib
exec "$root/build/venv/bin/python" journey.py
