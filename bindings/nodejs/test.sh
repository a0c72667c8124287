#!/bin/sh
# Builds the native layer (with its canary), then checks types and runs every test. Closes with node's own lines.
set -eu
cd "$(dirname "$0")"
FEATURES=canary ./build.sh
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error
node node_modules/typescript/bin/tsc --project test/types --noEmit
# Members that name a cluster look for each other in this directory: here they meet nobody else's.
PRIMER_RUNTIME_DIR=$(mktemp -d)
export PRIMER_RUNTIME_DIR
trap 'rm -rf "$PRIMER_RUNTIME_DIR"' EXIT
trap 'exit 1' HUP INT TERM
# A test that hangs is a failure: no test takes a tenth of this.
node --test --test-timeout=120000 test/*.test.mjs
