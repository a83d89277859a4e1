"""Checks whether a network produces the same spikes on several substrates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bl_neuro.api.progress import progress_bars
from bl_neuro.backends.declaration import Start
from bl_neuro.deploy.parity import ParityReport, read_inputs
from bl_neuro.deploy.parity import compare as compare_substrates
from bl_neuro.errors import InputError
from bl_neuro.model_file import load
from bl_neuro.network import Network

STARTS = ("aligned", "cold")


def verify(
    model: Network | str | Path,
    substrates: Sequence[str] | None = None,
    inputs: str | Path | Any = None,
    *,
    steps: int | None = None,
    batch: int = 4,
    start: Start = "aligned",
    all_pairs: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> ParityReport:
    """Runs a model on several substrates and compares every spike, layer by layer.

    `report.broken` lists the pairs of substrates that promise identical spikes but differ.
    `bl_neuro.deploy.parity.drawing.draw` draws the differences.

    model: a network, or the path of its file. substrates: by default all that can run the network. inputs: spikes (T,
    B, ...), or an .npy or .npz file of them, in addition to generated inputs. steps, batch: size of the generated
    inputs. start: "aligned", or "cold" as in a fresh Lava run. all_pairs: compare all pairs of substrates instead of
    each with the reference. progress: show progress bars on terminals and in notebooks.

    Raises:
        InputError: an invalid argument. ModelFileError: the file cannot be read.
    """
    if start not in STARTS:
        raise InputError(f"start: expected {' or '.join(STARTS)}, found {start!r}")
    network = model if isinstance(model, Network) else load(model)
    given = read_inputs(inputs) if isinstance(inputs, (str, Path)) else inputs
    with progress_bars(progress) as stages:
        return compare_substrates(
            network,
            substrates,
            given,
            start=start,
            steps=steps,
            batch=batch,
            seed=seed,
            pairs="all" if all_pairs else "reference",
            progress=stages.stage("comparing substrates"),
        )
