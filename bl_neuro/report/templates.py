"""The templates of the pages: strict, and every string in them escaped."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from bl_neuro.report import words

if TYPE_CHECKING:
    from jinja2 import Environment

SUFFIXES = (".j2", ".css")


def environment() -> Environment:
    """The templates and style sheets of this package, with the words for numbers as filters."""
    import jinja2

    folder = resources.files("bl_neuro.report")
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(SUFFIXES)}
    made = jinja2.Environment(
        loader=jinja2.DictLoader(texts),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        percent=words.percent, chance=words.chance_label,
        decimal=words.decimal, amount=words.amount, duration=words.duration, listed=words.listed,
    )  # fmt: skip
    return made
