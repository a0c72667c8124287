#!/usr/bin/env bash
# The project's longer runs, each one command:
#
#   scripts/run.sh sim SEEDS | kill RUNS | chaos [ARGS] | bench [ARGS] | fuzz SECONDS | demo [ARGS] | header | install PREFIX
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export PATH=$PWD/build/venv/bin:$PATH
export RUST_BACKTRACE=${RUST_BACKTRACE:-0}

# Many clusters from seeds; closes with `sim: seeds=N hours=H violations=V`.
run_sim() { cargo run --quiet --locked --profile sim -p primer-sim -- --seeds "${1:-3000}"; }

# Real processes, one killed under load.
run_kill() { cargo run --quiet --locked --profile face -p primer-cluster -- --runs "${1:-50}"; }

# Real processes in network namespaces, split, paused and killed; needs root, says what it did not run.
run_chaos() { cargo run --quiet --locked --profile face -p primer-chaos -- "$@"; }

# One row a line: row, value, unit, reference, ratio. PROFILE is the cargo profile (release). Where a
# nats-server is found (PATH, NATS_SERVER), JetStream's rows are measured in the same run.
run_bench() {
    export PROFILE=${PROFILE:-release}
    local peers=()
    case " $* " in *" --faces "*) build_faces ;; esac
    case " $* " in
    *" --smoke "*) ;;
    *) command -v "${NATS_SERVER:-nats-server}" >/dev/null && peers=(--features nats) ;;
    esac
    cargo run --quiet --locked --profile "$PROFILE" -p primer-bench "${peers[@]}" -- "$@"
}

# What the bench runs of the other languages.
build_faces() {
    local c=$CARGO_TARGET_DIR/c/bench
    echo "bench: building the faces ($PROFILE)" >&2
    {
        mkdir -p "$c"
        bindings/c/install.sh "$c/prefix" "$PROFILE"
        # shellcheck disable=SC2046  # several flags
        cc -std=c99 -O2 bindings/c/bench/local.c -o "$c/local" -Wl,-rpath,"$c/prefix/lib" \
            $(PKG_CONFIG_PATH=$c/prefix/lib/pkgconfig pkg-config --cflags --libs primer)
        PRIMER_PROFILE=$PROFILE bindings/python/test.sh --install
        bindings/nodejs/build.sh
        (cd bindings/erlang && PRIMER_PROFILE=$PROFILE rebar3 compile)
    } >&2
    export ERL_LIBS=$PWD/bindings/erlang/_build/default/lib
}

# Every target for so many seconds; a crash tells how to replay it.
run_fuzz() {
    cargo build --quiet --locked --profile sim -p primer-fuzz
    local fuzz=$CARGO_TARGET_DIR/sim/primer-fuzz target targets
    targets=$("$fuzz" 2>&1 | sed -n 's/^targets: //p' || true)
    [ -n "$targets" ] || {
        echo "fuzz: no targets" >&2
        return 1
    }
    for target in $targets; do
        "$fuzz" "$target" --seconds "${1:-60}" --seed "${SEED:-$(date +%s)}"
    done
}

run_demo() { scripts/demo.sh "$@"; }

run_header() {
    PRIMER_BLESS=1 cargo test --quiet --locked -p primer-c --test header
    echo "header: include/primer.h is what bindings/c says"
}

run_install() { bindings/c/install.sh "${1:?where to}"; }

what=${1:-}
if ! declare -F "run_$what" >/dev/null; then
    sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
shift
"run_$what" "$@"
