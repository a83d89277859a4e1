"""Outputs that only integrate: the attack uses their membrane potential or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.loihi_numbers import THRESHOLD_MAX


def saved(folder: Path, threshold: int) -> Path:
    output = bl.Dense(2 * np.arange(8).reshape(2, 4), bl.CubaLIF(threshold, 0.0, 1.0))
    bl.save(bl.Network((4,), [output], readout="membrane", arithmetic="loihi"), folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.mark.parametrize("reveals", [("--reveals", "counts"), ("--reveals", "spikes")])
def test_attacks_on_silent_outputs_are_refused(
    reveals: tuple[str, ...], tmp_path: Path, call: Callable[..., Any]
) -> None:
    result = call("attack", saved(tmp_path, THRESHOLD_MAX), "--backend", "loihi", *reveals)
    assert result.code == 2
    assert "the outputs of this network never spike" in result.err
    assert "choose scores, membrane or label" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("threshold", "options"),
    [(THRESHOLD_MAX, ()), (THRESHOLD_MAX, ("--reveals", "scores")), (THRESHOLD_MAX, ("--attack", "v1")), (20, ())],
    ids=["what it shows by default", "scores", "gradients", "outputs that spike"],
)
def test_other_revealed_outputs_can_be_attacked(
    threshold: int, options: tuple[str, ...], tmp_path: Path, call: Callable[..., Any]
) -> None:
    budget = () if "v1" in options else ("--budget", 100)
    result = call("attack", saved(tmp_path, threshold), "--backend", "loihi", "--steps", 4, *options, *budget)
    assert (result.code, result.err) == (0, "")
