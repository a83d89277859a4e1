"""The summary in Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.one_page import one_page


def test_it_is_a_page_with_what_leaks_and_the_verdict_first(audit: Findings) -> None:
    text = one_page(audit)
    assert re.findall("^#+ .*", text, re.MULTILINE) == [
        "# What do networks trained on digits give away, and does the substrate change it?",
        "## Attack accuracy",
        "## Pairs of substrates",
        "## Which step does it: v2, scores",
        "## Null controls",
        "## What could be done",
        "## Tested together (declared before the run, digest 0123456789abcdef)",
        "## Limits",
    ]
    assert text.splitlines()[2].startswith("An attacker who can only query the network ")
    assert text.splitlines()[4].startswith("Does the substrate change leakage? **")
    assert len(text.split()) < 1300
    assert text.endswith("`report.html`.\n")


def test_tables_are_whole(audit: Findings) -> None:
    lines = [line for line in one_page(audit).splitlines() if line.startswith("|")]
    assert "| v2, scores | snntorch, norse and loihi | 0.0 |  | identical |" in lines
    assert "| v2, label | snntorch and norse | 0.0 |  | identical by construction |" in lines
    for block in one_page(audit).split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1


def test_every_evaluator_says_what_mitigations_do(audit: Findings) -> None:
    lines = one_page(audit).splitlines()
    columns = "| mitigation | attack | accuracy lost | leakage removed, conv | leakage removed, spiking |"
    after = lines[lines.index(columns) + 2 :]
    assert [line.split(" | ")[0] for line in after[:4]] == [
        "| shows label alone", "| answers rounded to 0.1", "| noise of sd 0.1", "| no more than 320 queries",
    ]  # fmt: skip
    assert after[0].count(" to ") == 2
    assert after[1].endswith("| – |")


def test_a_ladder_has_a_column_for_every_evaluator(make_audit: Callable[..., Findings]) -> None:
    ladder = make_audit().ladder[0].model_dump()
    text = one_page(make_audit(ladder=[ladder, {**ladder, "evaluator": "spiking"}]))
    assert "| step | level | change | 95% | verdict | under spiking |" in text
    assert text.count("## Which step does it") == 1
    assert "not that showing less leaks more" in text


def test_marks_in_names_are_no_markdown(make_audit: Callable[..., Findings]) -> None:
    data = {**make_audit().dataset.model_dump(), "name": "a|b *c* <img>\n# d"}
    text = one_page(make_audit(dataset=data))
    assert r"on a\|b \*c\* \<img\> \# d give" in text.splitlines()[0]


def test_a_count_of_one_is_singular(make_audit: Callable[..., Findings]) -> None:
    assert "in points; 1 target seed. Margin: conv: 10 points." in one_page(make_audit(seeds=[0]))
    assert "1 target seed is few" in one_page(make_audit(seeds=[0]))
    assert "; 4 target seeds." in one_page(make_audit())


def test_of_a_given_model_restarts_are_counted(make_audit: Callable[..., Findings]) -> None:
    text = one_page(make_audit(unit="restart"))
    assert text.startswith("# What does this model, audited on digits, give away?")
    assert "; paired over the restarts of one model." in text
    assert "One given model was attacked" in text
    assert "target seed" not in text


def test_a_bare_audit_has_a_page_too(make_audit: Callable[..., Findings]) -> None:
    empty: dict[str, list[Any]] = {
        name: [] for name in ("rows", "verdicts", "alike", "ladder", "mitigations", "replays", "controls")
    }
    text = one_page(make_audit(**empty, stands_for={}))
    assert "## Pairs" not in text
    assert "## Limits" in text


def test_a_command_that_was_not_recorded_is_not_made_up(make_audit: Callable[..., Findings]) -> None:
    made = {**make_audit().made.model_dump(), "command": None}
    assert "Command not recorded: 98 of 100 cells." in one_page(make_audit(made=made))
    made["command"] = "bl-neuro audit 'a`b.toml'"
    assert r"Made by bl-neuro audit 'a\`b.toml': 98" in one_page(make_audit(made=made))
