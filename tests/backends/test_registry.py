"""Finding backends, and saying what to install or to try where that does not work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import bl_neuro as bl
import bl_neuro.registry
from bl_neuro.backends import Backend, Target, available_substrates, find_backend, missing_reason, registry
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.network import Network
from bl_neuro.testing.random_networks import random_dense
from bl_neuro.testing.reference_target import ReferenceTarget

NETWORK = random_dense(0, (4, 3))


class ReferenceBackend(Backend):
    """A backend as another package would bring it."""

    name: ClassVar[str] = "reference"
    summary: ClassVar[str] = "NumPy"
    modules: ClassVar[tuple[str, ...]] = ("numpy",)
    extra: ClassVar[str] = "reference"
    differentiable: ClassVar[bool] = True

    @classmethod
    def problems(cls, network: Network) -> list[str]:
        return []

    @classmethod
    def open(cls, network: Network, **options: Any) -> Target:
        return ReferenceTarget(network, **options)


class NotInstalled(ReferenceBackend):
    name = "elsewhere"
    modules = ("numpy", "bl_neuro_has_no_such_module.inside")


class Broken(ReferenceBackend):
    name = "broken"
    modules = ("bl_neuro_broken_module",)


class Point(SimpleNamespace):
    """Stands in for an entry point."""

    def load(self) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Backends that other packages bring, one of which is in order."""
    found = {
        "reference": ReferenceBackend,
        "elsewhere": NotInstalled,
        "broken": Broken,
        "no-backend": dict,
        "damaged": ImportError("no module named x"),
        "lava": ReferenceBackend,
    }
    points = [Point(name=name, found=each, value=f"package:{name}") for name, each in found.items()]
    monkeypatch.setattr(bl_neuro.registry, "entry_points", lambda group: points if group == BACKENDS.group else [])
    monkeypatch.delitem(vars(BACKENDS), "_added", raising=False)  # what was found before is remembered
    yield
    vars(BACKENDS).pop("_added", None)


def test_ours_come_first() -> None:
    assert available_substrates()[:5] == ("snntorch", "norse", "slayer", "loihi", "lava")


@pytest.mark.parametrize("name", ["snntorch", "norse", "slayer", "loihi", "lava"])
def test_a_backend_describes_itself(name: str) -> None:
    backend = find_backend(name)
    assert backend.name == name
    assert backend.summary
    assert backend.extra in ("snntorch", "norse", "lava", "all")


def test_looking_for_backends_imports_no_framework() -> None:
    code = (
        "import sys, bl_neuro.backends as b\n"
        "from bl_neuro.testing.random_networks import random_dense\n"
        "for name in b.available_substrates():\n"
        "    b.find_backend(name).problems(random_dense(0))\n"
        "loaded = {'snntorch', 'norse', 'lava', 'pytest'} & {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_another_package_can_add_one(others: None) -> None:
    assert available_substrates() == ("snntorch", "norse", "slayer", "loihi", "lava", *sorted(OTHERS))
    with bl.open_target(NETWORK, "reference") as target:
        assert target.substrate == "reference"


OTHERS = ("reference", "elsewhere", "broken", "no-backend", "damaged")


def test_another_package_cannot_replace_ours(others: None) -> None:
    assert find_backend("lava") is not ReferenceBackend


@pytest.mark.parametrize(("name", "message"), [("no-backend", "expected a subclass"), ("damaged", "no module named x")])
def test_what_is_no_backend_is_refused(others: None, name: str, message: str) -> None:
    with pytest.raises(bl.PluginError, match=f"'?{name}'?.*{message}"):
        find_backend(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("snntroch", "did you mean 'snntorch'"),
        ("loihi3000", "expected one of snntorch, norse, slayer, loihi, lava"),
        (3, "3"),
    ],
)
def test_an_unknown_substrate_is_refused(name: Any, message: str) -> None:
    with pytest.raises(bl.UnknownSubstrate, match=message):
        bl.open_target(NETWORK, name)


def test_only_networks_are_opened() -> None:
    with pytest.raises(bl.InputError, match="expected a bl_neuro Network, found list"):
        bl.open_target([1, 2], "snntorch")  # type: ignore[arg-type]


def test_a_missing_framework_says_what_to_install(others: None) -> None:
    with pytest.raises(
        bl.MissingDependency, match=r"'elsewhere'.*not installed.*pip install \"bl-neuro\[reference\]\""
    ):
        bl.open_target(NETWORK, "elsewhere")


def test_a_framework_that_does_not_import_says_why(
    others: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bl_neuro_broken_module.py").write_text(
        "print('buy our chip')\nraise OSError('libchip.so: not found')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(bl.MissingDependency, match=r"installed but does not import: OSError: libchip\.so"):
        bl.open_target(NETWORK, "broken")
    assert "buy our chip" not in capsys.readouterr().out


def test_lava_names_the_python_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BL_NEURO_LAVA_PYTHON", raising=False)
    monkeypatch.setattr(registry, "_findable", lambda module: False)
    reason = missing_reason(find_backend("lava"))
    assert reason is not None
    assert 'pip install "bl-neuro[lava]"' in reason
    monkeypatch.setattr("bl_neuro.backends.registry.sys.version_info", (3, 12))
    reason = missing_reason(find_backend("lava"))
    assert reason is not None
    assert "under Python 3.10" in reason


def test_every_problem_is_listed() -> None:
    network = Network((3,), [bl.Dense([[1e6] * 3] * 2, bl.CubaLIF(reset="subtract")), bl.Dense([[0, 0]], bl.CubaLIF())])
    with pytest.raises(bl.Unsupported) as caught:
        bl.open_target(network, "slayer")
    for part in ("'slayer'", "layer 0: reset", "layer 0: weight", "layer 1: weight: every value is zero"):
        assert part in str(caught.value)
