#!/usr/bin/env bash
# Makes .venv, or brings it up to date with pyproject.toml; does nothing when it already is.
#
#   scripts/set_up.sh                     Python 3.10, with every substrate
#   PYTHON=python3.12 scripts/set_up.sh   another interpreter; newer than 3.10 means without Lava
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
stamp=$venv/set-up.stamp       # written last: what this environment was made from
unfinished=$venv/set-up.unfinished
state="$(cksum <pyproject.toml) $PWD"

say() { printf 'set_up: %s\n' "$*" >&2; }
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

wanted=
if [[ -n ${PYTHON:-} ]]; then
    wanted=$(version_of "$PYTHON") || { say "PYTHON=$PYTHON does not run"; exit 1; }
fi
has_wanted_version() {
    local version
    version=$(version_of "$venv/bin/python") && [[ -z $wanted || $version == "$wanted" ]]
}
up_to_date() {
    [[ -f $stamp && ! -e $unfinished && $(<"$stamp") == "$state" ]] && has_wanted_version
}
# A virtual environment holds absolute paths, so one that came along when the folder was moved is of no use.
reusable() {
    [[ -d $venv && ! -e $unfinished ]] && has_wanted_version &&
        [[ ! -f $stamp || $(<"$stamp") == *" $PWD" ]]
}

if up_to_date; then exit 0; fi
if command -v flock >/dev/null; then
    exec 9<.
    flock -n 9 || { say "waiting for another set-up to finish"; flock 9 || true; }
    if up_to_date; then exit 0; fi
fi

if ! reusable; then
    python=${PYTHON:-$(scripts/find_python.sh 3.10 || true)}
    if [[ -z $python ]]; then
        cat >&2 <<'TEXT'
set_up: no working Python 3.10 with its venv module was found (on the PATH, in pyenv or in uv).
Lava, and so the reference substrate, runs on Python 3.10 only. Install it in one of these ways:
    uv python install 3.10
    pyenv install 3.10
    apt-get install python3.10 python3.10-venv      (where the distribution has it)
or go on without Lava on a newer Python:
    PYTHON=python3.12 make demo
TEXT
        exit 1
    fi
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { say "$python is older than 3.10"; exit 1; }
    if [[ -d $venv ]]; then say "rebuilding $venv, which was unfinished, moved, broken or of another Python"; fi
    "$python" -m venv --clear "$venv"
fi

rm -f "$stamp"
: >"$unfinished"
version=$(version_of "$venv/bin/python")
if [[ $version == 3.10 ]]; then
    say "installing into $venv (Python $version, every substrate); the first time takes minutes"
else
    say "installing into $venv (Python $version) WITHOUT Lava, which needs Python 3.10"
fi
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
pip=("$venv/bin/python" -m pip --no-input --disable-pip-version-check)
# The pip that came with Python 3.10 downloads many releases of PyTorch whole before it finds Lava's.
"${pip[@]}" install --quiet --upgrade pip
"${pip[@]}" install --progress-bar off --editable '.[all,dev]'

rm -f "$unfinished"
printf '%s\n' "$state" >"$stamp"
say "done"
