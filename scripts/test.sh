#!/usr/bin/env bash
# Every check and every test, in the order in which a failure is cheapest to learn of. Prints each
# step's own words, then how long each step took.
#
#   scripts/test.sh [STEP]...      all of them without an argument; names: scripts/test.sh --list
#
# scripts/setup.sh must have run. A face or an example that exists without its own test.sh or run.sh fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export PATH=$PWD/build/venv/bin:$PATH
export RUST_BACKTRACE=${RUST_BACKTRACE:-0} CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

bindings=(primer-c primer-python primer-nodejs primer_nif primer-uniffi)

step_fmt() { cargo fmt --all --check; }

step_lint() {
    cargo clippy --quiet --locked --all-targets -- -D warnings
    local package
    for package in "${bindings[@]}"; do
        cargo clippy --quiet --locked --all-targets -p "$package" -- -D warnings
    done
    echo "lint: no warning in the default members and ${#bindings[@]} bindings"
}

step_tidy() { cargo run --quiet --locked -p primer-tidy; }

# The simulator's tests want an optimised build with its assertions on: they are the next step.
step_rust() {
    local others=()
    local package
    for package in "${bindings[@]}" primer-sim; do
        others+=(--exclude "$package")
    done
    cargo test --locked --workspace "${others[@]}"
}

step_sim() {
    PRIMER_SIM_SEEDS=200 cargo test --locked --profile sim -p primer-sim
    scripts/run.sh sim "${SEEDS:-3000}"
}

step_fuzz() { SEED=1 scripts/run.sh fuzz 10; }

step_kill() { scripts/run.sh kill 5; }

# Where namespaces cannot be made (no root) it says which scenarios were not run.
step_chaos() { scripts/run.sh chaos --short; }

# The face's own script: builds it and runs all of its tests.
face() {
    [ -d "bindings/$1" ] || return 0
    [ -x "bindings/$1/test.sh" ] || {
        echo "bindings/$1 has no test.sh" >&2
        return 1
    }
    "bindings/$1/test.sh"
}
step_c() { face c; }
step_python() { face python; }
step_nodejs() { face nodejs; }
step_erlang() { face erlang; }
step_uniffi() { face uniffi; }

# One letter through Python, Node.js and Erlang, with the faces just built.
step_journey() { tests/journey/run.sh; }

step_examples() {
    local folder
    for folder in examples/*/; do
        folder=${folder%/}
        if [ -x "$folder/run.sh" ]; then
            echo "-- $folder"
            "$folder/run.sh"
        elif ! grep -q "$folder/" bindings/*/test.sh scripts/demo.sh; then
            echo "$folder has no run.sh, and no other script runs it" >&2
            return 1
        fi
    done
}

step_demo() { scripts/run.sh demo --small; }

step_bench() { PROFILE=face scripts/run.sh bench --smoke; }

steps=(fmt tidy lint rust sim fuzz kill chaos c python nodejs erlang journey uniffi examples demo bench)

if [ "${1:-}" = --list ]; then
    printf '%s\n' "${steps[@]}"
    exit
fi
[ $# -eq 0 ] || steps=("$@")

times=()
report() {
    local status=$?
    printf '\n%s\n' "${times[@]}"
    if [ "$status" -ne 0 ]; then
        echo "test: step '$step' failed after $((SECONDS - began)) s"
    else
        echo "test: ${#steps[@]} steps passed in $SECONDS s"
    fi
}
trap report EXIT
# Who is told to end has not passed.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

step='' began=0
for step in "${steps[@]}"; do
    began=$SECONDS
    printf '\n==== %s ====\n' "$step"
    "step_$step"
    times+=("$(printf '%-10s %5d s' "$step" $((SECONDS - began)))")
done
