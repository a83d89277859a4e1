#!/usr/bin/env bash
# Prints an interpreter of the first of the given versions (such as 3.10) that is here, runs and can make
# virtual environments. Looks at the PATH, then pyenv, then uv. Prints nothing and exits 1 when there is none.
set -euo pipefail

# A pyenv shim may exist and yet fail, so a candidate counts only once it has run.
probe() {
    "$1" -c '
import sys, ensurepip, venv
if "%d.%d" % sys.version_info[:2] != sys.argv[1]:
    sys.exit(1)
print(getattr(sys, "_base_executable", None) or sys.executable)
' "$2" 2>/dev/null
}

candidates() {
    type -ap "python$1" || true
    local root
    root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")}
    ls -1d "$root/versions/$1".*/bin/python 2>/dev/null | sort -rV || true
    uv python find --no-project "$1" 2>/dev/null || true
}

for version in "$@"; do
    while IFS= read -r candidate; do
        if probe "$candidate" "$version"; then
            exit 0
        fi
    done < <(candidates "$version")
done
exit 1
