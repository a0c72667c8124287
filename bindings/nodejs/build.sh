#!/bin/sh
# Builds the native layer and puts it beside package.json as primer.node. PROFILE chooses the cargo profile
# (face), FEATURES cargo features (none); CARGO_TARGET_DIR is honoured.
set -eu
cd "$(dirname "$0")"
profile=${PROFILE:-face}
cargo build -p primer-nodejs --profile "$profile" --features "${FEATURES:-}"
target=${CARGO_TARGET_DIR:-../../target}
[ "$profile" = dev ] && profile=debug
case $(uname) in Darwin) library=libprimer_nodejs.dylib ;; *) library=libprimer_nodejs.so ;; esac
# Renamed into place: a process that has the old one mapped keeps it whole.
cp "$target/$profile/$library" ".primer.node.$$"
mv ".primer.node.$$" primer.node
