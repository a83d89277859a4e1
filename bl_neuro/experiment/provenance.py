"""The origin of results: versions, platform, time, command."""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from bl_neuro._version import __version__
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.registries import registries

PACKAGES = ("numpy", "torch", "scipy", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of bl-neuro, Python, `PACKAGES`, the packages that backends declare, and those that add parts."""
    numbers = {"bl-neuro": __version__, "python": platform.python_version()}
    declared = [package for backend in BACKENDS.usable().values() for package in backend.packages]
    for package in dict.fromkeys((*PACKAGES, *declared)):
        try:
            numbers[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    for registry in registries().values():
        numbers |= registry.added_packages()
    return numbers


def machine() -> dict[str, str]:
    """The kind of this machine, without its name."""
    import psutil
    import torch

    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": str(psutil.cpu_count(logical=True)),
        "threads": str(torch.get_num_threads()),
    }


def portable_path(path: str) -> str:
    """`path` for a command that works on any machine; outside the working directory, only its last part."""
    parts = Path(path).parts
    away = Path(path).is_absolute() or ".." in parts or path.startswith("~")
    return Path(path).name if away else path


def now() -> str:
    """The current time in UTC, ISO 8601, in seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
