#!/bin/sh
# Builds the C library and installs it: bindings/c/install.sh PREFIX [PROFILE]
#
#   PREFIX/include/primer.h
#   PREFIX/lib/libprimer.so.0, libprimer.so (a link to it), libprimer.a
#   PREFIX/lib/pkgconfig/primer.pc
#
# PROFILE is a cargo profile, release when not given. DESTDIR is put before PREFIX, for packagers.
set -eu

prefix=${1:?usage: install.sh PREFIX [PROFILE]}
profile=${2:-release}
root=$(cd "$(dirname "$0")/../.." && pwd)
case $prefix in
/*) ;;
*) prefix=$PWD/$prefix ;;
esac
to=${DESTDIR:-}$prefix

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
cargo build --quiet --locked --manifest-path "$root/Cargo.toml" -p primer-c --profile "$profile"
case $profile in
dev | test) built=$CARGO_TARGET_DIR/debug ;;
*) built=$CARGO_TARGET_DIR/$profile ;;
esac

install -d "$to/include" "$to/lib/pkgconfig"
install -m 644 "$root/include/primer.h" "$to/include/primer.h"
# Cargo cannot name them so: the middle's own library is called primer already.
install -m 755 "$built/libprimer_c.so" "$to/lib/libprimer.so.0"
ln -sf libprimer.so.0 "$to/lib/libprimer.so"
install -m 644 "$built/libprimer_c.a" "$to/lib/libprimer.a"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -1)
sed -e "s|@prefix@|$prefix|" -e "s|@version@|$version|" "$root/bindings/c/primer.pc.in" \
    >"$to/lib/pkgconfig/primer.pc"
chmod 644 "$to/lib/pkgconfig/primer.pc"
