#!/bin/sh
# Builds the NIF and puts it into priv/. rebar3 runs it before it compiles.
# CARGO_TARGET_DIR is honoured; PRIMER_PROFILE is the cargo profile (face; release for packages).
set -eu
cd "$(dirname "$0")"
profile=${PRIMER_PROFILE:-face}
target=${CARGO_TARGET_DIR:-../../../target}
cargo build --quiet --locked --package primer_nif --profile "$profile"
case $(uname -s) in
Darwin) built=libprimer_nif.dylib ;;
*) built=libprimer_nif.so ;;
esac
mkdir -p ../priv
# By rename: a running VM may have the old file mapped.
if ! cmp -s "$target/$profile/$built" ../priv/primer_nif.so; then
    cp "$target/$profile/$built" "../priv/primer_nif.so.$$"
    mv "../priv/primer_nif.so.$$" ../priv/primer_nif.so
fi
