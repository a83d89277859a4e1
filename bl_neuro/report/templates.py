"""The template environment of the pages, which escapes all strings and provides words and charts."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from bl_neuro.experiment.findings.estimates import MEASURES
from bl_neuro.report import advantage, halfway, membership, plots, secrets, secrets_beside, views, words

if TYPE_CHECKING:
    from jinja2 import Environment

SUFFIXES = (".j2", ".css")
FILTERS = {
    "percent": words.percent,
    "chance": words.chance_label,
    "decimal": words.decimal,
    "amount": words.amount,
    "listed": words.listed,
}
FUNCTIONS = (
    membership.auc_words,
    membership.difference_words,
    membership.measure_words,
    membership.percent_words,
    membership.roc_chart,
    membership.two_decimals,
    advantage.ends_of_advantage,
    halfway.compared_hits,
    halfway.halfway_budget,
    halfway.halfway_levels,
    halfway.halfway_range,
    plots.interval_mark,
    plots.line_sample,
    secrets.bits_text,
    secrets_beside.both_accuracies,
    secrets_beside.compared_attack,
    secrets_beside.exposure_ends,
    secrets_beside.repetition_numbers,
    secrets_beside.repetition_rows,
    secrets_beside.times,
    views.access,
    views.ladder_rows,
    views.ladder_scale,
    views.spending,
    words.against_chance,
    words.blind,
    words.effect,
    words.effect_footing,
    words.ends,
    words.footing,
    words.judged,
    words.limits_queries,
    words.many,
    words.family_lines,
    words.margin_lines,
    words.margin_points,
    words.mitigation,
    words.network_name,
    words.p_value,
    words.pair,
    words.points,
    words.seen,
    words.seen_by_control,
    words.share,
    words.share_ends,
    words.view,
    words.whole_percent,
)


def audit_environment() -> Environment:
    """The templates and style sheets of this package, with number formats as filters, and functions by name."""
    import jinja2

    folder = resources.files("bl_neuro.report")
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(SUFFIXES)}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(texts),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals.update({function.__name__: function for function in FUNCTIONS})
    environment.globals.update(measures=MEASURES, families=words.FAMILIES)
    return environment
