#!/bin/sh
# Builds the examples against an installed library, found by pkg-config, and runs them: hello, fanout, and
# workers as two processes. An example that says the wrong thing fails.
#
# The library is installed under the build folder unless PRIMER_PREFIX names where it is already.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${CARGO_TARGET_DIR:-$root/target}/c/examples
mkdir -p "$build"
if [ -z "${PRIMER_PREFIX:-}" ]; then
    PRIMER_PREFIX=$build/prefix
    "$root/bindings/c/install.sh" "$PRIMER_PREFIX" face
fi
PKG_CONFIG_PATH=$PRIMER_PREFIX/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
LD_LIBRARY_PATH=$PRIMER_PREFIX/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PKG_CONFIG_PATH LD_LIBRARY_PATH

for name in hello workers fanout; do
    # shellcheck disable=SC2046  # several flags
    ${CC:-cc} -std=c99 -Wall -Wextra -Werror -pedantic -O2 "$here/$name.c" \
        $(pkg-config --cflags --libs primer) -o "$build/$name"
done

# said NAME WANTED LINES: the last of the lines is the wanted one.
said() {
    printf '%s\n' "$3"
    [ "$(printf '%s\n' "$3" | tail -n 1)" = "$2" ] || {
        echo "$1: its last line is not: $2" >&2
        exit 1
    }
}

# Members of one cluster's name that one user runs meet: these shall meet none but each other.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
PRIMER_RUNTIME_DIR=$scratch
export PRIMER_RUNTIME_DIR

out=$("$build/hello")
said hello 'bob received "hello from ann" (attempt 1)' "$out"

out=$("$build/fanout")
said fanout 'bob heard "soup is ready" on kitchen' "$out"

boss='' helper=''
end() {
    [ -z "$boss" ] || kill "$boss" 2>/dev/null || true
    [ -z "$helper" ] || kill "$helper" 2>/dev/null || true
    rm -rf "$scratch"
}
trap end EXIT
mkfifo "$scratch/boss" "$scratch/stop"
"$build/workers" >"$scratch/boss" &
boss=$!
exec 3<"$scratch/boss"
read -r address <&3
"$build/workers" "$address" <"$scratch/stop" &
helper=$!
exec 4>"$scratch/stop" # the helper works until this is closed
out=$(timeout 120 cat <&3)
wait "$boss"
boss=''
exec 4>&-
wait "$helper"
helper=''
said workers '30 squares, their sum is 9455' "$out"
echo "examples/c: 3 examples ran"
