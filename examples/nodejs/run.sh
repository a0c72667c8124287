#!/bin/sh
# Runs every example. Builds the native layer first when there is none.
set -eu
cd "$(dirname "$0")"
[ -e ../../bindings/nodejs/primer.node ] || ../../bindings/nodejs/build.sh
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error
for example in hello.mjs workers.mjs; do
  echo "== $example"
  node "$example"
done
