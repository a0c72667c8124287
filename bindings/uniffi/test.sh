#!/usr/bin/env bash
# Builds the library, writes the foreign sources, and runs what there is in Ruby and Kotlin.
#
#   bindings/uniffi/test.sh [build|ruby|kotlin]      all of it without an argument
#
# build/uniffi holds the packages: ruby/ (for `ruby -I`), kotlin/, swift/. Swift is generated and held
# to the table, not compiled: there is no compiler for it here. The generator and the Kotlin compiler
# are slow, so each runs only when one of its sources has changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
here=$root/bindings/uniffi
out=$root/build/uniffi
target=${CARGO_TARGET_DIR:-$root/target}

# Members that name a cluster look for each other in this directory: here they meet nobody else's.
PRIMER_RUNTIME_DIR=$(mktemp -d)
export PRIMER_RUNTIME_DIR
trap 'rm -rf "$PRIMER_RUNTIME_DIR"' EXIT
trap 'exit 1' HUP INT TERM

case $(uname) in Darwin) library=libprimer_uniffi.dylib ;; *) library=libprimer_uniffi.so ;; esac
scenarios=("$root"/tests/conformance/scenarios/*.scn)

# Runs a command unless it ran before on the same files: once NAME FILE... -- COMMAND...
once() {
    local name=$1 stamp=$out/$1.stamp sum
    local files=()
    shift
    while [ "$1" != -- ]; do
        files+=("$1")
        shift
    done
    shift
    sum=$(cat "${files[@]}" | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
        echo "uniffi: $name is as it was"
        return
    fi
    rm -f "$stamp"
    "$@"
    echo "$sum" >"$stamp"
}

# The foreign sources, out of the library's own metadata.
generate() {
    cargo build -p primer-uniffi --features bindgen --bin bindgen
    rm -rf "$out/generated"
    "$target/debug/bindgen" "$target/face/$library" "$out/generated"
}

build() {
    mkdir -p "$out"
    cargo build -p primer-uniffi --profile face
    grep -A1 '^name = "uniffi' Cargo.lock >"$out/versions"
    once generated "$out/versions" "$here"/src/*.rs "$here"/bin/*.rs "$here"/{Cargo,uniffi}.toml -- generate
    mkdir -p "$out/ruby/primer" "$out/kotlin/primer" "$out/swift"
    cp "$here/ruby/primer.rb" "$out/ruby/primer.rb"
    cp "$out/generated/ruby/primer.rb" "$out/ruby/primer/native.rb"
    cp "$out/generated/kotlin/primer/primer.kt" "$here/kotlin/Idioms.kt" "$out/kotlin/primer/"
    cp "$out"/generated/swift/* "$out/swift/"
    # A new file, never an old one written over: a program that has it open would crash.
    for folder in ruby/primer kotlin swift; do
        cp "$target/face/$library" "$out/$folder/$library.new"
        mv "$out/$folder/$library.new" "$out/$folder/$library"
    done
}

# The binding's own parts, without a host.
run_rust() {
    cargo test -p primer-uniffi --profile face --lib
}

run_ruby() {
    ruby -I "$out/ruby" "$here/tests/surface.rb" "$out"
    ruby -I "$out/ruby" "$here/tests/conformance.rb" "${scenarios[@]}"
    ruby -I "$out/ruby" "$here/tests/idioms.rb"
    local example
    for example in "$root"/examples/ruby/*.rb; do
        ruby -I "$out/ruby" "$example"
    done
}

kotlin_home=$here/kotlin/node_modules/kotlin-compiler
# Debian's place for JNA's half in Java; its native half is found by itself.
jna=${JNA_JAR:-/usr/share/java/jna.jar}
kotlin_path=$jna:$kotlin_home/lib/kotlin-stdlib.jar:$kotlin_home/lib/kotlinx-coroutines-core-jvm.jar

# One run for everything: the compiler's start costs more than the sources.
compile() {
    local jars="" jar
    for jar in kotlin-compiler kotlin-stdlib kotlin-script-runtime kotlin-reflect annotations-13.0 \
        kotlin-daemon-client kotlinx-coroutines-core-jvm; do
        jars+=$kotlin_home/lib/$jar.jar:
    done
    rm -f "$out/tests.jar"
    java -cp "$jars" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -kotlin-home "$kotlin_home" \
        -no-stdlib -no-reflect -jvm-target 17 -nowarn -cp "$kotlin_path" -d "$out/tests.jar" "$@"
}

run_kotlin() {
    local sources=("$out"/kotlin/primer/*.kt "$here"/tests/*.kt "$root"/examples/kotlin/*.kt) example
    [ -d "$kotlin_home" ] || rm -f "$out/installed.stamp"
    once installed "$here"/kotlin/package*.json -- npm ci --prefix "$here/kotlin"
    once compiled "${sources[@]}" -- compile "${sources[@]}"
    local java=(java -cp "$out/tests.jar:$kotlin_path" "-Djna.library.path=$out/kotlin")
    "${java[@]}" primer.conformance.ConformanceKt "${scenarios[@]}"
    "${java[@]}" primer.idioms.IdiomsKt
    for example in "$root"/examples/kotlin/*.kt; do
        "${java[@]}" "primer.examples.$(basename "$example" .kt)Kt"
    done
}

case ${1:-all} in
build) build ;;
ruby) build && run_ruby ;;
kotlin) build && run_kotlin ;;
all)
    build
    run_rust
    run_ruby
    run_kotlin
    ;;
*) echo "usage: test.sh [build|ruby|kotlin]" >&2 && exit 2 ;;
esac
