#!/usr/bin/env bash
# Builds the C library and runs all of its tests: the sources' own, the header in both languages linked
# both ways, what is exported, the programs of tests/unit, every scenario (waiting, and through
# completions), the examples; then nearly all of it again under valgrind. Closes with
# `N passed, N failed`, and exits 1 when something failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} RUST_BACKTRACE=0
build=$CARGO_TARGET_DIR/c
prefix=$build/prefix
scenarios=("$root"/tests/conformance/scenarios/*.scn)
mapfile -t sealed < <(grep -lE '(secret|tls_[a-z]+)=' "${scenarios[@]}")
mapfile -t plain < <(grep -LE '(secret|tls_[a-z]+)=' "${scenarios[@]}")
passed=0 failed=0

# check NAME COMMAND...: counts one check; its output is shown when it fails.
check() {
    local name=$1
    shift
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        cat "$log"
        echo "FAILED  $name"
    fi
}

# A program that hangs has failed; no test measures time.
limited() { timeout --kill-after=5 600 "$@"; }

# Any leak that a caller could cause counts; pages of handles stay reachable for reuse, by design.
kinds=definite,indirect,possible
grind() {
    limited valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=$kinds \
        --errors-for-leak-kinds=$kinds --suppressions="$here/tests/valgrind.supp" --num-callers=30 "$@"
}

# As grind, without the search for values that were never set: valgrind reports the tags of AES-256-GCM, which the
# other end verifies, in a bare client and server of rustls too. Only what has TLS runs under this.
grind_sealed() { grind --undef-value-errors=no "$@"; }

strict=(-Wall -Wextra -Werror -pedantic -O1 -g)
compile() {
    local out=$build/$1
    shift
    # shellcheck disable=SC2046  # several flags
    ${CC:-cc} -std=c99 "${strict[@]}" -DPRIMER_VERSION_WANTED="\"$(pkg-config --modversion primer)\"" \
        $(pkg-config --cflags primer) "$@" -o "$out" $(pkg-config --libs primer) -lpthread
}

# The header's program as C and as C++, linked to the shared and to the static library.
headers() {
    local shared static
    shared="-L$prefix/lib -lprimer"
    # What stands behind -lprimer when all is linked in; the archive itself by name, or ld takes the other.
    static="$prefix/lib/libprimer.a $(pkg-config --static --libs-only-l primer | sed 's/-lprimer//')"
    local c=(${CC:-cc} "${strict[@]}" -I"$prefix/include") cpp=(${CXX:-c++} "${strict[@]}" -I"$prefix/include")
    # shellcheck disable=SC2086  # several flags
    {
        check 'C99, shared' "${c[@]}" -std=c99 "$here/tests/header.c" -o "$build/c99" $shared
        check 'C99, static' "${c[@]}" -std=c99 "$here/tests/header.c" -o "$build/c99-static" $static
        check 'C++11, shared' "${cpp[@]}" -std=c++11 "$here/tests/header.cpp" -o "$build/cpp11" $shared
        check 'C++17, static' "${cpp[@]}" -std=c++17 "$here/tests/header.cpp" -o "$build/cpp17-static" $static
    }
    local program
    for program in c99 c99-static cpp11 cpp17-static; do
        check "$program runs" limited "$build/$program"
        check "$program under valgrind" grind "$build/$program"
    done
}

# Nothing but what the header declares is exported, and all of that is.
exports() {
    diff <(nm -D --defined-only "$prefix/lib/libprimer.so.0" | awk '{ print $3 }' | sort) \
        <(sed -nE 's/^[a-z].*\b(primer_[a-z_]+)\(.*/\1/p' "$prefix/include/primer.h" | sort)
}

has_soname() { readelf -d "$prefix/lib/libprimer.so" | grep -F 'soname: [libprimer.so.0]'; }

same_parser() {
    diff <(cargo run --quiet --locked --manifest-path "$root/Cargo.toml" -p primer-conformance) \
        <("$build/conformance" --print "${scenarios[@]}")
}

mkdir -p "$build"
log=$(mktemp)
# Members of one cluster's name that one user runs meet: these shall meet none but each other.
PRIMER_RUNTIME_DIR=$(mktemp -d)
export PRIMER_RUNTIME_DIR
trap 'rm -rf "$log" "$PRIMER_RUNTIME_DIR"' EXIT
check 'cargo test' cargo test --quiet --locked --manifest-path "$root/Cargo.toml" -p primer-c
"$here/install.sh" "$prefix" face
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib

headers
check 'exported symbols' exports
check 'soname' has_soname

for unit in bad_input surface terms groups settings browse explain redrive doctor loops threads news keys; do
    compile "$unit" "$here/tests/unit/$unit.c"
    check "$unit" limited "$build/$unit"
    check "$unit under valgrind" grind "$build/$unit"
done
compile secrets "$here/tests/unit/secrets.c"
check secrets limited "$build/secrets"
check 'secrets under valgrind' grind_sealed "$build/secrets"

compile conformance "$here"/tests/conformance/*.c
check 'the parser reads as the Rust one does' same_parser
for file in "${scenarios[@]}"; do
    name=$(basename "$file")
    check "$name" limited "$build/conformance" "$file"
    check "$name, late" limited "$build/conformance" --late "$file"
done
for way in '' --late; do
    # shellcheck disable=SC2086  # none, or one flag
    {
        check "all scenarios under valgrind $way" grind "$build/conformance" $way "${plain[@]}"
        check "those with TLS under valgrind $way" grind_sealed "$build/conformance" $way "${sealed[@]}"
    }
done

compile local "$here/bench/local.c"
check 'the bench runs' limited "$build/local" 1000
export PRIMER_PREFIX=$prefix
check 'examples' limited "$root/examples/c/run.sh"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
