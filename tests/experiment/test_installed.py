"""`skip_missing` leaves out the substrates that are not installed, and names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bl_neuro.errors import ExperimentError
from bl_neuro.experiment import installed
from bl_neuro.experiment.experiment_file import experiment_from
from bl_neuro.experiment.installed import without_substrates
from bl_neuro.experiment.session import Audit

DOCUMENT: dict[str, Any] = {
    "name": "some",
    "seeds": 1,
    "substrates": ["norse", "loihi"],
    "skip_missing": True,
    "dataset": {"name": "digits"},
    "verify": ["loihi", "lava"],
    "evaluators": [{"kind": "conv"}],
    "attacks": [
        {"attack": "v1", "substrates": ["norse"]},
        {"attack": "v2", "reveals": ["counts"]},
        {"attack": "transfer", "reveals": ["counts"], "twin": "norse"},
    ],
    "controls": [{"kind": "untrained", "substrates": ["norse", "loihi"]}],
    "replays": [{"substrate": "lava", "of": "loihi"}],
    "mitigations": [{"kind": "query_cap", "queries": 20, "substrate": "norse", "attacks": ["v2"]}],
}


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes substrates missing, by name."""

    def remove(*names: str) -> None:
        def reason(backend: Any) -> str | None:
            return f"{backend.name} is away" if backend.name in names else None

        monkeypatch.setattr(installed, "missing_reason", reason)

    return remove


def test_every_part_that_needs_a_missing_substrate_is_left_out(absent: Any, tmp_path: Path) -> None:
    absent("norse", "lava")
    audit = Audit.of(experiment_from(DOCUMENT), tmp_path)
    assert audit.not_run == {"norse": "norse is away", "lava": "lava is away"}
    left = audit.runnable
    assert left.substrates == ["loihi"]
    assert [attack.attack for attack in left.attacks] == ["v2"]
    assert left.controls[0].substrates == ["loihi"]
    assert (left.replays, left.verify, left.mitigations) == ([], None, [])
    assert {cell.facts.get("substrate") for cell in audit.cells} == {None, "loihi"}
    assert audit.experiment.substrates == ["norse", "loihi"]  # what was asked for stays as it was


def test_cells_of_the_substrates_that_are_left_are_the_same(absent: Any, tmp_path: Path) -> None:
    document = {name: value for name, value in DOCUMENT.items() if name != "verify"}  # which depends on all attacks

    def addresses() -> set[str]:
        return {cell.address for cell in Audit.of(experiment_from(document), tmp_path).cells}

    absent()
    whole = addresses()
    absent("norse")
    assert addresses() < whole


def test_an_attack_is_left_out_if_the_default_substrate_of_its_copy_is_missing(absent: Any, tmp_path: Path) -> None:
    absent("snntorch")
    attacks = [{"attack": "transfer", "reveals": ["counts"]}, {"attack": "v2", "reveals": ["counts"]}]
    document = {**DOCUMENT, "substrates": ["loihi"], "attacks": attacks}
    for name in ("verify", "controls", "replays", "mitigations"):
        del document[name]
    audit = Audit.of(experiment_from(document), tmp_path)
    assert audit.not_run == {"snntorch": "snntorch is away"}
    assert [attack.attack for attack in audit.runnable.attacks] == ["v2"]


def test_missing_substrates_are_left_out_only_on_request(absent: Any, tmp_path: Path) -> None:
    absent("norse", "lava")
    audit = Audit.of(experiment_from({**DOCUMENT, "skip_missing": False}), tmp_path)
    assert audit.not_run == {}
    assert audit.runnable is audit.experiment


def test_an_experiment_without_any_substrate_is_refused() -> None:
    with pytest.raises(ExperimentError, match=r"none of its substrates .* is installed; run bl-neuro doctor"):
        without_substrates(experiment_from(DOCUMENT), {"norse", "loihi", "lava"})


def test_membership_keeps_what_can_run() -> None:
    document: dict[str, Any] = {"name": "m", "substrates": ["norse", "loihi"], "dataset": {"name": "digits"}}
    asks = [{}, {"kind": "dropout", "substrates": ["norse"]}]
    weights = [{"kind": "weight_bits", "bits": 4}]
    part = {"asks": asks, "mitigations": weights, "replays": [{}]}
    left = without_substrates(experiment_from({**document, "membership": part}), {"norse", "lava"}).membership
    assert left is not None
    assert ([ask.kind for ask in left.asks], len(left.mitigations), left.replays) == (["plain"], 1, [])
    alone = experiment_from({**document, "membership": {"substrates": ["norse"]}})
    with pytest.raises(ExperimentError, match="none of its substrates"):
        without_substrates(alone, {"norse"})
