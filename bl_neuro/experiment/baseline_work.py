"""Runs the cells of zero-query baselines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro import leakage
from bl_neuro.data.encoders import rate_encode
from bl_neuro.experiment.baseline_cells import public_knowledge
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import BaselineJudgementMeasures, BaselineMeasures
from bl_neuro.layers import SPIKING
from bl_neuro.leakage.baseline_kind import Images
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.training import ImageEvaluator
from bl_neuro.training.rejection import rejected


def drawn_baseline(cell: Cell, material: Material) -> tuple[BaselineMeasures, Callable[[Path], None]]:
    """The pictures of a baseline cell, and the function that writes them."""
    from safetensors.numpy import save_file

    made = cell.definition
    rng = stream(made["seed"], f"baseline {made['baseline']} {made['layout']}")
    pictures = np.ascontiguousarray(cell.what.draw(public_knowledge(material), made["layout"], rng), dtype=np.float32)
    digest = hashlib.sha256(pictures.tobytes()).hexdigest()
    return BaselineMeasures(renderings=len(pictures), images=digest), lambda path: save_file({"images": pictures}, path)


def stored_baseline(path: Path) -> Images:
    """The pictures (R, K, C, H, W) in the file of a baseline cell."""
    from safetensors.numpy import load_file

    pictures: Images = load_file(path)["images"]
    return pictures


def judged_baseline(
    cell: Cell, pictures: Images, evaluator: ImageEvaluator, threshold: float | None, of_events: bool
) -> BaselineJudgementMeasures:
    """An evaluator's judgement of pictures (R, K, C, H, W), one rendering after another.

    Evaluators that judge spikes, and all evaluators of events, see the rate code of the pictures.
    """
    classes = np.tile(np.asarray(cell.needs[0].definition["classes"]), len(pictures))
    shown: npt.NDArray[Any] = pictures.reshape(-1, *pictures.shape[2:]).astype(np.float64)
    if of_events or evaluator.judges == "spikes":
        shown = rate_encode(shown, cell.definition["steps"], stream(0, "baseline rate code"))
    table = evaluator.probabilities(shown)
    return BaselineJudgementMeasures(
        renderings=len(pictures),
        classes=classes.tolist(),
        hits=leakage.hits(table, classes).astype(int).tolist(),
        confidence=leakage.confidences(table, classes).tolist(),
        rejected=rejected(evaluator, shown, threshold),
    )


def shuffled_network(network: Network, seed: int) -> Network:
    """`network` with the weights of each layer in random order: the same weights, without what they encode."""
    rng = stream(seed, "shuffled weights")
    layers = [
        replace(layer, weight=rng.permutation(layer.weight.ravel()).reshape(layer.weight.shape))
        if isinstance(layer, SPIKING)
        else layer
        for layer in network.layers
    ]
    return Network(network.input_shape, layers, network.readout, network.arithmetic)
