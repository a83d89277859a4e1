"""Durations of cells on a reference machine, and a short calculation that compares this machine with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field

from bl_neuro.experiment.cost_log import RecordedCost
from bl_neuro.experiment.threads import one_thread

PATH = Path(__file__).with_name("reference_costs.json")
"""Written by scripts/measure/reference_costs.py."""
REPETITIONS = 5
STEPS = 5


class ReferenceCosts(BaseModel):
    """The file. calibration_seconds: what `calibration_seconds` measured there. processor: of the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    processor: str
    calibration_seconds: Annotated[float, Field(gt=0.0)]
    costs: list[RecordedCost]


@cache
def reference_costs() -> ReferenceCosts:
    """The costs that are part of bl-neuro."""
    return ReferenceCosts.model_validate_json(PATH.read_bytes())


def calibration_seconds(clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of a calculation like those of cells, with one thread: the median of 5. Takes about half a second.

    It multiplies matrices step by step with a leaky integration between them, and convolves images. clock: measures it.
    """
    weight, images = torch.full((256, 784), 0.01), torch.full((64, 1, 28, 28), 0.5)
    spikes, kernel = (torch.arange(784 * 256) % 7 == 0).float().reshape(784, 256), torch.full((16, 1, 5, 5), 0.1)
    durations = []
    with one_thread(), torch.no_grad():
        for _ in range(REPETITIONS):
            began = clock()
            voltage = torch.zeros(256, 256)
            for _ in range(STEPS):
                voltage = 0.7 * voltage + weight @ spikes
                voltage = torch.where(voltage >= 1.0, 0.0, voltage)
                torch.nn.functional.conv2d(images, kernel).relu()
            durations.append(clock() - began)
    return median(durations)
