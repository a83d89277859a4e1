"""Every folder of modules is listed in pyproject.toml, so that the wheel holds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_every_package_is_listed(repository: Path) -> None:
    setuptools = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {
        ".".join(Path(folder).relative_to(repository).parts)
        for folder, _, files in os.walk(repository / "bl_neuro", followlinks=True)  # backends and deploy are links
        if "__init__.py" in files
    }
    assert packages == set(setuptools["packages"])
