#!/usr/bin/env bash
# Runs every example against the wheel that bindings/python/test.sh installed into build/venv,
# which it builds if there is none. An example that says nothing or the wrong thing fails.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
python="$root/build/venv/bin/python"

"$python" -c 'import primer._primer' 2>/dev/null || "$root/bindings/python/test.sh" --install

# Members of one cluster's name and one user meet there: these are to meet only each other.
PRIMER_RUNTIME_DIR="$(mktemp -d)"
export PRIMER_RUNTIME_DIR
trap 'rm -rf "$PRIMER_RUNTIME_DIR"' EXIT

# run NAME LAST-LINE: its last line must match.
run() {
    local said
    said="$("$python" "$here/$1.py")" || { echo "$said"; echo "$1 failed" >&2; exit 1; }
    echo "$said"
    [[ "$(tail -n 1 <<<"$said")" =~ $2 ]] || { echo "$1: its last line is not /$2/" >&2; exit 1; }
}

run hello '^bob received "hello from ann" \(attempt 1\)$'
run workers '^30 squares by [12] workers, their sum is 9455$'
run workers_aio '^30 squares, their sum is 9455$'
run fanout '^bob again heard: tea is ready$'
echo "examples/python: 4 examples ran"
