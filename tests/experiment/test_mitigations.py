"""A mitigation of another package in an experiment's file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from bl_neuro.experiment.session import Audit
from bl_neuro.layers import Dense
from bl_neuro.mitigations import MITIGATIONS, Mitigation
from bl_neuro.network import Network
from bl_neuro.reveals import Reveals
from bl_neuro.testing.registered import registered


@dataclass(frozen=True)
class EvenCounts(Mitigation):
    """A mitigation of another package: reveals even counts, on a network without its smallest weights."""

    name = "even_counts"
    title = "Even counts"
    acts_on = ("counts", "label")

    least: float = 0.0

    @property
    def setting(self) -> str:
        return f"even counts, weights of at least {self.least:g}"

    def output(self, shown: Tensor, reveals: Reveals, rng: np.random.Generator) -> Tensor:
        return shown - shown % 2

    def network(self, network: Network) -> Network:
        layers = [
            replace(layer, weight=layer.weight * (np.abs(layer.weight) >= self.least))
            if isinstance(layer, Dense)
            else layer
            for layer in network.layers
        ]
        return Network(network.input_shape, layers, network.readout, network.arithmetic)


def test_another_packages_mitigation_works_in_an_experiment_by_its_name(small: Path, tmp_path: Path) -> None:
    table = '[[mitigations]]\nkind = "even_counts"\nleast = 0.01\n'
    (tmp_path / "more.toml").write_text(small.read_text().replace("seeds = 2", "seeds = 1") + table)
    with registered(MITIGATIONS, EvenCounts):
        cells = Audit.of(str(tmp_path / "more.toml"), tmp_path / "out").cells
    changed = [cell for cell in cells if cell.kind == "changed"]
    assert [cell.definition["mitigation"] for cell in changed] == [{"kind": "even_counts", "least": 0.01}]
    label = "even_counts 0.01"
    behind = [cell for cell in cells if cell.kind == "attack" and cell.facts.get("mitigation") == label]
    assert behind
    assert {cell.definition["target"] for cell in behind} == {cell.address for cell in changed}
    assert all(cell.definition["mitigation"]["kind"] == "even_counts" for cell in behind)
    service = [cell.facts.get("mitigation") for cell in cells if cell.kind == "service"]
    assert service == [None, label]


def test_a_cap_above_the_budget_of_an_attack_does_not_raise_it(small: Path, tmp_path: Path) -> None:
    text = small.read_text().replace('reveals = ["counts"]', 'reveals = ["counts"]\nbudget = 80')
    table = '[[mitigations]]\nkind = "query_cap"\nqueries = 3000\n'
    (tmp_path / "capped.toml").write_text(text + table)
    cells = Audit.of(str(tmp_path / "capped.toml"), tmp_path / "out").cells
    capped = [cell for cell in cells if cell.facts.get("mitigation") == "query_cap 3000"]
    budgets = {cell.definition["budget"] for cell in capped if cell.kind == "attack"}
    assert budgets == {80}
