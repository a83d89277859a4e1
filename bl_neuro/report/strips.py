"""The pictures that an audit's page shows first: class means, and under them inversions of one target."""

from __future__ import annotations

from dataclasses import dataclass

from bl_neuro.experiment.findings.models import AuditCell, Findings
from bl_neuro.experiment.findings.pictures import CellPictures
from bl_neuro.report import thumbnails
from bl_neuro.report.overlap import has_training_means, mean_of_class
from bl_neuro.report.views import OWN
from bl_neuro.report.words import TARGETS, listed, view

MOST_CLASSES = 10


@dataclass(frozen=True)
class Thumbnail:
    """One picture. hit: whether the judge recognises it, None for a class mean."""

    uri: str
    alt: str
    hit: bool | None


@dataclass(frozen=True)
class PictureStrip:
    """A row of pictures, one a class."""

    name: str
    said: str
    cells: list[Thumbnail]
    control: bool


def strips(results: Findings, pictures: CellPictures, ink: bool) -> list[PictureStrip]:
    """Class means, then for each row the first restart of the first target, whoever it came out well for."""
    shown = results.dataset.inverted[:MOST_CLASSES]
    names = [results.dataset.class_names[label] for label in shown]
    means = thumbnails.one_by_one(pictures.class_means[shown], ink)
    found = [
        PictureStrip(
            "training data" if has_training_means(results) else f"dataset {results.dataset.name}",
            "mean of each class",
            [Thumbnail(uri, mean_of_class(results, name), None) for uri, name in zip(means, names)],
            False,
        )
    ]
    first: dict[tuple[str, ...], AuditCell] = {}
    for cell in results.inversions:
        if cell.rung is None and cell.mitigation is None:
            key = (cell.target, cell.attack, cell.reveals, cell.substrate)
            if key not in first or (cell.seed, cell.restart) < (first[key].seed, first[key].restart):
                first[key] = cell
    order = list(dict.fromkeys((row.target, row.attack, row.reveals) for row in results.rows))
    cells = sorted(first.values(), key=lambda cell: order.index((cell.target, cell.attack, cell.reveals)))
    return [*found, *(_strip(results, *each, names) for each in _distinct(cells, pictures, ink, len(names)))]


def _distinct(
    cells: list[AuditCell], pictures: CellPictures, ink: bool, count: int
) -> list[tuple[AuditCell, list[str], list[str]]]:
    """Cells with their pictures and substrates; those of one attack that came out the same are one."""
    found: dict[tuple[str, ...], tuple[AuditCell, list[str], list[str]]] = {}
    for cell in cells:
        uris = thumbnails.one_by_one(pictures.images(cell.address)[:count], ink)
        key = (cell.target, cell.attack, cell.reveals, *uris)
        found.setdefault(key, (cell, uris, []))[2].append(cell.substrate)
    return list(found.values())


def _strip(
    results: Findings, cell: AuditCell, uris: list[str], substrates: list[str], names: list[str]
) -> PictureStrip:
    where = listed(substrates)
    judged = cell.evaluators.get(results.judge)
    hits: list[bool | None] = [None] * len(names) if judged is None else [bool(hit) for hit in judged.hits]
    said = f"{view(cell.attack, cell.reveals)} on {where}, seed {cell.seed}"
    control = cell.target not in OWN
    if control:
        said += f", {TARGETS.get(cell.target, cell.target)}"
    words = {None: "", True: f": recognised by {results.judge}", False: f": not recognised by {results.judge}"}
    thumbs = [
        Thumbnail(uri, f"Inversion of class {name}, {said}{words[hit]}", hit)
        for uri, name, hit in zip(uris, names, hits)
    ]
    kind = f", {TARGETS.get(cell.target, cell.target)}" if control else ""
    return PictureStrip(view(cell.attack, cell.reveals), f"{where}, seed {cell.seed}{kind}", thumbs, control)
