"""What is recovered of planted canaries by how often they were among the training samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bl_neuro.arrays import BoolArray, FloatArray
from bl_neuro.experiment.findings.conversion import mean_of
from bl_neuro.experiment.findings.estimates import Mean
from bl_neuro.experiment.findings.secrets_models import SecretRepetition
from bl_neuro.experiment.secrets_measures import SecretGuessMeasures
from bl_neuro.leakage import hit_bootstrap, seed_bootstrap
from bl_neuro.leakage.secrets import exposures


class Attacker(NamedTuple):
    """An attacker and its guesses by target seed. attack: None for an informed attacker. queries: per class."""

    substrate: str
    attack: str | None
    reveals: str
    queries: float
    guesses: Mapping[int, SecretGuessMeasures]


def repetition_findings(attackers: Sequence[Attacker], copies: Mapping[int, Sequence[int]]) -> list[SecretRepetition]:
    """One finding for each attacker with most queries and number of copies; none without copies.

    copies: of every target seed, how often the secret of each class is among the training samples.
    """
    numbers = sorted({number for some in copies.values() for number in some})
    most: dict[tuple[str, str | None, str], Attacker] = {}
    for attacker in attackers:
        key = (attacker.substrate, attacker.attack, attacker.reveals)
        if key not in most or most[key].queries < attacker.queries:
            most[key] = attacker
    ordered = sorted(most.values(), key=lambda attacker: attacker.attack is not None)
    return [finding for attacker in ordered for number in numbers if (finding := _of(attacker, copies, number))]


def mean_exposure(by_target: Sequence[FloatArray]) -> Mean:
    """The mean exposure with its interval over targets, which is None if all are equal: resampling cannot show it."""
    mean = mean_of(seed_bootstrap(by_target))
    alike = mean.low == mean.high
    return mean.model_copy(update={"low": None, "high": None}) if alike else mean


def _of(attacker: Attacker, copies: Mapping[int, Sequence[int]], number: int) -> SecretRepetition | None:
    """What `attacker` recovers of the secrets with this number of copies; None if no finished target has any."""
    hits, exposed = [], []
    for seed, measured in sorted(attacker.guesses.items()):
        own = _own(measured, copies.get(seed, ()), number)
        if own.any():
            hits.append(np.array(measured.hits, float)[own])
            exposed.append(exposures(np.array(measured.ranks)[own], measured.choices))
    if not hits:
        return None
    return SecretRepetition(
        substrate=attacker.substrate,
        attack=attacker.attack,
        reveals=attacker.reveals,
        queries=attacker.queries,
        copies=number,
        recovered=mean_of(hit_bootstrap(hits)),
        exposure=mean_exposure(exposed),
    )


def _own(measured: SecretGuessMeasures, copies: Sequence[int], number: int) -> BoolArray:
    """Which of the attacked classes have a secret with this number of copies, (n,)."""
    if not copies:
        return np.zeros(len(measured.classes), np.bool_)
    return np.asarray(np.array(copies)[measured.classes] == number)
