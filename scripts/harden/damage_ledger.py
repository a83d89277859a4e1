"""Kills the process that writes a query log, and damages the log: are answers ever above the budget without a refusal?

    python scripts/harden/damage_ledger.py --count 500 --out results/damage_ledger.json
    python scripts/harden/damage_ledger.py --count 10 --served      # through real servers and HTTP, seconds a trial

Every trial has a log with a budget of 20 queries. A process charges and answers queries; in the middle it is killed
with SIGKILL at a random moment ("kill"), or the log is damaged, while the process runs or after it was killed: cut,
flip (one bit), delete, rename, rollback (an older copy of the database in its place) and full (its disk, a tmpfs in a
mount namespace, is filled). Half of the logs have their seal in another folder. Only then, or while the process runs,
log and seal are deleted together: without either, a log that is not in use is a new one. Then the process is started
again, until it answers nothing more. --count kills and --count corruptions are run, the corruptions in turns; a trial
depends on its number alone, and --out continues where it stopped.

A trial fails where more than 20 queries were answered, where the process ends without saying why, or where a kill
alone loses the log. Prints counts; exit code 1 where any trial failed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

from bl_neuro.deploy.serve.ledger import Charge, Charged, Ledger
from bl_neuro.errors import BlNeuroError, BudgetExceeded, InputError
from bl_neuro.files import write_text

BUDGET = 20
CORRUPTIONS = ("cut", "flip", "delete", "rename", "rollback", "full")
INSIDE = "BL_NEURO_DAMAGE_DISK"
"""Environment variable of the process in the mount namespace: the folder of its tmpfs."""
DISK_BYTES = 512 * 2**10
ANSWER_S = 60.0


class Writer(Protocol):
    """What writes the log. `ask` returns "answered", "spent" or the reason of a refusal."""

    def ask(self) -> str: ...

    def kill_while_asking(self, delay_s: float) -> bool:
        """Kills it during a query; whether that query was answered."""
        ...

    def end(self) -> None: ...


def write_log(log: Path, seal: Path, pipe: Connection) -> None:
    """The process: charges one query for every message, and answers it."""
    try:
        ledger = Ledger(log, "network", BUDGET, seal)
    except InputError as error:
        pipe.send(f"refused: {error}")
        os._exit(0)
    pipe.send("ready")
    with suppress(EOFError):
        while key := pipe.recv():
            try:
                (outcome,) = ledger.charge([Charge("client", key, key.encode(), 1)])
                pipe.send("answered" if outcome is Charged.NEW else "spent")
            except (InputError, sqlite3.Error) as error:
                pipe.send(f"refused: {error}")
    ledger.close()
    os._exit(0)


class LogWriter:
    """A ledger in a process of its own. refusal: why it does not start, or None."""

    def __init__(self, log: Path, seal: Path, label: str) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=write_log, args=(log, seal, theirs))
        self._process.start()
        theirs.close()
        self._label, self._asked = label, 0
        started = self._received()
        self.refusal = None if started == "ready" else started

    def _received(self) -> str:
        try:
            return str(self._pipe.recv()) if self._pipe.poll(ANSWER_S) else "hung"
        except (EOFError, ConnectionResetError):
            return "ended without a word"

    def _send(self) -> None:
        self._asked += 1
        with suppress(BrokenPipeError):
            self._pipe.send(f"{self._label}-{self._asked}")

    def ask(self) -> str:
        self._send()
        return self._received()

    def kill_while_asking(self, delay_s: float) -> bool:
        self._send()
        time.sleep(delay_s)
        self._process.kill()
        self._process.join()
        return self._received() == "answered"

    def end(self) -> None:
        with suppress(BrokenPipeError):
            self._pipe.send("")
        self._process.join()


class ServedWriter:
    """A real server of a small network; queries go through HTTP."""

    def __init__(self, log: Path, seal: Path, label: str) -> None:
        import bl_neuro as bl
        from bl_neuro.testing.reference_target import easy_network
        from bl_neuro.testing.served import Server

        model = Path(tempfile.gettempdir()) / f"damage-ledger-{os.getpid()}.safetensors"
        if not model.exists():
            bl.save(easy_network(), model)
        self.refusal = None
        try:
            self._server = Server(model, "--log", str(log), "--log-seal", str(seal), "--budget", str(BUDGET))
            self._box = self._server.box(patience_s=1.0, session=label, budget=10 * BUDGET)
        except AssertionError as error:
            self.refusal = f"refused: {error}"

    def ask(self) -> str:
        import torch

        try:
            self._box.query(torch.ones(2, 1, 12))
        except BudgetExceeded:
            return "spent"
        except BlNeuroError as error:
            return f"refused: {error}"
        return "answered"

    def kill_while_asking(self, delay_s: float) -> bool:
        outcomes: list[str] = []
        asking = Thread(target=lambda: outcomes.append(self.ask()))
        asking.start()
        time.sleep(delay_s)
        self._server.kill()
        asking.join()
        return outcomes == ["answered"]

    def end(self) -> None:
        if self.refusal is None:
            self._server.end()


def damage(kind: str, log: Path, seal: Path, copy: Path, running: bool, rng: random.Random) -> str:
    """Damages the files of the log; returns what was done."""
    files = [log, Path(f"{log}-wal"), seal]
    present = [file for file in files if file.exists() and file.stat().st_size]
    if kind == "rollback":
        with_journal = rng.random() < 0.5
        for file in files[:2]:
            file.unlink(missing_ok=True)
        for file in files[: 2 if with_journal else 1]:
            if (copy / file.name).exists():
                shutil.copy(copy / file.name, file)
        return f"rollback {'with' if with_journal else 'without'} journal"
    chosen = rng.choice(present)
    size = chosen.stat().st_size
    if kind == "cut":
        os.truncate(chosen, rng.choice([0, rng.randrange(size), max(0, size - rng.randrange(1, 200))]))
    elif kind == "flip":
        with chosen.open("r+b") as content:
            content.seek(place := rng.randrange(size))
            (byte,) = content.read(1)
            content.seek(place)
            content.write(bytes([byte ^ 1 << rng.randrange(8)]))
    elif kind == "delete":
        together = files if running else files[:2]
        for file in (deleted := rng.choice([[chosen], files[:2], together])):
            file.unlink(missing_ok=True)
        return f"delete {', '.join(file.name for file in deleted)}"
    elif kind == "rename":
        chosen.rename(chosen.with_name("elsewhere"))
    return f"{kind} {chosen.name}"


def fill(disk: Path) -> None:
    """Writes a file that leaves no room on the disk."""
    with (disk / "filler").open("ab", buffering=0) as filler, suppress(OSError):
        while filler.write(b"\0" * 4096):
            pass


def trial(kind: str, number: int, folder: Path, served: bool) -> dict[str, Any]:
    """Runs one trial; `folder` is empty."""
    rng = random.Random(f"{kind} {number}")
    log, copy = folder / "log" / "queries.sqlite", folder / "copy"
    seal = rng.choice([log.parent, folder]) / "queries.sqlite.seal"
    copy.mkdir()
    kind_of_writer = ServedWriter if served else LogWriter
    before, running = rng.randrange(1, BUDGET - 1), kind != "kill" and rng.random() < 0.5
    copied_at = rng.randrange(before)
    outcomes: list[str] = []
    writer = kind_of_writer(log, seal, "first")
    for asked in range(before):
        if asked == copied_at:
            for part in log.parent.glob("queries.sqlite*"):
                shutil.copy(part, copy / part.name)
        outcomes.append(writer.ask())
    done = kind
    if not running:
        outcomes += ["answered"] * writer.kill_while_asking(rng.random() * 0.02)
    if kind == "full":
        fill(folder)
    elif kind != "kill":
        done = damage(kind, log, seal, copy, running, rng)
    if running:
        while outcomes[-1] == "answered" and len(outcomes) < 3 * BUDGET:
            outcomes.append(writer.ask())
        if rng.random() < 0.5:
            outcomes += ["answered"] * writer.kill_while_asking(rng.random() * 0.02)
        else:
            writer.end()
    for start in ("second", "third"):
        writer = kind_of_writer(log, seal, start)
        outcomes.append(writer.refusal or "answered nothing")
        while writer.refusal is None and len(outcomes) < 5 * BUDGET:
            outcomes.append(writer.ask())
            if outcomes[-1] != "answered":
                break
        writer.end()
        (folder / "filler").unlink(missing_ok=True)  # the third start has room again
    answered = outcomes.count("answered")
    refusals = sorted({outcome for outcome in outcomes if outcome.startswith("refused: ")})
    return {
        "kind": kind, "number": number, "done": done, "while_running": running, "answered": answered,
        "refusals": refusals, "failure": failure(kind, answered, outcomes, refusals),
    }  # fmt: skip


def failure(kind: str, answered: int, outcomes: list[str], refusals: list[str]) -> str | None:
    """The reason why the trial failed, or None."""
    if answered > BUDGET:
        return f"{answered} answers of a budget of {BUDGET}"
    unexplained = [word for word in outcomes if word in ("hung", "ended without a word") or "Traceback" in word]
    if unexplained or any(len(refusal) < 30 for refusal in refusals):
        return f"no reason was given: {unexplained or refusals}"
    if kind == "kill" and (refusals or answered < BUDGET - 1):  # the query in flight may be charged, but not answered
        return f"a kill alone: {answered} answers, {refusals}"
    return None


def run(count: int, served: bool, out: Path | None, disk: Path | None) -> dict[str, Any]:
    """Runs the trials that `out` lacks."""
    results = json.loads(out.read_text())["trials"] if out is not None and out.exists() else []
    finished = {(result["kind"], result["number"]) for result in results}
    corruptions = [kind for kind in CORRUPTIONS if kind != "full" or disk is not None]
    planned = [("kill", number) for number in range(count)]
    planned += [(corruptions[number % len(corruptions)], number) for number in range(count)]
    for kind, number in planned:
        if (kind, number) in finished:
            continue
        with tempfile.TemporaryDirectory(prefix="bl-neuro-ledger-", dir=disk if kind == "full" else None) as name:
            results.append(trial(kind, number, Path(name), served))
        if results[-1]["failure"]:
            print(f"FAILED {results[-1]}", file=sys.stderr, flush=True)
        if out is not None and len(results) % 20 == 0:
            write_text(out, json.dumps(summary(results)) + "\n")
    return summary(results)


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts by kind, and the trials."""
    kinds = sorted({result["kind"] for result in results})
    by_kind = {kind: [result for result in results if result["kind"] == kind] for kind in kinds}
    return {
        "budget": BUDGET,
        "trials_of": {kind: len(trials) for kind, trials in by_kind.items()},
        "refused": {kind: sum(bool(result["refusals"]) for result in trials) for kind, trials in by_kind.items()},
        "most_answers": {kind: max(result["answered"] for result in trials) for kind, trials in by_kind.items()},
        "failed": sum(result["failure"] is not None for result in results),
        "done": dict(sorted(Counter(result["done"] for result in results).items())),
        "trials": results,
    }


