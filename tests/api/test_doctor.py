"""Doctor: backends of other packages that raise, exit or print do not disturb the rest of the report."""

from __future__ import annotations

import gc
import json
import os
import re
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bl_neuro.api.doctor import doctor
from bl_neuro.backends.lava.backend import LavaBackend
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.cli import run
from bl_neuro.errors import SubstrateFailed
from bl_neuro.network import Network
from bl_neuro.testing.reference_target import ReferenceBackend, ReferenceTarget
from bl_neuro.testing.registered import registered


def raises() -> None:
    raise RuntimeError("driver not loaded")


def exits() -> None:
    raise SystemExit("no licence")


def prints() -> None:
    print("welcome")


def backend(behaviour: Callable[[], None]) -> type[ReferenceBackend]:
    """A backend that does something when a target is opened."""

    class Chip(ReferenceBackend):
        name = "chip"

        @classmethod
        def open(cls, network: Network, **options: Any) -> ReferenceTarget:
            behaviour()
            return ReferenceTarget(network, cls)

    return Chip


def fails() -> None:
    raise SubstrateFailed("chip: out of memory")


class Sound(ReferenceBackend):
    name = "sound"


@pytest.mark.parametrize(("behaviour", "error"), [(raises, "RuntimeError: driver not loaded"), (exits, "SystemExit: ")])
def test_a_backend_that_fails_is_broken_and_the_others_are_tried(behaviour: Callable[[], None], error: str) -> None:
    with registered(BACKENDS, backend(behaviour), Sound, only=True):
        report = doctor(progress=False)
    chip, sound = report.substrates
    assert (chip.substrate, chip.works, chip.broken, chip.seconds) == ("chip", False, True, None)
    assert f"did not run: {error}" in chip.advice
    assert (sound.substrate, sound.works, sound.broken) == ("sound", True, False)
    assert report.broken


def test_a_substrate_that_fails_to_run_is_broken_and_not_missing(capsys: pytest.CaptureFixture[str]) -> None:
    with registered(BACKENDS, backend(fails), only=True):
        assert run(["doctor"]) == 1
    assert re.search(r"chip +broken .*chip: out of memory", " ".join(capsys.readouterr().out.split()))


def test_what_limits_a_substrate_on_this_machine_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=64, f_blocks=64, f_frsize=4096))
    chip = backend(lambda: None)
    monkeypatch.setattr(chip, "warning", LavaBackend.warning)
    with registered(BACKENDS, chip, only=True):
        assert run(["doctor", "--json"]) == 0
        (state,) = json.loads(capsys.readouterr().out)["substrates"]
        assert state["works"]
        assert "only small networks fit, since /dev/shm has 256 KiB of free shared memory" in state["advice"]
        assert run(["doctor"]) == 0
        assert "256 KiB" in capsys.readouterr().out


def test_what_a_backend_prints_is_not_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    with registered(BACKENDS, backend(prints), only=True):
        assert run(["doctor", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [row["works"] for row in json.loads(out)["substrates"]] == [True]
    assert "welcome" in err


def test_a_substrate_of_another_process_is_tried_beside_the_others() -> None:
    chip_runs = threading.Event()

    class Waiting(ReferenceBackend):
        name = "before"

        @classmethod
        def open(cls, network: Network, **options: Any) -> ReferenceTarget:
            assert chip_runs.wait(20)
            return ReferenceTarget(network, cls)

    chip = backend(chip_runs.set)
    chip.imported_here = False
    with registered(BACKENDS, Waiting, chip, only=True):
        report = doctor(progress=False)
    assert [(state.substrate, state.works) for state in report.substrates] == [("before", True), ("chip", True)]
    assert gc.isenabled()
