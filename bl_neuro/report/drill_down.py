"""The details of a row of an audit: every cell with its images, its progress and its judgements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bl_neuro.arrays import FloatArray
from bl_neuro.drawing.style import data_uri
from bl_neuro.experiment.findings.models import OWN, AuditCell, AuditRow, Findings
from bl_neuro.experiment.findings.pictures import AttackCourse, CellPictures
from bl_neuro.phrases import listed
from bl_neuro.report import plots, thumbnails
from bl_neuro.report.words import TARGETS, percent, share, share_ends, view

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_NAMED = 12
"""Maximum number of classes that are listed by name."""


@dataclass(frozen=True)
class Shot:
    """One cell, or several with identical results: its inversions, its progress, its judgements."""

    title: str
    uri: str
    width: int
    height: int
    alt: str
    lines: tuple[str, ...]
    course: Markup | None
    addresses: tuple[str, ...] = field(compare=False)


@dataclass(frozen=True)
class Group:
    """The cells of one row, or of several rows with identical results on several substrates."""

    key: str
    title: str
    result: str
    threat_model: str | None
    shots: list[Shot]


Key = tuple[str, str, str, str, str]
"""Target, attack, output, rung, mitigation."""


def groups(results: Findings, pictures: CellPictures, ink: bool) -> list[Group]:
    """All rows with finished cells, with their cells by seed and restart."""
    rows: dict[tuple[Key, str], list[AuditCell]] = {}
    for cell in results.inversions:
        key = (cell.target, cell.attack, cell.reveals, cell.rung or "", cell.mitigation or "")
        rows.setdefault((key, cell.substrate), []).append(cell)
    same: dict[tuple[Key, tuple[Shot, ...]], list[tuple[str, list[Shot]]]] = {}
    for (key, substrate), cells in rows.items():
        cells.sort(key=lambda cell: (cell.seed, cell.restart))
        shots = [_shot(results, pictures, ink, cell) for cell in cells]
        same.setdefault((key, tuple(shots)), []).append((substrate, shots))
    return [_group(results, key, substrates) for (key, _), substrates in same.items()]


def _group(results: Findings, key: Key, same: list[tuple[str, list[Shot]]]) -> Group:
    """The group of one row. same: substrates with identical results, each with its cells."""
    target, attack, reveals, rung, mitigation = key
    further = [
        *([] if target in OWN else [TARGETS.get(target, target)]),
        *([f"rung {rung}"] if rung else []),
        *([mitigation] if mitigation else []),
    ]
    title = ", ".join([f"{view(attack, reveals)} on {listed([substrate for substrate, _ in same])}", *further])
    row = None if rung or mitigation else _row(results, target, same[0][0], attack, reveals)
    judged = None if row is None else row.evaluators.get(results.judge)
    result = "" if judged is None else f"{share(judged.attack_accuracy)} ({share_ends(judged.attack_accuracy)})"
    shots = [
        replace(alike[0], addresses=tuple(address for shot in alike for address in shot.addresses))
        for alike in zip(*(shots for _, shots in same))
    ]
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return Group(name, title, result, None if row is None else row.threat_model, shots)


def _row(results: Findings, *name: str) -> AuditRow | None:
    return next((row for row in results.rows if row.name == name), None)


def _shot(results: Findings, pictures: CellPictures, ink: bool, cell: AuditCell) -> Shot:
    names = [results.dataset.class_names[label] for label in cell.classes]
    png, width, height = thumbnails.side_by_side(pictures.images(cell.address), ink)
    lines = [_recognised(name, names, judged.hits) for name, judged in cell.evaluators.items()]
    if cell.target_answers is not None:
        own = sum(answer == label for answer, label in zip(cell.target_answers, cell.classes))
        lines.append(f"The target itself names {own} of {len(names)}.")
    lines.append(f"{cell.queries / len(names):,.0f} queries per class, {cell.status.replace('_', ' ')}.")
    course = pictures.course(cell.address, results.judge)
    return Shot(
        title=f"Restart {cell.restart}" if cell.target == "given" else f"Seed {cell.seed}, restart {cell.restart}",
        uri=data_uri(png, "image/png"),
        width=width,
        height=height,
        alt=f"inversions of class{'es' if len(names) > 1 else ''} {_named(names)}",
        lines=tuple(lines),
        course=None if course is None or len(course.queries) < 2 else _course(course, results.judge),
        addresses=(cell.address,),
    )


def _recognised(evaluator: str, names: Sequence[str], hits: Sequence[int]) -> str:
    """Which inversions an evaluator recognises."""
    recognised = [name for name, hit in zip(names, hits) if hit]
    which = f": {_named(recognised)}" if 0 < len(recognised) < len(names) else ""
    return f"{evaluator} recognises {len(recognised)} of {len(names)}{which}."


def _named(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return listed(list(names))


def _course(course: AttackCourse, evaluator: str) -> Markup:
    values: FloatArray = course.confidence
    return plots.course_mark(
        values.tolist(),
        f"Mean confidence of {evaluator}: {percent(float(values[0]))} at {course.queries[0]:,.0f} queries per class, "
        f"{percent(float(values[-1]))} at {course.queries[-1]:,.0f}",
    )
