"""`[[mitigations]]` of an experiment: what a deployment does against inversion, measured for what it costs and removes.

    kind = "reveal"          to = "label"     shows less
    kind = "rounding"        step = 0.1       scores or a membrane in whole multiples
    kind = "noise"           sd = 0.1         on scores or a membrane; on counts, then rounded
    kind = "query_cap"       queries = 1280   for all inversions of one attack together
    kind = "input_dropout"   rate = 0.2       of the spikes that come in
    kind = "weight_bits"     bits = 4         of every weight

`kind` is the name of any registered mitigation (`bl_neuro.mitigations.MITIGATIONS`), with its settings beside it. Each
is run on one substrate, on the same targets, from the same seeds as the attacks without it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from bl_neuro.experiment.part import Names, Restarts, Seeds, SettingsPart
from bl_neuro.mitigations import MITIGATIONS, Mitigation, make_mitigation
from bl_neuro.reveals import Reveals


class MitigationPart(SettingsPart):
    """One of `[[mitigations]]`: the name of a mitigation, its settings, and what it is measured on.

    attacks: labels of black-box attacks, all by default. reveals: what their boxes show, by default all of an attack's
    that the mitigation acts on. seeds, restarts: of the experiment's, all by default. substrate: where it is run.
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
        """Whether it changes anything where a box reveals that."""
        acts = reveals in self.mitigation.acts_on
        return acts and (not self.mitigation.changes("reveals") or self.mitigation.reveals(reveals) != reveals)
