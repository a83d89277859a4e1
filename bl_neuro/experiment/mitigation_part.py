"""`[[mitigations]]` of an experiment: defences whose effect on leakage and cost in accuracy are measured.

    kind = "reveal"          to = "label"     reveals less
    kind = "rounding"        step = 0.1       rounds scores or membrane potentials to multiples
    kind = "noise"           sd = 0.1         adds noise to scores, membrane potentials or (rounded) counts
    kind = "query_cap"       queries = 1280   limits the queries for all inversions of one attack together
    kind = "input_dropout"   rate = 0.2       drops input spikes
    kind = "weight_bits"     bits = 4         rounds weights

`kind` is the name of a registered mitigation (`bl_neuro.mitigations.MITIGATIONS`), with its settings beside it. Each
runs on one substrate, on the same targets and with the same seeds as the attacks without it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from bl_neuro.experiment.part import Names, Restarts, Seeds, SettingsPart
from bl_neuro.mitigations import MITIGATIONS, Mitigation, make_mitigation
from bl_neuro.reveals import Reveals


class MitigationPart(SettingsPart):
    """`[[mitigations]]`: the kind of a mitigation, its settings, and the attacks that it is measured on.

    attacks: labels of black-box attacks, by default all. reveals: outputs, by default all outputs of an attack that the
    mitigation acts on. seeds, restarts: by default all of the experiment. substrate: where it runs.
    """

    attacks: Names | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    seeds: Seeds | None = None
    restarts: Restarts | None = None
    substrate: str = "loihi"
    kind: str

    @classmethod
    def settings_class(cls, kind: str) -> type[Any]:
        """See `SettingsPart.settings_class`."""
        return MITIGATIONS.find(kind)

    @cached_property
    def mitigation(self) -> Mitigation:
        """The mitigation, with its settings."""
        return make_mitigation(self.kind, self.settings)

    def acts_on(self, reveals: Reveals) -> bool:
        """Whether it changes the answers of a box that reveals this output."""
        acts = reveals in self.mitigation.acts_on
        return acts and (not self.mitigation.changes("reveals") or self.mitigation.reveals(reveals) != reveals)
