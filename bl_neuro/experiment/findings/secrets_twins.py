"""Compares what is recovered of planted secrets from spiking targets and from their ANN twins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from bl_neuro.backends.registry import ANN
from bl_neuro.experiment.findings.conversion import verdict_of
from bl_neuro.experiment.findings.secrets_models import SecretTwinComparison
from bl_neuro.experiment.findings.secrets_rows import Guesses, InformedName, RowName, hits_of_both, informed_row
from bl_neuro.experiment.findings.verdicts import PairedArrays
from bl_neuro.leakage import PairVerdict, pair_verdicts


class TwinPair(NamedTuple):
    """An attack and output on spiking targets, and the same on their ANN twins; each with any budget."""

    target: RowName
    twin: RowName


def twin_comparisons(
    attacked: Mapping[RowName, Guesses],
    informed: Mapping[InformedName, Guesses],
    margin: float,
    accuracy: Mapping[str, float],
) -> list[SecretTwinComparison]:
    """Verdicts on spiking targets and their ANN twins, tested together, which include informed attackers.

    accuracy: of the targets on each substrate.
    """
    rows = {**attacked, **{informed_row(*name): guesses for name, guesses in informed.items()}}
    pairs: dict[str, PairedArrays] = {}
    names: dict[str, TwinPair] = {}
    for pair in twin_pairs(rows):
        shared = [
            (guesses, rows[pair.twin._replace(budget=name.budget)])
            for name, guesses in rows.items()
            if name._replace(budget=None) == pair.target and pair.twin._replace(budget=name.budget) in rows
        ]
        values = hits_of_both(shared)
        if values is not None:
            key = str(len(names))
            pairs[key], names[key] = values, pair
    verdicts = pair_verdicts(pairs, margin) if pairs else {}
    return [_twin_comparison(pair, pairs[key], verdicts[key], accuracy) for key, pair in names.items()]


def _twin_comparison(
    pair: TwinPair, hits: PairedArrays, verdict: PairVerdict, accuracy: Mapping[str, float]
) -> SecretTwinComparison:
    return SecretTwinComparison(
        attack=pair.target.attack,
        twin_attack=pair.twin.attack,
        reveals=pair.target.reveals,
        substrate=pair.target.substrate,
        recovered=float(np.mean(np.concatenate(hits[0]))),
        twin_recovered=float(np.mean(np.concatenate(hits[1]))),
        accuracy=accuracy.get(pair.target.substrate),
        twin_accuracy=accuracy.get(ANN),
        verdict=verdict_of(verdict),
    )


def twin_pairs(rows: Iterable[RowName]) -> Iterator[TwinPair]:
    """Spiking targets on the first substrate and their ANN twins: the same queries, or gradients of either."""
    plain = dict.fromkeys(name._replace(budget=None) for name in rows)
    twins = [name for name in plain if name.substrate == ANN]
    first = next((name.substrate for name in plain if name.substrate != ANN), None)
    for name in plain:
        if name.substrate == first:
            by_queries = [twin for twin in twins if twin == name._replace(substrate=ANN)]
            by_gradient = [twin for twin in twins if name.access == "white_box" and twin.access == "ann"]
            yield from (TwinPair(name, twin) for twin in [*by_queries, *by_gradient][:1])
