"""Backends are found by name; errors say what to install or to try."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.backends import available_substrates, find_backend, missing_reason, registry
from bl_neuro.backends.registry import BACKENDS, substrates_with
from bl_neuro.network import Network
from bl_neuro.testing.random_networks import random_dense
from bl_neuro.testing.reference_target import ReferenceBackend, SpikesOnlyTarget
from bl_neuro.testing.registered import registered

NETWORK = random_dense(0, (4, 3))


class NotInstalled(ReferenceBackend):
    name = "elsewhere"
    modules = ("numpy", "bl_neuro_has_no_such_module.inside")
    requirement = "another-package[chip]"


class Broken(ReferenceBackend):
    name = "broken"
    modules = ("bl_neuro_broken_module",)


OTHERS = ("broken", "elsewhere", "reference")


@pytest.fixture
def others() -> Iterator[None]:
    """Backends that another package adds."""
    with registered(BACKENDS, ReferenceBackend, NotInstalled, Broken):
        yield


def test_ours_come_first() -> None:
    assert available_substrates()[:5] == ("snntorch", "norse", "slayer", "loihi", "lava")


@pytest.mark.parametrize("name", ["snntorch", "norse", "slayer", "loihi", "lava"])
def test_a_backend_describes_itself(name: str) -> None:
    backend = find_backend(name)
    assert backend.name == name
    assert backend.title
    assert backend.summary
    assert backend.requirement in ("bl-neuro[snntorch]", "bl-neuro[norse]", "bl-neuro[lava]", "bl-neuro")


@pytest.mark.parametrize("name", ["snntorch", "norse", "slayer", "loihi", "lava"])
def test_a_target_has_the_facts_of_its_backend(name: str, needs: Callable[[str], None]) -> None:
    needs(name)
    backend = find_backend(name)
    with bl.open_target(NETWORK, name, **backend.single_thread) as target:
        assert target.backend is backend
        assert target.substrate == name
        assert (target.differentiable, target.reveals_membrane) == (backend.differentiable, backend.reveals_membrane)
        if not backend.shows_states:
            with pytest.raises(bl.Unsupported, match=f"'{name}' does not show the states"):
                target.run_with_states(np.ones((2, 1, 4)))


def test_no_substrate_has_the_name_of_ann_twins() -> None:
    class Ann(ReferenceBackend):
        name = "ann"

    with registered(BACKENDS, Ann):
        with pytest.raises(bl.PluginError, match="substrate 'ann': expected another name, since this one stands for"):
            find_backend("ann")
        assert "ann" in BACKENDS.broken()


def test_substrates_are_found_by_what_they_declare(others: None) -> None:
    assert substrates_with("differentiable") == ("snntorch", "norse", "slayer", "loihi", *OTHERS)
    assert substrates_with("shows_states") == ("loihi", "lava")
    assert find_backend("loihi").emulates == "lava"


def test_a_white_box_names_the_substrates_that_have_gradients(others: None) -> None:
    with pytest.raises(bl.NotDifferentiable, match=r"\(snntorch, .*, reference\), found spikes-only"):
        bl.WhiteBox(SpikesOnlyTarget(NETWORK))


@pytest.mark.slow
def test_looking_for_backends_imports_no_framework() -> None:
    code = (
        "import sys, bl_neuro.backends as b\n"
        "from bl_neuro.testing.random_networks import random_dense\n"
        "for name in b.available_substrates():\n"
        "    b.find_backend(name).problems(random_dense(0))\n"
        "loaded = {'snntorch', 'norse', 'lava', 'pytest'} & {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_another_package_can_add_one(others: None) -> None:
    assert available_substrates() == ("snntorch", "norse", "slayer", "loihi", "lava", *OTHERS)
    with bl.open_target(NETWORK, "reference") as target:
        assert target.substrate == "reference"


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
        bl.MissingDependency, match=r"'elsewhere'.*not installed.*pip install \"another-package\[chip\]\""
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
