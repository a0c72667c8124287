#!/bin/sh
# Runs every example. Builds the native layer first when there is none.
set -eu
cd "$(dirname "$0")"
[ -e ../../bindings/nodejs/primer.node ] || ../../bindings/nodejs/build.sh
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error
# Members that name a cluster look for each other in this directory: here they meet nobody else's.
PRIMER_RUNTIME_DIR=$(mktemp -d)
export PRIMER_RUNTIME_DIR
trap 'rm -rf "$PRIMER_RUNTIME_DIR"' EXIT
trap 'exit 1' HUP INT TERM
for example in hello.mjs workers.mjs fanout.mjs; do
  echo "== $example"
  node "$example"
done
