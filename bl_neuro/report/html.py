"""One self-contained HTML page from results and pictures: no script, no request, every string escaped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bl_neuro.report import figures, templates, words
from bl_neuro.report.answer import answer, control_verdict
from bl_neuro.report.pictures import Floats, Pictures
from bl_neuro.report.schema import Control, Results, Row

if TYPE_CHECKING:
    from markupsafe import Markup

SMALL = 16 * 16  # pixels up to which a report warns that the pictures are small

# `95% interval` is not a finding, so it stays as it is.
PERCENTAGE = re.compile(r"(\d[\d.]*(?:–\d[\d.]*)?%)(?! interval)")

MISSING = {
    "target_success": "The target’s own answers to these inversions were not recorded.",
    "pearson_selectivity": "Not measured, or undefined because a picture is of one shade throughout.",
    "ssim": "Not measured in this run.",
    "daa": "Not measured in this run.",
    "spike_density": "The attacked network takes no spikes.",
}


@dataclass(frozen=True)
class Cell:
    """One picture in the grid: its data URI, or None where there is none, and what it shows."""

    uri: str | None
    alt: str


@dataclass(frozen=True)
class Strip:
    """The pictures of one row, one a class, with what is printed beside them."""

    name: str
    view: str
    result: str
    cells: list[Cell]
    control: bool


@dataclass(frozen=True)
class Chart:
    """One chart in four dresses, as (media query or None, data URI, width, height), the last the default."""

    sources: list[tuple[str | None, str, int, int]]
    alt: str


@dataclass(frozen=True)
class Threat:
    """Rows that share an attacker: title, what is seen, the threat model in words, the rows."""

    title: str
    sees: str
    model: str
    rows: list[Row]


def render(results: Results, pictures: Pictures) -> str:
    """The page, as text."""
    environment = templates.environment()
    environment.filters.update(strong=_strong, sentences=_sentences)
    environment.globals.update(
        attack_label=words.attack_label, access_label=words.access_label, interval=words.interval
    )
    return environment.get_template("report.html.j2").render(
        results=results,
        judge=results.evaluators[0],
        answer=answer(results),
        verdicts=[control_verdict(control, results.chance) for control in results.controls],
        means=_means(pictures),
        names=pictures.class_names,
        strips=[_strip(row, pictures) for row in results.all_rows()],
        ramp=figures.data_uri(figures.png(np.linspace(0.0, 1.0, 64)[None, :]), "image/png"),
        accuracy=_accuracy_chart(results),
        confidence=_confidence_chart(results),
        threats=_threats(results),
        footnotes=_footnotes(results),
        control_names=words.CONTROLS,
        shape="×".join(str(side) for side in pictures.class_means.shape[1:]),
        small=pictures.class_means[0].size <= SMALL,
        substrates=list(dict.fromkeys(row.substrate for row in results.rows if row.attack != "ann")),
    )


def _strong(text: str) -> Markup:
    """The text, escaped, with its percentages set strong."""
    from markupsafe import Markup, escape

    return Markup(re.sub(PERCENTAGE, r"<strong>\1</strong>", str(escape(text))))


def _sentences(text: str) -> str:
    """The text with a full stop at its end."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _picture(values: Floats, alt: str) -> Cell:
    return Cell(figures.data_uri(figures.png(values), "image/png"), alt)


def _means(pictures: Pictures) -> Strip:
    cells = [
        _picture(mean, f"Mean training picture of class {name}")
        for mean, name in zip(pictures.class_means, pictures.class_names, strict=True)
    ]
    return Strip("Training data", "mean of each class", "", cells, control=False)


def _strip(row: Row, pictures: Pictures) -> Strip:
    made = pictures.inversions[row.inversions]
    control = isinstance(row, Control)
    by = f"from {row.substrate} by {words.attack_label(row)}" + (" (null control)" if control else "")
    cells = []
    for index, name in enumerate(pictures.class_names):
        first = made.first_of(index)
        cells.append(
            Cell(None, f"No inversion of class {name} {by}")
            if first is None
            else _picture(first, f"Inversion of class {name} {by}")
        )
    view = f"{words.attack_label(row)} ({words.access_label(row)})"
    if isinstance(row, Control):
        view = f"{view}, {words.CONTROLS[row.kind]}"
    result = f"{words.percent(row.attack_accuracy)} ({words.interval(row)})"
    return Strip(row.substrate, view, result, cells, control)


def _chart(drawn: dict[tuple[bool, bool], figures.Drawing], alt: str) -> Chart:
    """A chart drawn for (dark, narrow), each with the media query that asks for it."""
    queries = {
        (True, True): "screen and (prefers-color-scheme: dark) and (max-width: 700px)",
        (True, False): "screen and (prefers-color-scheme: dark)",
        (False, True): "screen and (max-width: 700px)",
        (False, False): None,
    }
    sources = []
    for dress, query in queries.items():
        made = drawn[dress]
        sources.append((query, figures.data_uri(made.svg, "image/svg+xml"), made.width, made.height))
    return Chart(sources, alt)


def _dresses() -> list[tuple[bool, bool, figures.Theme]]:
    return [
        (dark, narrow, figures.DARK if dark else figures.LIGHT) for dark in (True, False) for narrow in (True, False)
    ]


def _accuracy_chart(results: Results) -> Chart:
    drawn = {(d, n): figures.accuracy_chart(results, theme, n) for d, n, theme in _dresses()}
    said = [
        f"{'control, ' if isinstance(row, Control) else ''}{row.substrate}, {words.attack_label(row)}: "
        f"{words.percent(row.attack_accuracy)} (95% interval {words.interval(row)})"
        for row in results.all_rows()
    ]
    chance = words.chance_label(results.chance)
    return _chart(drawn, f"Attack accuracy of each row; chance is {chance}. {'; '.join(said)}.")


def _confidence_chart(results: Results) -> Chart | None:
    drawn = {}
    for dark, narrow, theme in _dresses():
        made = figures.confidence_chart(results, theme, narrow)
        if made is None:
            return None
        drawn[dark, narrow] = made
    said = " ".join(figures.curve_description(rows) for rows in figures.curve_panels(results))
    shown = "Evaluator’s mean confidence in the inverted class against queries per class."
    return _chart(drawn, f"{shown} {said}")


def _threats(results: Results) -> list[Threat]:
    """The rows, grouped by who attacks: the same attack, view and words about the attacker."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in results.rows:
        key = (words.attack_label(row), words.access_label(row), row.threat_model)
        groups.setdefault(key, []).append(row)
    return [
        Threat(f"{attack} ({access})", words.SEES[rows[0].reveals or "gradient"], model, rows)
        for (attack, access, model), rows in groups.items()
    ]


def _footnotes(results: Results) -> dict[str, tuple[str, str]]:
    """A letter and a sentence for every measure that is null somewhere."""
    rows = list(results.all_rows())
    missing = [name for name in MISSING if any(getattr(row, name) is None for row in rows)]
    return {name: (chr(ord("a") + index), MISSING[name]) for index, name in enumerate(missing)}
