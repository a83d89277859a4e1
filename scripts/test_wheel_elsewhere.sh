#!/usr/bin/env bash
# Tests the installed wheel, not the checkout: builds it from a clean copy, installs it into an empty environment of
# another Python, and runs a copy of the tests there. Lava is not installed; tests of what is missing are skipped.
#
#   scripts/test_wheel_elsewhere.sh [pytest arguments]
#
# PYTHON   interpreter to use (default: the newest of 3.14 to 3.11 found here)
# EXTRAS   extras to install (default: test; for instance test,snntorch,norse)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
extras=${EXTRAS:-test}

python=${PYTHON:-$("$root/scripts/find_python.sh" 3.14 3.13 3.12 3.11 || true)}
[[ -n $python ]] || { echo "no Python newer than 3.10 found; name one with PYTHON=..." >&2; exit 1; }

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
mkdir "$temp/source" "$temp/away"

cd "$root"
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' name; do
        if [[ -e $name || -L $name ]]; then printf '%s\0' "$name"; fi
    done |
    tar --null --no-recursion -T - -cf - | tar -xf - -C "$temp/source"

"$python" -m venv "$temp/venv"
export PATH="$temp/venv/bin:$PATH"
unset PYTHONPATH PYTHONHOME
cd "$temp/away"
python --version
python -m pip install --quiet --no-input --disable-pip-version-check build
python -m build --outdir "$temp/dist" "$temp/source" >"$temp/build.log" 2>&1 ||
    { cat "$temp/build.log" >&2; exit 1; }
wheel=$(ls "$temp"/dist/*.whl)
python -m pip install --quiet --no-input --disable-pip-version-check "$wheel[$extras]"

cp -R "$temp"/source/{tests,scripts,pyproject.toml,README.md} .
rm -rf "$temp/source"
python - "$temp/venv" <<'PY'
import pathlib, sys
import bl_neuro
place = pathlib.Path(bl_neuro.__file__).resolve()
assert pathlib.Path(sys.argv[1]).resolve() in place.parents, place
print("testing bl_neuro", bl_neuro.__version__, "from the wheel")
PY
python -m pytest "$@"
