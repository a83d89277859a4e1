"""Doctor: backends of other packages that raise, exit or print do not disturb the rest of the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bl_neuro.api.doctor import doctor
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.cli import run
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


def test_what_a_backend_prints_is_not_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    with registered(BACKENDS, backend(prints), only=True):
        assert run(["doctor", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [row["works"] for row in json.loads(out)["substrates"]] == [True]
    assert "welcome" in err
