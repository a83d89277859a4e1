"""Compares several audits: rows with the same name, and verdicts if their inversions can be paired."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from stat import S_ISREG
from typing import Any, Literal, NamedTuple

from pydantic import Field

from bl_neuro.errors import InputError, ReportError
from bl_neuro.experiment.findings.conversion import verdict_of
from bl_neuro.experiment.findings.estimates import MEASURES, Count, Finding, Mean, Measure, Number, Verdict
from bl_neuro.experiment.findings.models import RESULTS, AuditCell, AuditRow, CellCount, Findings, Unit
from bl_neuro.experiment.findings.records import unit_of
from bl_neuro.experiment.findings.verdicts import Inversion, PairedArrays, Scores, paired
from bl_neuro.leakage import PairVerdict, pair_verdicts
from bl_neuro.strangers.budget import VARIABLE, memory_budget


class ComparedAudit(Finding):
    """One audit: its name in the comparison, its experiment, and how many of its cells are done.

    unit: what its intervals are over. restarts: of each attack.
    """

    name: str
    audit: str
    dataset: str
    seeds: list[Count]
    unit: Unit
    restarts: Count
    cells: CellCount


class DifferingSetting(Finding):
    """A setting that differs between audits, with its value in each audit; null if it is missing."""

    name: str
    values: list[str | None]


class ComparedRow(Finding):
    """The rows of several audits with the same target, substrate, attack, output and evaluator."""

    target: str
    substrate: str
    attack: str
    reveals: str
    evaluator: str
    estimates: list[Mean | None] = Field(description="Attack accuracy; null where an audit has no such row.")


class AuditSubstrate(Finding):
    """A substrate of an audit."""

    run: str
    substrate: str


class RowComparison(Finding):
    """Two rows of two audits. verdict: on first minus second; null if they cannot be paired, for the reason `why`."""

    target: str
    attack: str
    reveals: str
    evaluator: str
    measure: Measure
    first: AuditSubstrate
    second: AuditSubstrate
    inversions: Count = Field(description="That both have: same target seed, class and restart.")
    verdict: Verdict | None
    sentence: str | None
    why: str | None


class AuditComparison(Finding):
    """The comparison of several audits."""

    format: Literal["bl-neuro/audit-comparison/1"] = "bl-neuro/audit-comparison/1"
    margin: Number | None = Field(description="Of the judge, the smallest of the audits; null where none has one.")
    runs: list[ComparedAudit] = Field(min_length=2)
    settings: list[DifferingSetting]
    rows: list[ComparedRow]
    comparisons: list[RowComparison]

    @property
    def judge(self) -> str | None:
        """The evaluator that comparisons use first."""
        return self.comparisons[0].evaluator if self.comparisons else None

    @property
    def main(self) -> list[RowComparison]:
        """Comparisons of attack accuracy under this evaluator."""
        return [pair for pair in self.comparisons if pair.measure == "hit" and pair.evaluator == self.judge]


MOST_BYTES = 2**24
"""Maximum size of all results.json of a comparison together, unless `VARIABLE` raises it."""
GROWTH = 56
"""Bytes of memory for each byte of a results.json; a large one took 50."""
MOST_SETTINGS = 60
"""Maximum number of differing settings that are listed."""
Values = dict[Inversion, Scores]


class RowName(NamedTuple):
    """The name of a row of an audit."""

    target: str
    substrate: str
    attack: str
    reveals: str


RowKey = tuple[RowName, str]
"""A row and the name of an evaluator."""


class Pairing(NamedTuple):
    """Two rows of two audits under one evaluator."""

    evaluator: str
    first: tuple[str, RowName]
    second: tuple[str, RowName]


def read_results(path: Path) -> Findings:
    """The findings in a folder of an audit, or in a results file.

    Raises:
        ReportError: there are none, or they are damaged, too large or of another format.
    """
    file = path / RESULTS if path.is_dir() else path
    size = need_readable([path])
    try:
        with file.open("rb") as stream:
            text = stream.read(size)
    except OSError as error:
        raise ReportError(f"{file}: {error.strerror or error}; expected the folder of a finished audit") from error
    try:
        return Findings.from_json(text)
    except ReportError as error:
        raise ReportError(f"{file}: {error}") from error


def need_readable(paths: Sequence[Path]) -> int:
    """The bytes of the results in folders of audits, or in results files, that are in memory at the same time.

    Raises:
        ReportError: there are none, or they are too large together. InputError: the environment variable is invalid.
    """
    total = 0
    for path in paths:
        file = path / RESULTS if path.is_dir() else path
        try:
            status = file.stat()
        except OSError as error:
            raise ReportError(f"{file}: {error.strerror or error}; expected the folder of a finished audit") from error
        if not S_ISREG(status.st_mode):
            raise ReportError(f"{file}: not a regular file; expected the folder of a finished audit")
        total += status.st_size
    if total > MOST_BYTES and GROWTH * total > memory_budget(0):
        raise ReportError(
            f"{', '.join(map(str, paths))}: expected at most {MOST_BYTES} bytes of results, found {total}, which take "
            f"up to {GROWTH} times as much memory; if you trust them, set {VARIABLE}={-(-GROWTH * total // 2**20)}"
        )
    return total


def compare_runs(runs: Mapping[str, Findings], margin: float | None = None) -> AuditComparison:
    """Compares audits. margin: under all evaluators; if None, the smallest margin of the audits under each.

    Raises:
        InputError: fewer than two audits, or a margin that is not between 0 and 1.
    """
    if len(runs) < 2:
        raise InputError(f"runs: expected two or more, found {len(runs)}")
    if margin is not None and not 0 < margin < 1:
        raise InputError(f"margin: expected between 0 and 1, found {margin}")
    chosen = _margins(runs, margin)
    return AuditComparison(
        margin=next(iter(chosen.values()), margin),
        runs=[
            ComparedAudit(
                name=name,
                audit=run.name,
                dataset=run.dataset.name,
                seeds=run.seeds,
                unit=run.unit,
                restarts=len({cell.restart for cell in run.inversions}),
                cells=run.cells,
            )
            for name, run in runs.items()
        ],
        settings=_settings(runs),
        rows=list(_rows(runs)),
        comparisons=_comparisons(runs, chosen),
    )


def _margins(runs: Mapping[str, Findings], margin: float | None) -> dict[str, float | None]:
    """The margin under each evaluator: the given one, or the smallest of the audits that have one."""
    evaluators = dict.fromkeys(evaluator.name for run in runs.values() for evaluator in run.evaluators)
    stated = {
        name: [own for run in runs.values() if (own := run.margin_under(name)) is not None] for name in evaluators
    }
    return {name: min(own, default=None) if margin is None else margin for name, own in stated.items()}


def _rows(runs: Mapping[str, Findings]) -> Iterator[ComparedRow]:
    """For each row name and evaluator, the estimate in each audit."""
    tables: list[dict[RowName, AuditRow]] = [{RowName(*row.name): row for row in run.rows} for run in runs.values()]
    evaluators = dict.fromkeys(evaluator.name for run in runs.values() for evaluator in run.evaluators)
    for name in dict.fromkeys(name for table in tables for name in table):
        for evaluator in evaluators:
            judged = [None if name not in table else table[name].evaluators.get(evaluator) for table in tables]
            if any(judged):
                estimates = [None if measures is None else measures.attack_accuracy for measures in judged]
                yield ComparedRow(**name._asdict(), evaluator=evaluator, estimates=estimates)


def _comparisons(runs: Mapping[str, Findings], margins: Mapping[str, float | None]) -> list[RowComparison]:
    pairings = [pairing for one, other in combinations(runs, 2) for pairing in _pairings(runs, one, other)]
    tables = {name: _tables(run) for name, run in runs.items()}
    comparisons = []
    for evaluator in dict.fromkeys(pairing.evaluator for pairing in pairings):
        own = [pairing for pairing in pairings if pairing.evaluator == evaluator]
        for measure in MEASURES:
            values = {pairing: _paired(tables, pairing, measure) for pairing in own if _unlike(runs, pairing) is None}
            same = [pairing for pairing in values if _same_bits(runs, tables, pairing)]
            finished = {pairing: pair for pairing, pair in values.items() if pair[0]}
            verdicts = _verdicts(finished, margins[evaluator], same)
            for pairing in own:
                why = _unlike(runs, pairing) or "no target seed, class and restart in common"
                comparisons.append(_comparison(pairing, measure, verdicts.get(pairing), why))
    return comparisons


def _same_bits(runs: Mapping[str, Findings], tables: Mapping[str, dict[RowKey, Values]], pairing: Pairing) -> bool:
    """Whether two rows are of one arithmetic and their inversions have bit-identical scores."""
    sides = (pairing.first, pairing.second)
    kinds = {runs[name].arithmetic.get(row.substrate) for name, row in sides}
    first, second = (tables[name].get((row, pairing.evaluator), {}) for name, row in sides)
    return len(kinds) == 1 and None not in kinds and all(first[key] == second[key] for key in first.keys() & second)


def _verdicts(
    values: Mapping[Pairing, PairedArrays], margin: float | None, same_bits: Sequence[Pairing]
) -> dict[Pairing, PairVerdict]:
    """Tests all pairings together. Pairings with equal values, as of substrates with equal spikes, count once."""
    if not values:
        return {}
    keys = {
        pairing: repr((pairing in same_bits, [[row.tolist() for row in side] for side in pair]))
        for pairing, pair in values.items()
    }
    pairs = {keys[pairing]: pair for pairing, pair in values.items()}
    verdicts = pair_verdicts(
        pairs, margin, same_computation=[keys[pairing] for pairing in same_bits if pairing in keys]
    )
    return {pairing: verdicts[keys[pairing]] for pairing in values}


def _comparison(pairing: Pairing, measure: Measure, verdict: PairVerdict | None, why: str) -> RowComparison:
    """The comparison of one pairing. why: the reason if there is no verdict."""
    (one, row), (other, their) = pairing.first, pairing.second
    return RowComparison(
        target=row.target,
        attack=row.attack,
        reveals=row.reveals,
        evaluator=pairing.evaluator,
        measure=measure,
        first=AuditSubstrate(run=one, substrate=row.substrate),
        second=AuditSubstrate(run=other, substrate=their.substrate),
        inversions=0 if verdict is None else verdict.difference.n,
        verdict=None if verdict is None else verdict_of(verdict),
        sentence=None if verdict is None else verdict.described("restart" if row.target == "given" else "seed"),
        why=why if verdict is None else None,
    )


def _pairings(runs: Mapping[str, Findings], one: str, other: str) -> Iterator[Pairing]:
    """The rows of two audits that are compared: of the same substrate, or of any substrates if they share none."""
    first, second = ([RowName(*row.name) for row in runs[name].own_rows] for name in (one, other))
    other_evaluators = {evaluator.name for evaluator in runs[other].evaluators}
    for evaluator in [evaluator.name for evaluator in runs[one].evaluators if evaluator.name in other_evaluators]:
        for view in dict.fromkeys(row._replace(substrate="") for row in first):
            ours, others = ([row for row in rows if row._replace(substrate="") == view] for rows in (first, second))
            shared = [row for row in ours if row in others]
            pairs = [(row, row) for row in shared] or [(row, other_row) for row in ours for other_row in others]
            for row, other_row in pairs:
                yield Pairing(evaluator, (one, row), (other, other_row))


def _unlike(runs: Mapping[str, Findings], pairing: Pairing) -> str | None:
    """Why two rows cannot be paired, if this can be decided without their inversions."""
    first, second = (runs[side[0]] for side in (pairing.first, pairing.second))
    if first.dataset.name != second.dataset.name or first.dataset.class_names != second.dataset.class_names:
        return "another dataset"
    one, other = (next(judge for judge in run.evaluators if judge.name == pairing.evaluator) for run in (first, second))
    if one.address == other.address or (one.weights is not None and one.weights == other.weights):
        return None
    return "another evaluator: trained in another way, or on other data"


def _tables(run: Findings) -> dict[RowKey, Values]:
    """The scores of each inversion, by row and evaluator."""
    tables: dict[RowKey, Values] = {}
    for cell in run.inversions:
        if cell.rung is None and cell.mitigation is None:
            for evaluator, judged in cell.evaluators.items():
                key = (RowName(cell.target, cell.substrate, cell.attack, cell.reveals), evaluator)
                tables.setdefault(key, {}).update(_values(cell, judged.hits, judged.confidence))
    return tables


def _values(cell: AuditCell, hits: Sequence[int], confidence: Sequence[float]) -> Values:
    return {
        (unit_of(cell.target, cell.seed, cell.restart), label, cell.restart): {"hit": float(hit), "confidence": sure}
        for label, hit, sure in zip(cell.classes, hits, confidence)
    }


def _paired(tables: Mapping[str, dict[RowKey, Values]], pairing: Pairing, measure: Measure) -> PairedArrays:
    """Values of the inversions that both rows have, as one array per independent unit."""
    one, other = (tables[name].get((row, pairing.evaluator), {}) for name, row in (pairing.first, pairing.second))
    return paired(one, other, measure)


def _settings(runs: Mapping[str, Findings]) -> list[DifferingSetting]:
    """Settings of the experiment files, and versions, that differ between audits."""
    versions = [{f"version of {name}": used for name, used in run.made.versions.items()} for run in runs.values()]
    flat = [{**_flat(run.experiment), **own} for run, own in zip(runs.values(), versions)]
    names = dict.fromkeys(name for settings in flat for name in settings)
    differ = [name for name in names if len({json.dumps(settings.get(name)) for settings in flat}) > 1]
    return [
        DifferingSetting(
            name=name, values=[json.dumps(settings[name]) if name in settings else None for settings in flat]
        )
        for name in differ[:MOST_SETTINGS]
    ]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Flattens a nested document to dotted names. Lists of plain values are kept."""
    if isinstance(value, dict) and value:
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        parts = {str(place): entry for place, entry in enumerate(value)}.items()
    else:
        return {name: value}
    return {
        key: leaf for own, part in parts for key, leaf in _flat(part, f"{name}.{own}" if name else str(own)).items()
    }
