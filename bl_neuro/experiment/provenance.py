"""Where results come from: versions, platform, time, command."""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from bl_neuro._version import __version__
from bl_neuro.backends.registry import BACKENDS

PACKAGES = ("numpy", "torch", "scipy", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of bl-neuro, Python, `PACKAGES` and the packages that backends declare, as far as they are installed."""
    numbers = {"bl-neuro": __version__, "python": platform.python_version()}
    declared = [package for backend in BACKENDS.usable().values() for package in backend.packages]
    for package in dict.fromkeys((*PACKAGES, *declared)):
        try:
            numbers[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return numbers


def machine() -> dict[str, str]:
    """What kind of machine this is, without its name."""
    import psutil
    import torch

    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": str(psutil.cpu_count(logical=True)),
        "threads": str(torch.get_num_threads()),
    }


def portable_path(path: str) -> str:
    """`path` as a command may name it on any machine: one that leaves the working directory by its last part alone."""
    parts = Path(path).parts
    away = Path(path).is_absolute() or ".." in parts or path.startswith("~")
    return Path(path).name if away else path


def now() -> str:
    """The time, ISO 8601, UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
