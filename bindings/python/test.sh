#!/usr/bin/env bash
# Builds the wheel, installs it by its path into build/venv (made by scripts/setup.sh), checks the
# types and runs every test against the installed package. Closes with pytest's line.
#
#   bindings/python/test.sh [--install | PYTEST-ARGUMENT...]
#
# --install stops after the installation. PRIMER_PROFILE=release builds the package that people get.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
venv="$root/build/venv"
wheels="$root/dist"
# A folder of its own: maturin's settings for pyo3 would make everything else there rebuild.
target="${CARGO_TARGET_DIR:-$root/target}/python"

# shellcheck disable=SC1091
source "$venv/bin/activate"
# The last good wheel stays until there is a new one: the demo and the examples may be using it.
rm -rf "$target/wheels"
maturin build --quiet --locked --profile "${PRIMER_PROFILE:-face}" --manifest-path "$here/Cargo.toml" \
    --target-dir "$target" --out "$target/wheels"
mkdir -p "$wheels"
rm -f "$wheels"/primer-*.whl
cp "$target/wheels"/primer-*.whl "$wheels"
pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$wheels"/primer-*.whl
if [ "${1:-}" = "--install" ]; then
    exit 0
fi

# Members of one cluster's name and one user meet there: these are to meet only each other.
PRIMER_RUNTIME_DIR="$(mktemp -d)"
export PRIMER_RUNTIME_DIR
trap 'rm -rf "$PRIMER_RUNTIME_DIR"' EXIT

cd "$here"
mypy --strict python/primer
mypy --strict --config-file pyproject.toml tests bench.py "$root/examples/python"
PRIMER_WHEELS="$wheels" python -m pytest "$@"
