"""From a row of an audit down to its inversions: every cell with its pictures, its course and what was said of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bl_neuro.arrays import FloatArray
from bl_neuro.report import plots, thumbnails
from bl_neuro.report.audit_schema import AuditCell, AuditResults, AuditRow
from bl_neuro.report.audit_words import TARGETS, share, share_ends, view
from bl_neuro.report.cell_pictures import CellPictures, Course
from bl_neuro.report.figures import data_uri
from bl_neuro.report.words import listed, percent

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_NAMED = 12
"""Classes that are named one by one."""


@dataclass(frozen=True)
class Shot:
    """One cell: the pictures of its inversions side by side, its course, and what was said of them."""

    title: str
    uri: str
    width: int
    height: int
    alt: str
    said: list[str]
    course: Markup | None
    address: str


@dataclass(frozen=True)
class Group:
    """The cells of one row."""

    key: str
    title: str
    result: str
    threat_model: str | None
    shots: list[Shot]


def groups(results: AuditResults, pictures: CellPictures, ink: bool) -> list[Group]:
    """Every row that has a finished cell, with its cells by seed and restart."""
    rows = {(row.target, row.substrate, row.attack, row.reveals): row for row in results.rows}
    by_key: dict[tuple[str, ...], list[AuditCell]] = {}
    for cell in results.inversions:
        key = (cell.target, cell.substrate, cell.attack, cell.reveals, cell.rung or "", cell.mitigation or "")
        by_key.setdefault(key, []).append(cell)
    return [
        _group(results, pictures, ink, key, sorted(cells, key=lambda cell: (cell.seed, cell.restart)), rows)
        for key, cells in by_key.items()
    ]


def _group(
    results: AuditResults,
    pictures: CellPictures,
    ink: bool,
    key: tuple[str, ...],
    cells: Sequence[AuditCell],
    rows: dict[tuple[str, str, str, str], AuditRow],
) -> Group:
    target, substrate, attack, reveals, rung, mitigation = key
    further = [
        *([] if target in ("trained", "given") else [TARGETS.get(target, target)]),
        *([f"rung {rung}"] if rung else []),
        *([mitigation] if mitigation else []),
    ]
    title = ", ".join([f"{view(attack, reveals)} on {substrate}", *further])
    row = None if rung or mitigation else rows.get((target, substrate, attack, reveals))
    found = None if row is None or results.judge not in row.evaluators else row.evaluators[results.judge]
    result = "" if found is None else f"{share(found.attack_accuracy)} ({share_ends(found.attack_accuracy)})"
    shots = [_shot(results, pictures, ink, cell, title) for cell in cells]
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return Group(name, title, result, None if row is None else row.threat_model, shots)


def _shot(results: AuditResults, pictures: CellPictures, ink: bool, cell: AuditCell, title: str) -> Shot:
    names = [results.dataset.class_names[label] for label in cell.classes]
    png, width, height = thumbnails.side_by_side(pictures.images(cell.address), ink)
    where = f"Seed {cell.seed}, restart {cell.restart}"
    said = [_recognised(name, names, judged.hits) for name, judged in cell.evaluators.items()]
    if cell.target_answers is not None:
        own = sum(answer == label for answer, label in zip(cell.target_answers, cell.classes))
        said.append(f"The target itself names {own} of {len(names)}.")
    spent = cell.queries / len(names)
    said.append(f"{spent:,.0f} queries a class, {cell.status.replace('_', ' ')}.")
    alt = f"{title}, {where.lower()}: inversions of class{'es' if len(names) > 1 else ''} {_named(names)}"
    course = pictures.course(cell.address, results.judge)
    return Shot(
        where, data_uri(png, "image/png"), width, height, alt, said,
        None if course is None or len(course.queries) < 2 else _course(course, results.judge), cell.address,
    )  # fmt: skip


def _recognised(evaluator: str, names: Sequence[str], hits: Sequence[int]) -> str:
    """Which inversions an evaluator recognises."""
    found = [name for name, hit in zip(names, hits) if hit]
    which = f": {_named(found)}" if 0 < len(found) < len(names) else ""
    return f"{evaluator} recognises {len(found)} of {len(names)}{which}."


def _named(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return listed(list(names))


def _course(course: Course, evaluator: str) -> Markup:
    values: FloatArray = course.confidence
    return plots.course_mark(
        values.tolist(),
        f"Mean confidence of {evaluator}: {percent(float(values[0]))} at {course.queries[0]:,.0f} queries a class, "
        f"{percent(float(values[-1]))} at {course.queries[-1]:,.0f}",
    )
