"""`[membership]` of an experiment: membership inference on networks that the audit trains on random halves of a pool.

[membership]
networks = 32                 each is the target in turn, and the others are the attacker's shadow networks

[[membership.asks]]
kind = "plain"                how the attacker asks about a sample, and how often
count = 4

[[membership.mitigations]]
kind = "weight_bits"          the networks are also deployed with 4-bit weights
bits = 4

[[membership.replays]]
substrate = "lava"            some of the queries to loihi are repeated on lava and compared bit by bit
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.part import Count, Name, Names, Part, Seed, Seeds
from bl_neuro.membership.asks import DEFAULT_SIZE, MOST_ASKS, AskKind
from bl_neuro.reveals import REVEALS, Reveals

MembershipAttack = Literal["lira", "lira_offline", "rmia", "rmia_offline", "threshold"]
ATTACKS: tuple[MembershipAttack, ...] = ("lira", "lira_offline", "rmia", "rmia_offline", "threshold")
LEAST_NETWORKS = 10
"""With fewer, too many samples have fewer than two shadow networks on a side, since one network is the target."""
LEAST_SHADOWS = 8
"""The same without a target among them."""


class AskPart(Part):
    """`[[membership.asks]]`: how the attacker asks about a sample.

    kind: "plain" encodes the sample anew in every ask; "noise" also adds Gaussian noise of standard deviation `size` to
    its pixels (0..1), the distance to the decision boundary as labels show it (Choquette-Choo et al. 2021); "dropout"
    removes each input spike with probability `size` (arXiv 2502.13191). count: number of asks per sample, each of them
    one query. reveals, substrates: by default those of `[membership]`.
    """

    kind: AskKind = "plain"
    count: Annotated[int, Field(ge=1, le=MOST_ASKS)] = 4
    size: Annotated[float, Field(gt=0, lt=1)] | None = None
    label: Name | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    substrates: Names | None = None

    @property
    def called(self) -> str:
        """The name in tables."""
        return self.label or self.kind

    @property
    def strength(self) -> float:
        """`size`, by default 0.1 for noise and 0.5 for dropout; 0 for plain asks."""
        return DEFAULT_SIZE[self.kind] if self.size is None or self.kind == "plain" else self.size

    @property
    def definition(self) -> dict[str, Any]:
        """Everything that the answers depend on."""
        return {"kind": self.kind, "count": self.count, "size": self.strength}


class MemberReplayPart(Part):
    """`[[membership.replays]]`: repeats queries to networks on substrate `of` on `substrate`.

    They are queries of the first of the asks. networks: their numbers, from 0. samples: number of samples of the pool
    that are asked about. reveals: by default all outputs of `[membership]` that `substrate` reveals.
    """

    substrate: str = "lava"
    of: str = "loihi"
    networks: Seeds = Field(default_factory=lambda: [0])
    samples: Count = 40
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None


class MembershipPart(Part):
    """`[membership]`: membership inference on networks that the audit trains.

    networks: how many, each trained on an independent random half of every class of the pool. pool: number of samples
    that are attacked, drawn with `pool_seed` from the samples outside the official test set; all by default.
    substrates, reveals: by default those of the experiment, and all outputs. attacks: see `ATTACKS`. asks: by default
    four plain ones. mitigations: other deployments of the same networks, for which both the target and the shadow
    networks are changed; they are measured with the first of the asks. shadows: training settings that override
    `[target]` for a second set of shadow networks, of an attacker who does not know how the target was trained
    (`wrong_shadows` of them, on all substrates, with the first of the asks). margin: largest irrelevant difference of
    an AUC between two deployments, as a share of its distance from chance on the first substrate. twins: whether an ANN
    of the same layer sizes (`[twin]`) is trained on the half of every network and attacked in the same way, through its
    scores and labels. replays: queries that are repeated on another substrate of the same arithmetic.
    """

    networks: Annotated[int, Field(ge=LEAST_NETWORKS, le=1000)] = 32
    pool: Count | None = None
    pool_seed: Seed = 0
    substrates: Names | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] = Field(default_factory=lambda: list(REVEALS))
    attacks: Annotated[list[MembershipAttack], Field(min_length=1)] = Field(default_factory=lambda: list(ATTACKS))
    asks: list[AskPart] = Field(default_factory=list)
    mitigations: list[MitigationPart] = Field(default_factory=list)
    shadows: dict[str, Any] | None = None
    wrong_shadows: Annotated[int, Field(ge=LEAST_SHADOWS, le=1000)] = 16
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.2
    twins: bool = False
    replays: list[MemberReplayPart] = Field(default_factory=list)

    @property
    def asked(self) -> list[AskPart]:
        """All kinds of asks: `asks`, or four plain ones."""
        return self.asks or [AskPart()]
