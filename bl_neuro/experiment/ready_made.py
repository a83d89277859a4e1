"""The built-in experiments. Imports nothing, so that the help of commands can list them."""

from __future__ import annotations

from pathlib import Path

EXPERIMENTS = Path(__file__).parent / "shipped"
"""The folder of built-in experiments."""


def ready_made() -> list[str]:
    """Names of the built-in experiments."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))
