"""`bl-neuro doctor`: which substrates work here, shown by running a small network on each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import metadata
from time import perf_counter

import numpy as np

from bl_neuro.api.progress import progress_bars
from bl_neuro.backends import available_substrates, find_backend, missing_reason, open_target
from bl_neuro.cli.output import print_json, print_table, say
from bl_neuro.errors import SubstrateError
from bl_neuro.experiment.provenance import machine, versions
from bl_neuro.layers import Dense
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF

ALSO = ("numba", "nir", "h5py", "safetensors")
"""Packages whose versions are told beside those of `versions`."""
CPU_FEATURES = (
    "avx2",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512vnni",
    "avxvnni",
    "amx-int8",
    "neon",
    "dotprod",
)
"""What makes `loihi` and the 8-bit products quick, in LLVM's names."""


@dataclass(frozen=True)
class Finding:
    """What was found out about one substrate. seconds: of opening it and one answer."""

    substrate: str
    works: bool
    access: str
    summary: str
    advice: str
    seconds: float | None = None


def doctor(as_json: bool) -> None:
    """Tries every substrate and reports."""
    with progress_bars() as stages:
        findings = []
        for name in available_substrates():
            stages.stage(f"trying {name}")
            findings.append(_try(name))
    if as_json:
        substrates = [asdict(finding) for finding in findings]
        print_json({"versions": _versions(), "machine": {**machine(), "cpu": cpu_features()}, "substrates": substrates})
        return
    rows = [_row(finding) for finding in findings]
    columns = ["substrate", "state", "access", "first answer", "what it is, or what to do"]
    print_table("Substrates", columns, rows, numbers_from=5)
    say("Versions: " + ", ".join(f"{name} {number}" for name, number in _versions().items()))
    found = machine()
    features = cpu_features()
    told = "not known (numba is not installed)" if features is None else ", ".join(features) or "none that matter here"
    say(f"CPU: {found['machine']}, {found['cores']} cores; {told}")


def _row(finding: Finding) -> list[str]:
    spent = "" if finding.seconds is None else f"{finding.seconds:.1f} s"
    state, said = ("works", finding.summary) if finding.works else ("missing", finding.advice)
    return [finding.substrate, state, finding.access, spent, said]


def _versions() -> dict[str, str]:
    found = versions()
    for package in ALSO:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_features() -> list[str] | None:
    """Which of `CPU_FEATURES` this processor has, or None where LLVM is not here to say."""
    try:
        from llvmlite import binding
    except ImportError:
        return None
    try:
        found = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this processor
        return []
    return [name for name in CPU_FEATURES if found.get(name)]


def _try(name: str) -> Finding:
    """Opens a small network on the substrate and asks it once: installed is not yet working."""
    try:
        backend = find_backend(name)
    except SubstrateError as error:
        return Finding(name, False, "", "", str(error))
    access = "white box" if backend.differentiable else "black box"
    reason = missing_reason(backend)
    seconds = None
    if reason is None:
        began = perf_counter()
        try:
            _ask(name)
            seconds = round(perf_counter() - began, 2)
        except SubstrateError as error:
            reason = str(error)
    return Finding(name, reason is None, access, backend.summary, reason or "", seconds)


def _ask(name: str) -> None:
    network = Network((4,), [Dense(1.5 * np.eye(3, 4), CubaLIF(threshold=1.0, voltage_decay=0.3))])
    spikes = np.ones((5, 2, 4), dtype=np.uint8)
    with open_target(network, name) as target:
        counts = target.run(spikes).spikes.sum()
    if not counts > 0:
        raise SubstrateError(f"substrate '{name}' ran, but a network that must spike stayed silent")
