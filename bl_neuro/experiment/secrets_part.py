"""`[secrets]` of an experiment: secrets planted in the training data, and the attacks that try to recover them.

    [secrets]
    kind = "rotation"                   # see `bl_neuro.experiment.secrets_plants`
    queries = [8, 32, 128]

    [[secrets.attacks]]
    attack = "v2"
    reveals = ["counts", "label"]

Every target is trained by the experiment's own trainer on data in which every class has a secret. A reader, trained on
samples that no target saw, reads the secrets from the inversions of the attacks.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from bl_neuro.experiment.part import Count, Name, Names, Part, Seed, Seeds, SettingsPart
from bl_neuro.experiment.secrets_plants import Plant, find_plant
from bl_neuro.reveals import Reveals
from bl_neuro.settings import with_settings

Queries = Annotated[int, Field(ge=1, le=1_000_000)]
"""Number of queries per class."""
Images = Annotated[int, Field(ge=1, le=1000)]
"""Number of public images per class and choice of an informed attacker."""


class SecretAttackPart(Part):
    """`[[secrets.attacks]]`: an attack, as in `[[attacks]]`; its budgets are `queries` of `[secrets]`.

    Settings that state a number of queries keep it, so leave these out. substrates: by default all of the experiment.
    """

    attack: str
    label: Name | None = None
    preset: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    substrates: Names | None = None
    twin: str = "snntorch"

    @property
    def called(self) -> str:
        """The name in tables."""
        return self.label or self.attack


class SecretReplayPart(Part):
    """`[[secrets.replays]]`: repeats attacks on substrate `of` on `substrate`, as `[[replays]]` does.

    seeds: target seeds, by default all of the experiment. attacks, reveals, queries: labels, outputs and budgets, by
    default all.
    """

    substrate: str = "lava"
    of: str = "loihi"
    seeds: Seeds | None = None
    attacks: Names | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    queries: Annotated[list[Count], Field(min_length=1)] | None = None


class SecretsPart(SettingsPart):
    """`[secrets]`: the kind of secret, its settings, and how it is attacked.

    queries: budgets of black-box attacks, in queries per class that include those of a start that classes share.
    attacks: what to run. informed: number of public images per class and choice with which an informed attacker, who
    does not invert, asks the target about every possible secret; one attacker per number. reader_images: maximum number
    of images per class and choice that readers learn from. margin: the share of the range from guessing to the reader's
    ceiling within which two substrates are taken to be equal. seed: of the secrets. twins: whether an ANN of the same
    layer sizes (`[twin]`) is trained on the data of every target and attacked beside it: by the black-box attacks,
    through its scores and labels, and by `ann`, with its default settings unless `attacks` contains it.
    """

    kind: str
    queries: Annotated[list[Queries], Field(min_length=1)] = Field(default_factory=lambda: [8, 16, 32, 64, 128])
    attacks: Annotated[list[SecretAttackPart], Field(min_length=1)]
    informed: Annotated[list[Images], Field(min_length=1)] = Field(default_factory=lambda: [1, 2, 4, 8])
    reader_images: Annotated[int, Field(ge=2)] = 100
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.1
    seed: Seed = 0
    replays: list[SecretReplayPart] = Field(default_factory=list)
    twins: bool = False

    @classmethod
    def settings_class(cls, kind: str) -> type[Any]:
        """See `SettingsPart.settings_class`."""
        return find_plant(kind)

    @cached_property
    def plant(self) -> Plant:
        """The kind of secret, with its settings."""
        plant: Plant = with_settings(find_plant(self.kind), self.settings)
        return plant