def enter_namespace() -> Path | None:
    """Starts this script again in a mount namespace with a small tmpfs; returns its folder there, None without one."""
    if INSIDE in os.environ:
        return Path(os.environ[INSIDE]) if os.environ[INSIDE] else None
    disk = tempfile.mkdtemp(prefix="bl-neuro-disk-")
    mount = f"mount -t tmpfs -o size={DISK_BYTES} tmpfs {disk}"
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        possible = subprocess.run([*unshare, "sh", "-c", mount], capture_output=True).returncode == 0
    except FileNotFoundError:
        possible = False
    inside = {**os.environ, INSIDE: disk if possible else ""}
    command = [sys.executable, *sys.argv]
    if possible:
        command = [*unshare, "sh", "-c", f'{mount} && exec "$@"', "sh", *command]
    try:
        sys.exit(subprocess.run(command, env=inside).returncode)
    finally:
        os.rmdir(disk)


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="how many kills, and how many corruptions (default 100)")
    parser.add_argument("--served", action="store_true", help="through real servers instead of the log alone")
    parser.add_argument("--out", type=Path, help="file of results; continued if it exists")
    options = parser.parse_args()
    disk = enter_namespace()
    results = run(options.count, options.served, options.out, disk)
    if options.out is not None:
        write_text(options.out, json.dumps(results, indent=1) + "\n")
    print(json.dumps({name: value for name, value in results.items() if name != "trials"}, indent=2))
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
