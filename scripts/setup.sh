#!/usr/bin/env bash
# Installs what is missing on this machine, and nothing else: Debian packages for missing commands,
# a Python environment under build/venv, the npm packages that a lock file names.
#
#   scripts/setup.sh [core|c|python|nodejs|erlang|uniffi|examples|demo|chaos|test]...     (test: everything)
#
# Fast when all is there. Nothing global besides those packages, nothing outside the repository and
# the user's cache. Rust and Node.js are not installed: it says what it misses.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
die() {
    echo "setup: $*" >&2
    exit 1
}

missing=()

# want COMMAND-OR-FILE PACKAGE...: the packages are installed when the command or file is not there.
want() {
    local thing=$1
    shift
    case $thing in
    */*) compgen -G "$thing" >/dev/null && return ;;
    *) command -v "$thing" >/dev/null && return ;;
    esac
    missing+=("$@")
}

install_missing() {
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "please install: ${missing[*]}"
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "please install as root: ${missing[*]}"
        as_root=(sudo)
    fi
    say "apt-get install ${missing[*]}"
    local log=build/apt.log
    mkdir -p build
    if ! {
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get -q install -y --no-install-recommends "${missing[@]}"
    } >"$log" 2>&1; then
        tail -20 "$log" >&2
        die "apt-get failed (all of it: $log)"
    fi
    missing=()
}

# at_least COMMAND MAJOR MINOR HOW: its version, as `COMMAND HOW` prints it, is that or newer.
at_least() {
    local version
    command -v "$1" >/dev/null || die "please install $1 $2.$3 or newer"
    version=$("$1" "$4" | grep -oE '[0-9]+\.[0-9]+' | head -1)
    [ "$(printf '%s\n' "$2.$3" "$version" | sort -V | head -1)" = "$2.$3" ] ||
        die "$1 is $version, needed is $2.$3 or newer"
}

venv() {
    local sum
    sum=$(cksum <scripts/requirements.txt)
    [ "$(cat build/venv/requirements.sum 2>/dev/null)" = "$sum" ] && return
    say "build/venv with $(grep -v '^#' scripts/requirements.txt | paste -sd ' ')"
    rm -rf build/venv
    python3 -m venv build/venv
    build/venv/bin/pip install --quiet --disable-pip-version-check -r scripts/requirements.txt
    echo "$sum" >build/venv/requirements.sum
}

# npm_ci FOLDER: its packages, unless they are those of the lock file already.
npm_ci() {
    [ -f "$1/package-lock.json" ] || return 0
    local sum
    sum=$(cksum <"$1/package-lock.json")
    [ "$(cat "$1/node_modules/.lock.sum" 2>/dev/null)" = "$sum" ] && return
    say "npm ci in $1"
    npm ci --prefix "$1" --no-audit --no-fund --loglevel=error
    mkdir -p "$1/node_modules"
    echo "$sum" >"$1/node_modules/.lock.sum"
}

setup() {
    case $1 in
    core) want cc gcc libc6-dev ;;
    c) want gcc gcc libc6-dev && want g++ g++ && want make make && want pkg-config pkg-config && want valgrind valgrind ;;
    python)
        python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
        ;;
    nodejs) ;;
    erlang)
        want erl erlang-nox
        want '/usr/*/erlang/usr/include/erl_nif.h' erlang-dev
        want '/usr/*/erlang/lib/eunit-*' erlang-eunit
        want rebar3 rebar3
        want mix elixir
        ;;
    uniffi)
        want ruby ruby
        ruby -rffi -e 0 2>/dev/null || missing+=(ruby-ffi)
        want java default-jre-headless
        want '/usr/share/java/jna.jar' libjna-java
        want '/usr/lib/*/jni/libjnidispatch.system.so' libjna-jni
        ;;
    examples) setup c && setup python && setup nodejs && setup erlang ;;
    demo)
        setup core && setup python && setup nodejs
        want pkg-config pkg-config
        want erl erlang-nox
        want rebar3 rebar3
        ;;
    # Only root can use them, and only root finds them by their names.
    chaos)
        setup core
        [ "$(id -u)" != 0 ] || { want ip iproute2 && want tc iproute2 && want iptables-restore iptables; }
        ;;
    test) setup core && setup examples && setup uniffi && setup chaos ;;
    *) die "there is no part '$1'" ;;
    esac
}

finish() {
    case $1 in
    python) at_least python3 3 11 --version && venv ;;
    nodejs) at_least node 20 0 --version && npm_ci bindings/nodejs ;;
    uniffi) at_least node 20 0 --version && npm_ci bindings/uniffi/kotlin ;;
    examples | demo) finish python && finish nodejs ;;
    test) finish python && finish nodejs && finish uniffi ;;
    esac
}

[ $# -gt 0 ] || set -- test
at_least cargo 1 91 --version
for part in "$@"; do setup "$part"; done
install_missing
for part in "$@"; do finish "$part"; done
say "ready for $*"
