"""Runs bl-neuro in unusual environments, and prints a table of the commands and their outcomes.

    python scripts/harden/environments.py [--only WORD] [--write docs/environments.md]

Each row runs in a mount namespace of its own, so that file systems can be read-only or small; this needs Linux and
root. Exits with 1 if an outcome is not the expected one. --write replaces these rows of the table at the end of the
page. The row of the Jupyter kernel needs the test extra.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bl_neuro
from bl_neuro.files import write_text

PACKAGE = Path(bl_neuro.__file__).resolve().parent.parent
KERNELS = PACKAGE / "bl_neuro/backends/loihi/__pycache__"
EXPERIMENT = """\
name = "small"
seeds = 1
steps = 5
substrates = ["loihi"]
[dataset]
name = "digits"
[target]
hidden = [16]
proxy_epochs = 1
spiking_epochs = 0
[[evaluators]]
kind = "conv"
epochs = 1
[[attacks]]
attack = "random"
reveals = ["counts"]
budget = 40
"""
HEADER = "| environment | command | outcome |\n|---|---|---|\n"
AUDIT = "bl-neuro audit small.toml --out OUT"


@dataclass(frozen=True)
class Environment:
    """One row. before: shell commands that prepare the namespace. expected: pattern of the whole outcome."""

    name: str
    command: str
    expected: str = "works"
    before: str = ""


READ_ONLY = "mount -t tmpfs tmpfs OUT && mount -o remount,bind,ro /"
NO_KERNELS = f"mount -t tmpfs -o ro tmpfs {KERNELS}"
SMALL_SHM = "mount -t tmpfs -o size=256k tmpfs /dev/shm"
OTHER_USER = "setpriv --reuid 12345 --regid 12345 --clear-groups"
READS_ALL = "--inh-caps +dac_read_search --ambient-caps +dac_read_search"
"""Options of `setpriv` for a user that may read all files, since the interpreter may be in the home folder of root."""
RUN = """\
import sys
import bl_neuro as bl
from bl_neuro.testing.random_networks import random_dense, random_spikes

substrate, *sizes = sys.argv[1:]
network = random_dense(600, tuple(map(int, sizes)), biases=False)
print(bl.open_target(network, substrate).run(random_spikes(network, 0, 10, 1)).spikes.shape)
"""
SCRIPT = """\
import bl_neuro as bl
bl.audit("small.toml", out="OUT", scheduler="local", progress=False)
"""
ATTACK = """\
import bl_neuro as bl
from bl_neuro.testing.random_networks import random_dense

network = random_dense(602, (64, 8, 10), biases=False)
bl.attack_network(network, "random", dataset="digits", steps=4, budget=640).save("OUT/attack")
"""
PROCESSES = """\
import multiprocessing, sys
import bl_neuro as bl
from bl_neuro.testing.random_networks import random_dense, random_spikes

def answer(seed):
    network = random_dense(seed, (12, 16, 6), biases=False)
    return bl.open_target(network, "loihi").run(random_spikes(network, 0, 10, 1)).spikes.sum().item()

if __name__ == "__main__":
    here = [answer(seed) for seed in range(4)]
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.map(answer, range(4)) == here
"""
THREADED = """\
from concurrent.futures import ThreadPoolExecutor
import bl_neuro as bl
from bl_neuro.testing.random_networks import random_dense, random_spikes

network = random_dense(600, (12, 16, 6), biases=False)
spikes = random_spikes(network, 0, 10, 1)
target = bl.open_target(network, "loihi")
expected = target.run(spikes).spikes
with ThreadPoolExecutor(8) as pool:
    assert all(answer.spikes.equal(expected) for answer in pool.map(lambda _: target.run(spikes), range(64)))
