"""The key of a trained network or evaluator in the cache that runs share: a digest of everything it depends on."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bl_neuro.experiment.cells import Cell, content_address
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.missing_material import MissingMaterial
from bl_neuro.experiment.provenance import versions

TRAINED_KINDS = frozenset(
    {"target", "twin", "evaluator", "member", "member_twin", "secret_target", "secret_twin", "secret_reader"}
)
"""The kinds of cells that train a network, a twin, an evaluator or a reader."""
ROOT = Path(__file__).parents[1]
"""The folder of bl_neuro."""
UNRELATED = (
    "api", "cli", "report", "testing", "remote", "experiment/findings", "experiment/running", "deploy/parity",
    "deploy/serve",
)  # fmt: skip
"""Folders of bl_neuro whose code no training uses: trainings are in layers below, or in other folders."""


def trained_key(cell: Cell, material: Material) -> str | None:
    """The key of the result of `cell`: SHA-256 of its definition, the samples, the code and versions of packages.

    None for cells that train nothing, and for those whose code or samples are not known completely: parts of other
    packages, whose version may stay the same while their code changes, and datasets of other types.
    """
    made = cell.definition
    if cell.kind not in TRAINED_KINDS or "fingerprint" in made or "endpoint" in made:
        return None
    if "packages" in made or "packages" in made["data"] or isinstance(material, MissingMaterial):
        return None
    if material.whole_digest is None:
        return None
    return content_address({"definition": made, "samples": material.whole_digest, "environment": environment()})


@cache
def environment() -> dict[str, str]:
    """What a training depends on beyond its definition and samples: code, versions of packages, kind of processor.

    Sums of floats may differ between instruction sets.
    """
    import torch

    instructions = torch.backends.cpu.get_cpu_capability()
    return {"code": code_digest(), "processor": f"{platform.machine()} {instructions}", **versions()}


def code_digest() -> str:
    """SHA-256 of the code of bl_neuro that a training may use: its Python files except those in `UNRELATED`."""
    digest = hashlib.sha256()
    for path in sorted(_sources(ROOT)):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(root, followlinks=True):  # backends and deploy may be links
        here = Path(folder)
        below[:] = [name for name in below if (here / name).relative_to(root).as_posix() not in UNRELATED]
        yield from (here / name for name in files if name.endswith(".py"))
