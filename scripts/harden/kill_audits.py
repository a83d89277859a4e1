"""Kills audits with SIGKILL at random moments, fills their disk, takes their folder away: nothing may be lost.

    python scripts/harden/kill_audits.py --out results/audit-kills
    python scripts/harden/kill_audits.py --out results/audit-kills-dask --scheduler local

A small experiment on digits, with attacks and replays on real Lava, runs once undisturbed and then again and again,
while SIGKILL reaches the run, a worker, or a process of Lava, at moments that --seed decides. After each end the audit
is started anew, until it is done. Its cells, that is all measures and inversions, must then be those of the undisturbed
run, byte for byte; a cell that was finished must never run again;
no process may remain. Then the same on a disk that becomes full and in a folder that becomes read-only (a tmpfs in a
namespace of its own, `unshare`): the error must say so, and what was done must be kept. A rerun of this script goes on
from --work. Exits with 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bl_neuro.experiment.provenance import machine, now, versions
from bl_neuro.files import write_text
from bl_neuro.seeding import stream

EXPERIMENT = """\
name = "kills"
seeds = 2
steps = 8
substrates = ["loihi"]

[dataset]
name = "digits"

[target]
hidden = [32]
proxy_epochs = 10
spiking_epochs = 1

[[evaluators]]
kind = "conv"
epochs = 4

[[evaluators]]
kind = "spiking"
epochs = 1

[[attacks]]
attack = "v2"
reveals = ["counts", "label"]
settings = { queries = 32, warm_start = 16, window = 3.0 }

[[attacks]]
attack = "v1"
settings = { iterations = 5 }

[[replays]]
substrate = "lava"
of = "loihi"

