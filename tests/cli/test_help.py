"""The help of commands lists what can be chosen, parts of other packages too."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from bl_neuro import registry as registry_module
from bl_neuro.cli.options import with_names
from bl_neuro.experiment.ready_made import ready_made
from bl_neuro.registries import KINDS, part_names, registries
from bl_neuro.reveals import REVEALS

Call = Callable[..., Any]
LISTS = {
    "attack": ["substrates", "attacks"],
    "membership": ["substrates"],
    "serve": ["substrates"],
    "train": ["datasets", "evaluators"],
    "verify": ["substrates"],
    "audit": ["substrates"],
}
"""The kinds of parts that the help of each command lists."""


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that adds a part "gadget" to every group. Importing it fails."""

    def points(group: str) -> list[EntryPoint]:
        return [EntryPoint(name="gadget", value="not_there:Gadget", group=group)]

    monkeypatch.setattr(registry_module, "entry_points", points)


def in_words(text: str) -> list[str]:
    """The words of a help text, without the frame around it."""
    return text.translate(dict.fromkeys(map(ord, "│(),.;"), " ")).split()


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("command", LISTS)
def test_the_help_lists_the_names(command: str, call: Call) -> None:
    result = call(command, "--help")
    assert result.code == 0
    assert "{" not in result.out.replace("{experiment}", "").replace("{model}", "").replace("{dataset}", "")
    for kind in LISTS[command]:
        assert {*part_names(kind), "gadget"} <= set(in_words(result.out))


def test_the_help_lists_experiments_and_outputs(call: Call) -> None:
    assert set(ready_made()) <= set(in_words(call("audit", "--help").out))
    for command in ("attack", "membership", "serve"):
        assert set(REVEALS) <= set(in_words(call(command, "--help").out))


def test_the_overview_looks_for_no_packages(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(group: str) -> list[Any]:
        raise AssertionError(f"looked for {group}")

    monkeypatch.setattr(registry_module, "entry_points", fails)
    assert call("--help").code == 0


def test_names_are_those_of_the_registries() -> None:
    for kind, registry in registries().items():
        assert set(registry.names) - set(part_names(kind)) == ({"npz", "folder"} if kind == "datasets" else set())
        assert dict(KINDS[kind].ours) == registry.ours
        assert KINDS[kind].group == registry.group
    assert with_names("one of {mitigations}; {other}").endswith("input_dropout or weight_bits; {other}")
