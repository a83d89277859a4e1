"""The images at the top of an audit's page: class means, and below them inversions of one target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bl_neuro.experiment.findings.models import OWN, AuditCell, Findings
from bl_neuro.experiment.findings.pictures import CellPictures
from bl_neuro.phrases import listed
from bl_neuro.report import thumbnails
from bl_neuro.report.words import TARGETS, share, share_ends, view

MOST_CLASSES = 10


@dataclass(frozen=True)
class Thumbnail:
    """One image. hit: whether the first evaluator recognises it, None for a class mean."""

    uri: str
    alt: str
    hit: bool | None


@dataclass(frozen=True)
class PictureStrip:
    """A row of images, one per class. result: attack accuracy of all inversions of the row, with its interval."""

    name: str
    detail: str
    result: str
    cells: list[Thumbnail]
    control: bool


@dataclass(frozen=True)
class _FirstCell:
    """The first restart of the first target, its images, and the substrates with identical results."""

    cell: AuditCell
    uris: list[str]
    substrates: list[str]


def has_training_means(results: Findings) -> bool:
    """Whether the class means are means of the target's training data."""
    means_of_training = results.overlap is None or results.overlap.class_means == "training data"
    return results.training_data_known and means_of_training


def strips(results: Findings, pictures: CellPictures, ink: bool) -> list[PictureStrip]:
    """Class means, then for each row the first restart of the first target, without selection."""
    shown = results.dataset.inverted[:MOST_CLASSES]
    names = [results.dataset.class_names[label] for label in shown]
    first: dict[tuple[str, ...], AuditCell] = {}
    for cell in results.inversions:
        if cell.rung is None and cell.mitigation is None:
            key = (cell.target, cell.attack, cell.reveals, cell.substrate)
            if key not in first or (cell.seed, cell.restart) < (first[key].seed, first[key].restart):
                first[key] = cell
    order = list(dict.fromkeys((row.target, row.attack, row.reveals) for row in results.rows))
    cells = sorted(first.values(), key=lambda cell: order.index((cell.target, cell.attack, cell.reveals)))
    distinct = _distinct(cells, pictures, ink, len(names))
    means = thumbnails.one_by_one(pictures.class_means[shown], ink)
    return [_means(results, means, names), *(_strip(results, one, names) for one in distinct)]


def _means(results: Findings, uris: Sequence[str], names: Sequence[str]) -> PictureStrip:
    """The strip of class means, for comparison with all others."""
    name = "training data" if has_training_means(results) else f"dataset {results.dataset.name}"
    thumbs = [Thumbnail(uri, _mean_alt(results, label), None) for uri, label in zip(uris, names)]
    return PictureStrip(name, "mean of each class", "", thumbs, False)


def _mean_alt(results: Findings, name: str) -> str:
    if has_training_means(results):
        return f"Mean training picture of class {name}"
    return f"Class mean of the dataset {results.dataset.name}, class {name}"


def _distinct(cells: Sequence[AuditCell], pictures: CellPictures, ink: bool, count: int) -> list[_FirstCell]:
    """Cells with their images and substrates; cells of one attack with identical results are merged."""
    distinct: dict[tuple[str, ...], _FirstCell] = {}
    for cell in cells:
        uris = thumbnails.one_by_one(pictures.images(cell.address)[:count], ink)
        key = (cell.target, cell.attack, cell.reveals, *uris)
        distinct.setdefault(key, _FirstCell(cell, uris, [])).substrates.append(cell.substrate)
    return list(distinct.values())


def _strip(results: Findings, first: _FirstCell, names: Sequence[str]) -> PictureStrip:
    cell, where = first.cell, listed(first.substrates)
    judged = cell.evaluators.get(results.judge)
    hits: list[bool | None] = [None] * len(names) if judged is None else [bool(hit) for hit in judged.hits]
    control = "" if cell.target in OWN else f", {TARGETS.get(cell.target, cell.target)}"
    run = f"restart {cell.restart}" if cell.target == "given" else f"seed {cell.seed}"
    attack = view(cell.attack, cell.reveals)
    outcome = {None: "", True: f": recognised by {results.judge}", False: f": not recognised by {results.judge}"}
    thumbs = [
        Thumbnail(uri, f"Inversion of class {name}, {attack} on {where}, {run}{control}{outcome[hit]}", hit)
        for uri, name, hit in zip(first.uris, names, hits)
    ]
    return PictureStrip(attack, f"{where}, {run}{control}", _result(results, first), thumbs, bool(control))


def _result(results: Findings, first: _FirstCell) -> str:
    """The attack accuracy of the rows of a strip, over all their inversions."""
    cell = first.cell
    means = [
        row.evaluators[results.judge].attack_accuracy
        for row in results.rows
        if (row.target, row.attack, row.reveals) == (cell.target, cell.attack, cell.reveals)
        if row.substrate in first.substrates and results.judge in row.evaluators
    ]
    return listed(list(dict.fromkeys(f"{share(mean)} ({share_ends(mean)})" for mean in means)), "or")
