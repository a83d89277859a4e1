"""Registries: parts of other packages, and errors for unusable ones."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

import pytest

import bl_neuro as bl
from bl_neuro import registry as registry_module
from bl_neuro.backends.base import Backend
from bl_neuro.registry import Registry
from bl_neuro.testing.reference_target import ReferenceBackend

PACKAGES = {
    "one": {
        "reference": "bl_neuro.testing.reference_target:ReferenceBackend",
        "spikes-only": "bl_neuro.testing.reference_target:SpikesOnlyBackend",
        "loihi": "bl_neuro.testing.reference_target:ReferenceBackend",
        "shared": "bl_neuro.testing.reference_target:ReferenceBackend",
        "renamed": "bl_neuro.testing.reference_target:ReferenceBackend",
        "not-there": "a_package_that_is_not_there:Backend",
        "no-class": "os:sep",
        "no-backend": "builtins:dict",
        "unfinished": "bl_neuro.backends.base:Backend",
        "twins": "bl_neuro.testing.reference_target:ReferenceBackend",
    },
    "two": {"shared": "bl_neuro.testing.reference_target:SpikesOnlyBackend"},
}
"""Installed packages: what each adds to the group of backends."""
BROKEN = {
    "loihi": "one 1.0 adds it, but this name is built into bl-neuro",
    "shared": "one 1.0 and two 1.0 add a part of this name; uninstall all but one of them",
    "renamed": "expected an entry point named 'reference'",
    "not-there": "a_package_that_is_not_there:Backend cannot be loaded: ModuleNotFoundError: No module named",
    "no-class": r"expected a subclass of bl_neuro\.backends\.base:Backend, found os:sep",
    "no-backend": "expected a subclass of .*, found builtins:dict",
    "unfinished": "does not define name, title, summary, modules, requirement, differentiable, open, problems",
    "twins": "expected another name, since this one stands for all twins; one 1.0 must rename the part",
}


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Backend]:
    """A registry of one substrate of ours, and what the packages add."""
    points: list[EntryPoint] = []
    for package, added in PACKAGES.items():
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in added.items()]
        (folder / "entry_points.txt").write_text("\n".join(["[bl_neuro.backends]", *lines]))
        points += Distribution.at(folder).entry_points
    monkeypatch.setattr(registry_module, "entry_points", lambda group: points)
    ours = {"loihi": "bl_neuro.backends.loihi.backend:LoihiBackend"}
    reserved = {"twins": "all twins"}
    base = "bl_neuro.backends.base:Backend"
    return Registry("substrate", "bl_neuro.backends", base, ours, bl.UnknownSubstrate, reserved)


def test_ours_come_first_and_the_others_by_name(parts: Registry[Backend]) -> None:
    assert parts.names[0] == "loihi"
    assert list(parts.names[1:]) == sorted({name for added in PACKAGES.values() for name in added} - {"loihi"})
    assert tuple(parts) == parts.names
    assert "reference" in parts
    assert "another" not in parts


def test_a_part_of_another_package_is_found_with_its_package(parts: Registry[Backend]) -> None:
    assert parts.find("reference") is ReferenceBackend
    assert parts.package("reference") == "one 1.0"
    assert parts.package("loihi") == f"bl-neuro {bl.__version__}"


def test_another_package_cannot_replace_ours(parts: Registry[Backend]) -> None:
    assert parts.find("loihi").name == "loihi"


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "loihi"])
def test_unusable_plugins_are_refused(parts: Registry[Backend], name: str) -> None:
    with pytest.raises(bl.PluginError, match=f"substrate '{name}': .*{BROKEN[name]}"):
        parts.find(name)


def test_all_unusable_plugins_are_listed(parts: Registry[Backend]) -> None:
    broken = parts.broken()
    assert set(broken) == set(BROKEN)
    assert [name for name in BROKEN if not re.search(BROKEN[name], broken[name].reason)] == []
    assert {part.package for part in broken.values()} == {"one 1.0", "one 1.0 and two 1.0"}
    assert list(parts.usable()) == ["loihi", "reference", "spikes-only"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("lohii", "expected one of loihi, .*, found 'lohii'; did you mean 'loihi'"), (3, "found 3$")],
)
def test_an_unknown_name_is_refused(parts: Registry[Backend], name: Any, message: str) -> None:
    with pytest.raises(bl.UnknownSubstrate, match=message):
        parts.find(name)


@pytest.fixture
def of_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Registry[Backend]]:
    """Makes a registry of the one backend of a module with the given source."""

    def make(source: str) -> Registry[Backend]:
        (tmp_path / "its_module.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "its_module", raising=False)
        points = [EntryPoint("reference", "its_module:Chip", "bl_neuro.backends")]
        monkeypatch.setattr(registry_module, "entry_points", lambda group: points)
        return Registry("substrate", "bl_neuro.backends", "bl_neuro.backends.base:Backend", {})

    return make


def test_a_module_that_exits_on_import_is_broken(of_module: Callable[[str], Registry[Backend]]) -> None:
    chips = of_module("import sys; sys.exit('no licence')")
    assert "cannot be loaded: SystemExit: no licence" in chips.broken()["reference"].reason
    assert chips.usable() == {}


def test_ctrl_c_during_an_import_is_not_the_fault_of_the_module(of_module: Callable[[str], Registry[Backend]]) -> None:
    with pytest.raises(KeyboardInterrupt):
        of_module("raise KeyboardInterrupt").broken()


def test_what_a_module_prints_on_import_goes_to_standard_error(
    of_module: Callable[[str], Registry[Backend]], capsys: pytest.CaptureFixture[str]
) -> None:
    source = "from bl_neuro.testing.reference_target import ReferenceBackend as Chip; print('welcome')"
    assert of_module(source).find("reference") is ReferenceBackend
    assert capsys.readouterr() == ("", "welcome\n")
