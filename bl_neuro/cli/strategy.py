"""Which attack a command line asks for, and what it needs to have; combinations that make no sense are refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bl_neuro.access import REVEALS, BlackBox, WhiteBox
from bl_neuro.attacks import (
    Attack,
    BrainLeaksV1,
    BrainLeaksV2,
    BrainLeaksV2Gradient,
    CmaEs,
    OnePlusOneEs,
    RandomSearch,
    TransferAttack,
    TransferBox,
)
from bl_neuro.backends import Target, open_target
from bl_neuro.errors import InputError
from bl_neuro.network import Network

WHITE: dict[str, type[BrainLeaksV1] | type[BrainLeaksV2Gradient]] = {
    "v1": BrainLeaksV1,
    "v2_gradient": BrainLeaksV2Gradient,
}
BLACK: dict[str, Callable[..., Attack[BlackBox]]] = {
    "v2": BrainLeaksV2,
    "cma_es": CmaEs,
    "one_plus_one": OnePlusOneEs,
    "random": RandomSearch,
}
NAMES = (*WHITE, *BLACK, "transfer")
BUDGET, REVEALED = 7040, "counts"
"""Where a black box is attacked and nothing is said."""
WARM_SHARE = 10
"""A search spends one query in so many on its shared warm start."""
MOST_WARM = 4096
"""Most queries of the warm start: its probes are drawn and asked all at once, and this bounds their memory."""
MOST_CANDIDATES = 16
"""Most candidates of a transfer attack: each takes as long as the attack on the twin."""


@dataclass(frozen=True)
class StrategyRequest:
    """The attack that was asked for. Numbers, reveals, twin and image_shape are None where nothing was said."""

    attack: str
    reveals: str | None = None
    budget: int | None = None
    twin: str | None = None
    events: bool = False
    blur: float | None = None
    window: float | None = None
    image_shape: str | None = None
    patience: int | None = None

    @property
    def white(self) -> bool:
        """Whether it needs gradients and asks no queries."""
        return self.attack in WHITE

    def strategy(self, network: Network, classes: int) -> Attack[Any]:
        """The attack, for so many inversions."""
        self._check()
        priors = self._priors(network)
        if self.white:
            return self._white(self.attack, priors)
        budget = BUDGET if self.budget is None else self.budget
        if self.attack == "transfer":
            if budget < classes:
                raise InputError(f"--budget: {budget} queries do not try {classes} inversions once; try {classes}")
            return TransferAttack(
                attack=self._white("v1", priors),
                candidates=min(budget // classes, MOST_CANDIDATES),
            )
        warm = min(max(budget // WARM_SHARE, 1), MOST_WARM)
        each = (budget - warm) // classes
        each -= each % 2
        if each < 2:
            least = 2 * classes + max((2 * classes - 1) // (WARM_SHARE - 1), 1)
            raise InputError(f"--budget: {budget} queries are too few to search {classes} classes; try {least}")
        search = BrainLeaksV2.for_events if self.events else BLACK[self.attack]
        warm = min(budget - each * classes, MOST_WARM)
        return search(queries=each, warm_start=warm, patience=self.patience, **priors)

    def box(self, target: Target, open_here: ExitStack) -> WhiteBox | BlackBox | TransferBox:
        """What the attack is given of `target`; a twin is opened beside it, until `open_here` ends."""
        if self.white:
            return WhiteBox(target)
        budget = BUDGET if self.budget is None else self.budget
        deployed = BlackBox(target, self.reveals or REVEALED, budget)  # type: ignore[arg-type]  # it was checked
        if self.attack != "transfer":
            return deployed
        twin = open_here.enter_context(open_target(target.network, self.twin or "snntorch"))
        return TransferBox(WhiteBox(twin), deployed)

    def facts(self) -> dict[str, object]:
        """What the attacker sees and may spend."""
        if self.white:
            return {"reveals": "gradient", "budget": None}
        seen = {"reveals": self.reveals or REVEALED, "budget": BUDGET if self.budget is None else self.budget}
        return {**seen, "twin": self.twin or "snntorch"} if self.attack == "transfer" else seen

    def sides(self) -> tuple[int, int] | None:
        """Height and width of a flat input."""
        if self.image_shape is None:
            return None
        parts = self.image_shape.lower().replace("x", ",").split(",")
        if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
            raise InputError(f"--image-shape: expected HEIGHT,WIDTH in pixels, found {self.image_shape!r}")
        return int(parts[0]), int(parts[1])

    def _check(self) -> None:
        """Every option by itself first, then whether the attack has a use for it."""
        if self.attack not in NAMES:
            raise InputError(f"--attack: expected one of {', '.join(NAMES)}, found {self.attack!r}")
        if self.reveals is not None and self.reveals not in REVEALS:
            raise InputError(f"--reveals: expected one of {', '.join(REVEALS)}, found {self.reveals!r}")
        if self.budget is not None and self.budget < 1:
            raise InputError(f"--budget: expected at least 1 query, found {self.budget}")
        for option, value in (("--reveals", self.reveals), ("--budget", self.budget)):
            if self.white and value is not None:
                raise InputError(f"{option}: {self.attack} has the gradients and asks no queries; leave it out")
        if self.twin is not None and self.attack != "transfer":
            raise InputError(f"--twin: only transfer attacks a copy first, {self.attack} does not; leave it out")
        if self.patience is not None and (self.white or self.attack == "transfer"):
            raise InputError(f"--patience: {self.attack} is no search of queries; leave it out")
        if self.events and not self.white and self.attack not in ("v2", "transfer"):
            known = "v1, v2, v2_gradient and transfer"
            raise InputError(f"--events: only {known} have settings for events, not {self.attack}")

    def _priors(self, network: Network) -> dict[str, Any]:
        """Image priors as settings of an attack."""
        sides = self.sides()
        flat = len(network.input_shape) != 3 and sides is None
        for option, value in (("--window", self.window), ("--blur", self.blur)):
            if flat and value:
                shape = network.input_shape
                raise InputError(f"{option}: inputs {shape} are no images; say how they lie with --image-shape")
        blur = {} if self.blur is None else {"blur": self.blur}
        return {"window": self.window, "image_shape": sides, **blur}

    def _white(self, name: str, priors: dict[str, Any]) -> Attack[WhiteBox]:
        kind = WHITE[name]
        if not self.events:
            return kind(**priors)
        return kind.for_events(**priors) if kind is BrainLeaksV1 else BrainLeaksV2Gradient.for_nmnist(**priors)
