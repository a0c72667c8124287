#!/usr/bin/env bash
# Builds and runs both examples: hello, and workers as two processes. One that says the wrong thing fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --locked -p primer-examples --profile face
bin=$CARGO_TARGET_DIR/face

# said NAME LAST-LINE: standard input, shown; its last line must be that.
said() {
    local text
    text=$(cat)
    echo "$text"
    [ "$(tail -n 1 <<<"$text")" = "$2" ] || {
        echo "$1: its last line is not: $2" >&2
        exit 1
    }
}

"$bin/hello" | said hello 'bob received "hello from ann" (attempt 1)'

scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$scratch"' EXIT
mkfifo "$scratch/lead" "$scratch/stop"
"$bin/workers" >"$scratch/lead" &
lead=$!
exec 3<"$scratch/lead"
read -r address <&3
"$bin/workers" "$address" <"$scratch/stop" &
helper=$!
exec 4>"$scratch/stop" # the helper works until this is closed
timeout 120 cat <&3 | said workers '30 squares, their sum is 9455'
wait "$lead"
exec 4>&-
wait "$helper"
echo "examples/rust: 2 examples ran"
