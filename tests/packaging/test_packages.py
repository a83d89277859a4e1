"""Every folder of modules is listed in pyproject.toml, so that the wheel holds it."""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_every_package_is_listed(repository: Path) -> None:
    setuptools = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {repository / folder: name for name, folder in setuptools["package-dir"].items()}
    packages = {
        ".".join((name, *place.parent.relative_to(folder).parts))
        for folder, name in folders.items()
        for place in folder.rglob("__init__.py")
        if place.resolve() == place  # the links to backends and deploy within bl_neuro are not followed
    }
    assert packages == set(setuptools["packages"])
