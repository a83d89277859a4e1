"""Checks on this machine which substrates work, by running each, and which other parts are installed."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import metadata
from time import perf_counter
from typing import Any

import numpy as np

from bl_neuro.api.progress import ProgressBars, progress_bars
from bl_neuro.backends import Backend, find_backend, missing_reason, open_target
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.errors import SubstrateError, SubstrateFailed
from bl_neuro.experiment.provenance import machine, versions
from bl_neuro.layers import Dense
from bl_neuro.network import Network
from bl_neuro.neuron import CubaLIF
from bl_neuro.registries import registries
from bl_neuro.registry import Registry
from bl_neuro.text_tables import Printed, TextTable

ALSO = ("numba", "nir", "h5py", "safetensors")
"""Packages whose versions are shown in addition to those of `versions`."""
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
"""Features that make `loihi` and the 8-bit products fast, in LLVM's names."""


@dataclass(frozen=True)
class SubstrateState:
    """Whether one substrate works.

    advice: what to do if it does not, or what limits it on this machine. broken: it is installed and fails. seconds:
    time to open and run it once.
    """

    substrate: str
    title: str
    package: str
    works: bool
    access: str
    summary: str
    advice: str
    broken: bool = False
    seconds: float | None = None


@dataclass(frozen=True)
class PartState:
    """Whether an attack, evaluator, mitigation or dataset can be used, and why not. summary: what it is or does."""

    name: str
    title: str
    summary: str
    package: str
    works: bool
    advice: str


@dataclass(frozen=True, repr=False)
class DoctorReport(Printed):
    """What works on this machine.

    versions: of bl-neuro, Python and the packages it uses. machine: operating system, cores and processor features.
    parts: the registered parts of other kinds, under keys such as "attacks".
    """

    versions: dict[str, str]
    machine: dict[str, Any]
    substrates: list[SubstrateState]
    parts: dict[str, list[PartState]]

    @property
    def broken(self) -> bool:
        """Whether a part of another package cannot be used. A framework that is not installed does not count."""
        parts = (state for states in self.parts.values() for state in states)
        return any(state.broken for state in self.substrates) or not all(state.works for state in parts)

    def text_parts(self) -> list[str | TextTable]:
        """A table of substrates and of each other kind of parts, the versions and the processor."""
        columns = ["substrate", "state", "access", "first answer", "package", "description, or what to do"]
        parts: list[str | TextTable] = [
            TextTable("Substrates", columns, [_substrate_row(state) for state in self.substrates], 3, 4)
        ]
        columns = ["name", "state", "package", "description, or what to do"]
        for plural, states in self.parts.items():
            parts.append(TextTable(f"\n{plural.capitalize()}", columns, [_part_row(state) for state in states], 4))
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        features = self.machine["cpu"]
        listed = "not known (numba is not installed)" if features is None else ", ".join(features) or "none of use here"
        cores = f"{self.machine['machine']}, {self.machine['cores']} cores"
        return [*parts, f"\nVersions: {versions}", f"CPU: {cores}; {listed}"]


def _substrate_row(state: SubstrateState) -> list[str]:
    seconds = "" if state.seconds is None else f"{state.seconds:.1f} s"
    word = "works" if state.works else "broken" if state.broken else "missing"
    description = "; ".join(filter(None, [state.summary if state.works else "", state.advice]))
    return [state.substrate, word, state.access, seconds, state.package, description]


def _part_row(state: PartState) -> list[str]:
    return [state.name, "works" if state.works else "broken", state.package, state.summary or state.advice]


def doctor(progress: bool = True) -> DoctorReport:
    """Runs a small network on every substrate and loads every other part.

    progress: show progress bars on terminals and in notebooks.
    """
    with progress_bars(progress) as stages, _garbage_collection_paused():
        substrates = _substrate_states(BACKENDS.usable(), stages)
        for name, (package, reason) in BACKENDS.broken().items():
            substrates.append(SubstrateState(name, "", package, False, "", "", reason, broken=True))
        parts = {
            plural: _part_states(registry) for plural, registry in registries().items() if registry is not BACKENDS
        }
    return DoctorReport(_versions(), {**machine(), "cpu": cpu_features()}, substrates, parts)


def _versions() -> dict[str, str]:
    numbers = versions()
    for package in ALSO:
        try:
            numbers[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return numbers


def cpu_features() -> list[str] | None:
    """The subset of `CPU_FEATURES` that this processor has, or None if LLVM is not available to tell."""
    try:
        from llvmlite import binding
    except ImportError:
        return None
    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this processor
        return []
    return [name for name in CPU_FEATURES if features.get(name)]


def _part_states(registry: Registry[Any]) -> list[PartState]:
    """The state of every part of a registry, including parts of other packages that cannot be used."""
    states = [
        PartState(name, part.title, _first_line(part), registry.package(name), True, "")
        for name, part in registry.usable().items()
    ]
    broken = registry.broken().items()
    return [*states, *(PartState(name, "", "", package, False, reason) for name, (package, reason) in broken)]


def _first_line(part: type[Any]) -> str:
    return (inspect.getdoc(part) or part.title).partition("\n")[0]


def _substrate_states(backends: Mapping[str, type[Backend]], stages: ProgressBars) -> list[SubstrateState]:
    """The states of all substrates. One that runs in a process of its own is tried at the same time as the others."""
    states: dict[str, SubstrateState | Future[SubstrateState]] = {}
    with (
        redirect_stdout(sys.stderr),  # a framework may print, and standard output may be JSON
        ThreadPoolExecutor(thread_name_prefix="bl-neuro-doctor") as threads,
    ):
        for name in sorted(backends, key=lambda name: backends[name].imported_here):
            stages.stage(f"trying {name}")
            if backends[name].imported_here:
                states[name] = _substrate_state(name)
            else:
                states[name] = threads.submit(_substrate_state, name)
    results = {name: state.result() if isinstance(state, Future) else state for name, state in states.items()}
    return [results[name] for name in backends]


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Imports of frameworks make a million objects that stay, which the collector would visit again and again."""
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if active:
            gc.enable()


def _substrate_state(name: str) -> SubstrateState:
    """Opens a small network on the substrate and runs it once, since an installed substrate may not work."""
    backend, package = find_backend(name), BACKENDS.package(name)
    access = "white box" if backend.differentiable else "black box"
    reason, warning, broken, seconds = "", "", False, None
    try:
        reason = missing_reason(backend) or ""
        if not reason:
            began = perf_counter()
            _run(name)
            seconds = round(perf_counter() - began, 2)
            warning = backend.warning()
    except SubstrateError as error:
        reason, broken = str(error), isinstance(error, SubstrateFailed)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - another package may raise anything
        reason, broken = f"a small network did not run: {type(error).__name__}: {error}", True
    advice = reason or warning
    return SubstrateState(
        name, backend.title, package, not reason, access, backend.summary, advice, broken=broken, seconds=seconds
    )


def _run(name: str) -> None:
    network = Network((4,), [Dense(1.5 * np.eye(3, 4), CubaLIF(threshold=1.0, voltage_decay=0.3))])
    spikes = np.ones((5, 2, 4), dtype=np.uint8)
    with open_target(network, name) as target:
        counts = target.run(spikes).spikes.sum()
    if not counts > 0:
        raise SubstrateError(f"substrate '{name}' ran a network that must spike, but it did not")