"""
NOTEBOOK_CELLS = (
    "import bl_neuro as bl\nfrom bl_neuro.testing.random_networks import random_dense, random_spikes\n"
    "network = random_dense(602, (64, 8, 10), biases=False)",
    "bl.audit('small.toml', out='OUT', jobs=2)",
    "bl.audit('small.toml', out='OUT/dask', scheduler='local')",
    "bl.attack_network(network, 'v2', dataset='digits', steps=4, budget=640).inversions",
    "bl.export(network, 'OUT/network.nir')\nassert bl.load('OUT/network.nir') == network",
    "with bl.open_target(network, 'lava') as target:\n    target.run(random_spikes(network, 0, 10, 1))",
)
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 4,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [
        {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for source in NOTEBOOK_CELLS
    ],
}
PROGRAMS = {
    "python": "",
    "bl-neuro": "-m bl_neuro",
    "jupyter-execute": "-c 'from nbclient.cli import main; main()'",
}
"""Arguments of this interpreter for each program that the commands use."""
FILES = {
    "small.toml": EXPERIMENT,
    "run.py": RUN,
    "attack.py": ATTACK,
    "script.py": SCRIPT,
    "processes.py": PROCESSES,
    "threads.py": THREADED,
    "notebook.ipynb": json.dumps(NOTEBOOK),
}
ENVIRONMENTS = [
    Environment("no `HOME`, unknown user id", f"env -u HOME {OTHER_USER} {AUDIT}", before="chmod 777 OUT"),
    Environment(
        "no `HOME`, unknown user id, an attack with its pictures",
        f"env -u HOME {OTHER_USER} python attack.py",
        before="chmod 777 OUT",
    ),
    Environment("another user, home folder missing", f"HOME=/missing {OTHER_USER} {AUDIT}", before="chmod 777 OUT"),
    Environment(
        "home folder of an unknown user in a variable",
        "BL_NEURO_DATA=~nouser/data bl-neuro data status",
        "BL_NEURO_DATA: expected a path, found '~nouser/data', and no home folder.*",
    ),
    Environment("everything read-only but the output folder", AUDIT, before=READ_ONLY),
    Environment(
        "the same, and no compiled kernels",
        "python run.py loihi 12 16 6",
        "works: .*its kernels are compiled at every start.*",
        f"{NO_KERNELS} && {READ_ONLY}",
    ),
    Environment("empty cache", "BL_NEURO_CACHE=OUT/cache python run.py loihi 12 16 6", before=NO_KERNELS),
    Environment(
        "cache that cannot be read",
        "BL_NEURO_CACHE=OUT/cache python run.py loihi 12 16 6",
        "works: .*its kernels are compiled at every start.*",
        f"{NO_KERNELS} && touch OUT/cache",
    ),
    Environment("compilation disabled", "NUMBA_DISABLE_JIT=1 python run.py loihi 12 16 6"),
    *(
        Environment(f"`{setting}`", f"{setting} {AUDIT}")
        for setting in ("LANG=C", "LC_ALL=POSIX", "LC_ALL=xx_YY.nonsense", "PYTHONUTF8=0 PYTHONIOENCODING=ascii")
    ),
    Environment("`/dev/shm` of 256 KB, small network", "python run.py lava 4 3", before=SMALL_SHM),
    Environment(
        "`/dev/shm` of 256 KB, larger network",
        "python run.py lava 784 128 10",
        r"/dev/shm: expected \S+ KiB of free shared memory for this network, found 256 KiB.*",
        SMALL_SHM,
    ),
    Environment(
        "memory of Lava limited to 150 MB",
        "BL_NEURO_LAVA_PYTHON=./limited python run.py lava 12 16 6",
        r"expected at least 640 MiB of memory for its processes, found a limit of 146 MiB \(ulimit -v\).*",
        "printf '#!/bin/sh\\nulimit -v 150000\\nexec python \"$@\"\\n' > limited && chmod +x limited",
    ),
    Environment("threads", "python threads.py"),
    Environment("forked processes", "python processes.py fork"),
    Environment("spawned processes", "python processes.py spawn"),
    Environment("script without main guard, local Dask cluster", "python script.py"),
    Environment("Jupyter kernel", "jupyter-execute notebook.ipynb", before="export IPYTHONDIR=OUT/ipython"),
]


def outcome(environment: Environment) -> str:
    """Runs the command of a row in a new folder; "works", or the exit code, and the last line of standard error."""
    with tempfile.TemporaryDirectory(prefix="environment-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file, text in FILES.items():
            (folder / file).write_text(text.replace("OUT", str(folder / "out")))
        (folder / "out").mkdir()
        programs = folder / "bin"
        programs.mkdir()
        for program, arguments in PROGRAMS.items():
            (programs / program).write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
            (programs / program).chmod(0o755)
        script = " && ".join(filter(None, ["mount --make-rprivate /", environment.before, environment.command]))
        script = script.replace(OTHER_USER, f"{OTHER_USER} {READS_ALL}")
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script.replace("OUT", str(folder / "out"))],
            cwd=folder,
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(PACKAGE)},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=600,
        )
        errors = done.stderr.replace(str(folder / "out"), "OUT").replace(name, ".").strip().splitlines()
        text = "works" if done.returncode == 0 else f"exit code {done.returncode}"
        last_line = errors[-1] if errors else ""
        return f"{text}: {last_line}" if last_line and not last_line.startswith("[") else text


def is_expected(environment: Environment, text: str) -> bool:
    """Whether an outcome is the expected one."""
    return re.fullmatch(rf"(exit code \d: .*)?{environment.expected}", text) is not None


def table(rows: list[tuple[Environment, str]]) -> str:
    """The rows in Markdown."""
    cells = ([row.name, f"`{row.command}`", text] for row, text in rows)
    return HEADER + "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in cells)


def with_rows(page: str, rows: list[tuple[Environment, str]]) -> str:
    """The page with these rows in its table. Other environments keep the outcomes that the page has, if it has any."""
    text, _, old_rows = page.partition(HEADER)
    lines = {row.split(" | ")[0].removeprefix("| "): f"{row}\n" for row in old_rows.splitlines()}
    for environment, outcome_text in rows:
        lines[environment.name] = table([(environment, outcome_text)]).removeprefix(HEADER)
    return text + HEADER + "".join(lines[row.name] for row in ENVIRONMENTS if row.name in lines)


def main() -> int:
    """Runs all rows, or those whose name contains a word."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="run the rows whose name contains this word")
    parser.add_argument("--write", type=Path, help="page whose rows are replaced")
    options = parser.parse_args()
    rows, unexpected = [], 0
    for environment in ENVIRONMENTS:
        if options.only not in environment.name:
            continue
        text = outcome(environment)
        expected = is_expected(environment, text)
        print(
            f"{'as expected' if expected else 'NOT EXPECTED'}: {environment.name}: {text}", file=sys.stderr, flush=True
        )
        unexpected += not expected
        rows.append((environment, text))
    print(table(rows))
    if options.write is not None:
        write_text(options.write, with_rows(options.write.read_text(encoding="utf-8"), rows))
    return int(unexpected > 0)


if __name__ == "__main__":
    raise SystemExit(main())
