"""Which attack a command line asks for, and what it needs to have; combinations that make no sense are refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

from bl_neuro.access import REVEALS, BlackBox, WhiteBox
from bl_neuro.attacks import Attack, TransferAttack, TransferBox
from bl_neuro.attacks.registry import ATTACKS, preset_sides, presets
from bl_neuro.backends import Target, open_target
from bl_neuro.errors import InputError
from bl_neuro.network import Network

BUDGET, REVEALED = 7040, "counts"
"""Where a black box is attacked and nothing is said."""
WARM_SHARE = 10
"""A search spends one query in so many on its shared warm start."""
PRESET_SHARE = 0.4
"""A preset's own warm start takes at most so much of the budget."""
MOST_WARM = 4096
"""Most queries of the warm start: its probes are drawn and asked all at once, and this bounds their memory."""
MOST_CANDIDATES = 16
"""Most candidates of a transfer attack: each takes as long as the attack on the twin."""


@dataclass(frozen=True)
class StrategyRequest:
    """The attack that was asked for. Numbers, reveals, twin, preset and image_shape are None where nothing was said."""

    attack: str
    reveals: str | None = None
    budget: int | None = None
    twin: str | None = None
    preset: str | None = None
    blur: float | None = None
    window: float | None = None
    image_shape: str | None = None
    patience: int | None = None

    @property
    def white(self) -> bool:
        """Whether it needs gradients and asks no queries."""
        return ATTACKS[self.attack].access == "white_box"

    def strategy(self, network: Network | BlackBox, classes: int) -> Attack[Any]:
        """The attack, for so many inversions."""
        self.check()
        priors = self._priors(network)
        if self.white:
            return self._white(self.attack, priors)
        budget = BUDGET if self.budget is None else self.budget
        if self.attack == "transfer":
            if budget < classes:
                raise InputError(f"--budget: {budget} queries do not try {classes} inversions once; try {classes}")
            return TransferAttack(attack=self._white("v1", priors), candidates=min(budget // classes, MOST_CANDIDATES))
        return self._search(budget, classes, priors)

    def _search(self, budget: int, classes: int, priors: dict[str, Any]) -> Attack[BlackBox]:
        """A search that spends the whole budget, a part of it on its warm start."""
        search = self._preset(self.attack)
        own = None if self.preset is None else search().warm_start
        each, warm = _shares(budget, classes, own)
        if each < 2:
            least = next(enough for enough in count(budget + 1) if _shares(enough, classes, own)[0] >= 2)
            raise InputError(f"--budget: {budget} queries are too few to search {classes} classes; try {least}")
        patience = {} if self.patience is None else {"patience": self.patience}
        found: Attack[BlackBox] = search(queries=each, warm_start=warm, **patience, **priors)
        return found

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

    def other_size(self, network: Network | BlackBox) -> list[str]:
        """What is taken for granted where a preset is for images of another size than the network's."""
        meant = None if self.preset is None else preset_sides(self.attack, f"for_{self.preset}")
        found = network.input_shape[1:] if len(network.input_shape) == 3 else self.sides()
        if meant is None or found is None or tuple(found) == meant:
            return []
        return [f"what suits images of {meant[0]} x {meant[1]} pixels suits these of {found[0]} x {found[1]}"]

    def check(self) -> None:
        """Every option by itself first, then whether the attack has a use for it."""
        if self.attack not in ATTACKS:
            raise InputError(f"--attack: expected one of {', '.join(ATTACKS)}, found {self.attack!r}")
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
        self._preset("v1" if self.attack == "transfer" else self.attack)

    def _preset(self, attack: str) -> Callable[..., Any]:
        """What makes the attack: its class, or its ready-made settings."""
        known = [name.removeprefix("for_") for name in presets(attack)]
        if self.preset is None:
            return ATTACKS[attack]
        if self.preset not in known:
            expected = f"expected one of {', '.join(known)}" if known else "it has none; leave it out"
            raise InputError(f"--preset: {expected} for {attack}, found {self.preset!r}")
        made: Callable[..., Any] = getattr(ATTACKS[attack], f"for_{self.preset}")
        return made

    def _priors(self, network: Network | BlackBox) -> dict[str, Any]:
        """Image priors as settings of an attack."""
        sides = self.sides()
        images = len(network.input_shape) == 3
        if images and sides is not None:
            raise InputError(f"--image-shape: inputs {network.input_shape} are images already; leave it out")
        for option, value in (("--window", self.window), ("--blur", self.blur)):
            if value and not images and sides is None:
                shape = network.input_shape
                raise InputError(f"{option}: inputs {shape} are no images; say how they lie with --image-shape")
        given = {"window": self.window, "image_shape": sides, "blur": self.blur}
        return {name: value for name, value in given.items() if value is not None}

    def _white(self, name: str, priors: dict[str, Any]) -> Attack[WhiteBox]:
        made: Attack[WhiteBox] = self._preset(name)(**priors)
        return made


def _shares(budget: int, classes: int, own: int | None) -> tuple[int, int]:
    """Queries of each class, an even number, and of the warm start. own: a preset's, which is taken if it fits."""
    wanted = max(budget // WARM_SHARE, 1) if own is None else min(own, max(int(PRESET_SHARE * budget), 1))
    each = (budget - min(wanted, MOST_WARM)) // classes
    each -= each % 2
    return each, min(budget - each * classes, MOST_WARM)
