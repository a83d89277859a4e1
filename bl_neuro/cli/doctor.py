"""`bl-neuro doctor`: which substrates work here, shown by running a small network on each."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from bl_neuro.audit.provenance import versions
from bl_neuro.backends import available_substrates, find_backend, missing_reason, open_target
from bl_neuro.cli.output import print_json, print_table, progress_bars, say
from bl_neuro.errors import SubstrateError
from bl_neuro.layers import Dense
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF


@dataclass(frozen=True)
class Finding:
    """What was found out about one substrate."""

    substrate: str
    works: bool
    access: str
    summary: str
    advice: str


def doctor(as_json: bool) -> None:
    """Tries every substrate and reports."""
    with progress_bars() as stages:
        findings = []
        for name in available_substrates():
            stages.stage(f"trying {name}")
            findings.append(_try(name))
    if as_json:
        print_json({"versions": versions(), "substrates": [asdict(finding) for finding in findings]})
        return
    rows = [
        [each.substrate, "works" if each.works else "missing", each.access, each.summary if each.works else each.advice]
        for each in findings
    ]
    print_table("Substrates", ["substrate", "state", "access", "what it is, or what to do"], rows, numbers_from=4)
    say("Versions: " + ", ".join(f"{name} {number}" for name, number in versions().items()))


def _try(name: str) -> Finding:
    """Opens a small network on the substrate and asks it once: installed is not yet working."""
    try:
        backend = find_backend(name)
    except SubstrateError as error:
        return Finding(name, False, "", "", str(error))
    access = "white box" if backend.differentiable else "black box"
    reason = missing_reason(backend)
    if reason is None:
        try:
            _ask(name)
        except SubstrateError as error:
            reason = str(error)
    return Finding(name, reason is None, access, backend.summary, reason or "")


def _ask(name: str) -> None:
    network = Network((4,), [Dense(1.5 * np.eye(3, 4), CubaLIF(threshold=1.0, voltage_decay=0.3))])
    spikes = np.ones((5, 2, 4), dtype=np.uint8)
    with open_target(network, name) as target:
        counts = target.run(spikes).spikes.sum()
    if not counts > 0:
        raise SubstrateError(f"substrate '{name}' ran, but a network that must spike stayed silent")