[[controls]]
kind = "untrained"
substrates = ["loihi"]
attacks = ["v2"]
"""
GONE_S = 30.0
"""How long what a killed run leaves may take to go."""
DISK = "400k"
"""Size of the disk that becomes full: about half of what the experiment writes."""
ON_A_DISK = """\
mount -t tmpfs -o size="$1" none "$2" && cp -a "$3/." "$2" || exit 99
if [ "$4" = ro ]; then mount -o remount,ro "$2"; fi
folder=$2 copy=$5; shift 5
"$@"; code=$?
cp -a "$folder/." "$copy"; exit $code
"""


@dataclass
class Trial:
    """Where everything is: the experiment's file, the folder of all audits, the command's last options."""

    work: Path
    options: Sequence[str]

    @property
    def undisturbed(self) -> Path:
        return self.work / "undisturbed"

    def command(self, out: Path) -> list[str]:
        program = "import sys; from bl_neuro.cli import main; sys.exit(main())"
        return [sys.executable, "-c", program, "audit", str(self.work / "kills.toml"), "--out", str(out), *self.options]

    def start(self, out: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(self.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def cells(folder: Path) -> dict[str, bytes]:
    """All measures and inversions of an audit."""
    return {path.name: path.read_bytes() for path in (folder / "cells").glob("[!.]*")}


def finished(folder: Path) -> dict[str, bytes]:
    """When and how each cell was finished: changes where one runs again."""
    done = [path.name for path in (folder / "cells").glob("[!.]*.json")]
    return {name: (folder / "times" / name).read_bytes() for name in done}


def victims(run: int) -> dict[str, list[psutil.Process]]:
    """The processes of a run, by kind."""
    root = psutil.Process(run)
    below = root.children(recursive=True)
    workers = [process for process in below if "bl_neuro.experiment.running.worker" in process.cmdline()]
    return {
        "run": [root],
        "worker": workers,
        "Lava": [child for worker in workers for child in worker.children(recursive=True)],
    }


def strike(run: subprocess.Popen[str], kind: str, chance: Any, longest: float) -> list[psutil.Process] | None:
    """Kills one of `kind` after a random time, or when there is one; all processes then, None where the run ended."""
    moment = time.monotonic() + chance.uniform(0, longest)
    while run.poll() is None:
        with contextlib.suppress(psutil.Error):
            if time.monotonic() >= moment:
                processes = victims(run.pid)
                everyone = [process for group in processes.values() for process in group]
                if processes[kind]:
                    processes[kind][chance.integers(len(processes[kind]))].kill()
                    return everyone
        time.sleep(0.005)
    return None


def remain(processes: Sequence[psutil.Process]) -> list[str]:
    """The processes that do not end in time."""
    _, alive = psutil.wait_procs(processes, timeout=GONE_S)
    problems = []
    for process in alive:
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                problems.append(f"process {process.pid} remains: {process.cmdline()[-1]}")
    return problems


def disturbed_run(trial: Trial, out: Path, state: dict[str, Any], kinds: Sequence[str], wanted: int) -> int:
    """One run into `out`, killed as often as there are kills left and moments for them; its exit code."""
    before = finished(out)
    run = trial.start(out)
    while len(state["kills"]) < wanted:
        state["drawn"] += 1
        chance = stream(state["seed"], f"kill {state['drawn']}")
        kind = kinds[chance.integers(len(kinds))]
        everyone = strike(run, kind, chance, state["seconds"] / 3)
        if everyone is None:
            break
        state["kills"].append({"what": kind, "audit": out.name, "cells_done": len(finished(out))})
        print(f"kill {len(state['kills'])}: {kind}, {len(finished(out))} cells done", flush=True)
        if kind == "run":
            run.wait()
            state["problems"] += remain(everyone)
            break
    lines = run.communicate()[1].strip().splitlines()
    if run.returncode not in (0, 1, -9):
        state["problems"].append(f"{out.name}: a run ended with exit code {run.returncode}: {lines[-1:]}")
    again = [name for name, was in before.items() if finished(out).get(name) != was]
    state["problems"] += [f"{out.name}: cell {name} was finished and ran again" for name in again]
    state["runs"] += 1
    return run.returncode


def compared(trial: Trial, out: Path) -> list[str]:
    """What differs from the undisturbed run."""
    expected, results = cells(trial.undisturbed), cells(out)
    wrong = [name for name in sorted({*expected, *results}) if expected.get(name) != results.get(name)]
    left = [path.name for path in (out / "failed").glob("*")]
    return [f"{out.name}: {name} is not as undisturbed" for name in wrong] + [f"{out.name}: {x} failed" for x in left]


def kill(trial: Trial, state: dict[str, Any], kinds: Sequence[str], wanted: int) -> None:
    """Audits that are killed and started again until they are done, until there were so many kills."""
    while len(state["kills"]) < wanted or state["audit"] is not None:
        state["audit"] = state["audit"] or f"killed-{state['audits'] + 1}"
        out = trial.work / state["audit"]
        if disturbed_run(trial, out, state, kinds, wanted) == 0:
            state["problems"] += compared(trial, out)
            state["audits"] += 1
            state["audit"] = None
        keep(trial, state)


def on_a_disk(trial: Trial, name: str, size: str, start: Path, mode: str) -> tuple[Path, int, str]:
    """An audit on a disk of its own, with the files of `start`; its folder as it was at the end, exit code, error."""
    mounted, copy = trial.work / "disk", trial.work / name
    for folder in (mounted, copy, start):
        folder.mkdir(exist_ok=True)
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ON_A_DISK, "sh"]
    command = [*inside, size, str(mounted), str(start), mode, str(copy), *trial.command(mounted)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines = done.stderr.strip().splitlines()
    return copy, done.returncode, lines[-1].replace(f"{mounted}", "FOLDER") if lines else ""


def disks(trial: Trial, state: dict[str, Any]) -> None:
    """A disk that becomes full, and then a folder that cannot be written to."""
    full, code, error = on_a_disk(trial, "full", DISK, trial.work / "empty", "rw")
    kept, expected = finished(full), cells(trial.undisturbed)
    if code != 2 or "No space left on device" not in error or "earlier results are kept" not in error or not kept:
        state["problems"].append(f"full disk: exit code {code}, {len(kept)} cells kept: {error}")
    if any(expected[Path(name).name] != (full / "cells" / name).read_bytes() for name in kept):
        state["problems"].append("full disk: what was kept is not as undisturbed")
    locked, locked_code, locked_error = on_a_disk(trial, "read-only", "8m", full, "ro")
    if locked_code != 2 or "expected a writable folder" not in locked_error:
        state["problems"].append(f"read-only folder: exit code {locked_code}: {locked_error}")
    if finished(locked) != kept:
        state["problems"].append("read-only folder: what was done is not as before")
    after = trial.start(full)
    after.communicate()
    state["problems"] += compared(trial, full)
    if kept.items() - finished(full).items():
        state["problems"].append("full disk: what was kept ran again")
    state["disks"] = {"full": error, "read_only": locked_error, "kept": len(kept), "later": len(finished(full))}
    keep(trial, state)


def keep(trial: Trial, state: dict[str, Any]) -> None:
    write_text(trial.work / "state.json", json.dumps(state, indent=1) + "\n")


def begun(trial: Trial, seed: int) -> dict[str, Any]:
    """The state of an earlier start of this script; else a new one, with the undisturbed run."""
    with contextlib.suppress(FileNotFoundError):
        state: dict[str, Any] = json.loads((trial.work / "state.json").read_text())
        if state["seed"] != seed:
            raise SystemExit(f"{trial.work} was begun with --seed {state['seed']}; give another --work")
        return state
    write_text(trial.work / "kills.toml", EXPERIMENT)
    began = time.monotonic()
    run = trial.start(trial.undisturbed)
    if run.wait() != 0:
        raise SystemExit(f"the undisturbed run failed: {run.stderr.read() if run.stderr else ''}")
    state = {"seed": seed, "seconds": time.monotonic() - began, "kills": [], "drawn": 0, "runs": 0, "audits": 0}
    state |= {"audit": None, "disks": None, "problems": []}
    keep(trial, state)
    return state


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scheduler", help="local: on a Dask cluster of --jobs workers")
    parser.add_argument("--work", type=Path, help="folder of the audits; runs/ and the name of OUT by default")
    parser.add_argument("--out", type=Path, required=True, help="writes OUT.json and OUT.md")
    given = parser.parse_args()
    options = ["--jobs", str(given.jobs), *(["--scheduler", given.scheduler] if given.scheduler else [])]
    trial = Trial((given.work or Path("runs") / given.out.name).absolute(), options)
    state = begun(trial, given.seed)
    kill(trial, state, ["run", "worker", "Lava"], given.kills)
    if state["disks"] is None and not given.scheduler:
        disks(trial, state)
    command = f"python scripts/harden/kill_audits.py --kills {given.kills} --seed {given.seed} --out {given.out}"
    result = {
        "command": command + "".join(f" {word}" for word in options[2:]),
        **{name: value for name, value in state.items() if name not in ("drawn", "audit")},
        "cells": len(finished(trial.undisturbed)),
        "files": len(cells(trial.undisturbed)),
        "finished": now(),
        "versions": versions(),
        "machine": machine(),
    }
    write_text(given.out.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    write_text(given.out.with_suffix(".md"), page(result))
    print("\n".join(state["problems"]) or "as it should be")
    return 1 if state["problems"] else 0


def page(result: dict[str, Any]) -> str:
    kills = result["kills"]
    struck = ", ".join(f"{kind} {count}" for kind, count in Counter(kill["what"] for kill in kills).items())
    lines = [
        "# Audits that were killed",
        "",
        f"    {result['command']}",
        "",
        f"- {len(kills)} times SIGKILL ({struck}), at moments drawn from seed {result['seed']},",
        f"  over {result['audits']} audits of {result['cells']} cells each, which took {result['runs']} runs.",
    ]
    if result["disks"] is not None:
        disk = result["disks"]
        lines += [
            f"- A disk that became full: {disk['kept']} cells were kept, and a later run did the others. It said:",
            f"  `{disk['full']}`",
            f"- A read-only folder: all was kept. It said: `{disk['read_only']}`",
        ]
    if result["problems"]:
        lines += ["", "NOT as it should be:", "", *(f"- {problem}" for problem in result["problems"])]
    else:
        same = (
            f"All {result['files']} files of measures and inversions of every audit are those of the undisturbed run,"
        )
        lines += ["", same, "byte for byte; no finished cell ran again; no process remained."]
    lines += ["", "Cells done at each kill:", ""]
    lines += [f"{n}. {kill['what']}, in {kill['audit']}: {kill['cells_done']}" for n, kill in enumerate(kills, 1)]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    raise SystemExit(main())
