"""The headline states what the verdicts support, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bl_neuro.backends.registry import BACKENDS
from bl_neuro.experiment.findings.margins import EvaluatorMargin
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.answer import audit_answer, main_comparisons
from bl_neuro.report.limits import limits
from bl_neuro.report.one_page import one_page
from bl_neuro.testing.reference_target import ReferenceBackend
from bl_neuro.testing.registered import registered

Make = Callable[..., Findings]


def judged(results: Findings, *verdicts: str, **further: Any) -> Findings:
    """With these verdicts on the first comparisons of attack accuracy under the judge, and no others."""
    own = [verdict for verdict in results.verdicts if verdict.measure == "hit" and verdict.evaluator == "conv"]
    base = {"identical": False, "found": False, "seeds_needed": None, **further}
    changed = [
        {**comparison.model_dump(), "verdict": {**comparison.verdict.model_dump(), **base, "verdict": verdict}}
        for comparison, verdict in zip(own, verdicts)
    ]
    assert len(changed) == len(verdicts)
    return Findings.model_validate({**results.model_dump(by_alias=True), "verdicts": changed})


REAL = {"snntorch": "real", "norse": "real", "loihi": "loihi", "lava": "loihi"}


@pytest.fixture(scope="module")
def plain(make_audit: Make) -> Findings:
    """An audit with comparisons of three views."""
    rates = {"snntorch": 0.9, "norse": 0.8, "loihi": 0.5}
    return make_audit(lambda target, substrate, _: rates[substrate] if target == "trained" else 0.1, arithmetic={})


def test_all_equivalent_is_no(plain: Findings) -> None:
    answer = audit_answer(judged(plain, "equivalent", "equivalent"))
    equal = "Under the evaluator conv, leakage is equal within 10 points in each of 2 comparisons."
    assert answer.word == "No"
    assert answer.lead.startswith(f"{equal} The largest difference: to v")
    small = audit_answer(judged(plain, "equivalent", found=True)).lead
    assert small.startswith(
        "Under the evaluator conv, leakage is equal within 10 points in the one comparison that was made. There is a "
        "difference, but a smaller one than that. The largest difference: "
    )


def test_a_margin_is_stated_with_its_reason_under_every_evaluator(plain: Findings) -> None:
    margins = [
        EvaluatorMargin(
            evaluator=name, margin=margin, share=0.2, null=0.5, null_is="fonts", ceiling=1.0, reason=f"why {name}"
        )
        for name, margin in (("conv", 0.044), ("spiking", None))
    ]
    results = judged(plain, "equivalent", "equivalent").model_copy(update={"margins": margins})
    answer = audit_answer(results)
    assert "leakage is equal within 4.4 points in each of 2 comparisons (why conv)." in answer.lead
    stated = "conv: 4.4 points, why conv; spiking: no margin, why spiking"
    assert any(stated in text for text in limits(results))
    assert stated in one_page(results)


def test_without_a_range_equivalence_is_not_asked(plain: Findings) -> None:
    none = EvaluatorMargin(
        evaluator="conv", margin=None, share=0.2, null=1.0, null_is="means", ceiling=0.99, reason="no range"
    )
    results = judged(plain, "inconclusive", "inconclusive", margin=None).model_copy(update={"margins": [none]})
    answer = audit_answer(results)
    assert answer.word == "None shown"
    assert answer.lead.startswith(
        "Under the evaluator conv, no difference was shown in each of 2 comparisons, and equivalence is not asked "
        "(no range). The largest difference: "
    )
    assert "| none shown: equivalence is not asked |" in one_page(results)


def test_the_largest_difference_is_stated_under_every_evaluator(plain: Findings) -> None:
    compared = judged(plain, "differs").verdicts
    other = compared[0].model_copy(
        update={
            "evaluator": "spiking",
            "verdict": compared[0].verdict.model_copy(
                update={
                    "difference": compared[0].verdict.difference.model_copy(
                        update={"value": 0.123, "low": 0.1, "high": 0.2}
                    )
                }
            ),
        }
    )
    lead = audit_answer(plain.model_copy(update={"verdicts": [*compared, other]})).lead
    assert lead.endswith("; under spiking +12.3 points (+10.0\u00a0to\u00a0+20.0).")


def test_a_difference_is_yes_and_states_the_largest(plain: Findings) -> None:
    answer = audit_answer(judged(plain, "equivalent", "differs", "inconclusive"))
    assert answer.word == "Yes"
    assert answer.lead.startswith("Under the evaluator conv, a difference was ")
    assert (
        "found in 1 of 3 comparisons; 1 is equivalent within 10 points and 1 is open. The largest difference: "
        in answer.lead
    )
    comparison = next(
        comparison
        for comparison in judged(plain, "equivalent", "differs").verdicts
        if comparison.verdict.verdict == "differs"
    )
    points = f"{abs(100 * comparison.verdict.difference.value):.1f} points"
    assert f"{comparison.first[0]} gives away {points}" in answer.lead


def test_open_comparisons_are_not_yet_known_and_say_what_they_need(plain: Findings) -> None:
    answer = audit_answer(judged(plain, "inconclusive", seeds_needed=25))
    assert answer.word == "Not yet known"
    assert answer.lead.startswith(
        "Under the evaluator conv, no difference was shown, and none was ruled out: the one comparison is open; it "
        "needs about 25 target seeds."
    )
    answer = audit_answer(judged(plain, "equivalent", "inconclusive", "inconclusive"))
    assert answer.lead.startswith(
        "Under the evaluator conv, 1 of 3 comparisons is equivalent within 10 points and 2 are open; they need more "
        "than 10,000 target seeds. No difference was shown."
    )


def test_verdicts_under_another_evaluator_are_counted(plain: Findings) -> None:
    own = [comparison for comparison in plain.verdicts if comparison.measure == "hit"][:3]
    for verdicts, expected in (
        (
            ("equivalent", "equivalent", "equivalent"),
            "Under the evaluator spiking, all 3 comparisons are equivalent within 10 points.",
        ),
        (
            ("differs", "equivalent"),
            "Under the evaluator spiking, of 2 comparisons 1 differs and 1 is equivalent within 10 points.",
        ),
        (("inconclusive",), "Under the evaluator spiking, the one comparison is open."),
    ):
        changed = [
            comparison.model_copy(
                update={
                    "evaluator": "spiking",
                    "verdict": comparison.verdict.model_copy(update={"verdict": verdict, "identical": False}),
                }
            )
            for comparison, verdict in zip(own, verdicts)
        ]
        assert expected in audit_answer(plain.model_copy(update={"verdicts": changed})).more


def test_the_number_of_seeds_needed_is_the_verdicts_own(plain: Findings) -> None:
    difference = {**plain.verdicts[0].verdict.difference.model_dump(), "seeds": 3}
    answer = audit_answer(judged(plain, "inconclusive", seeds_needed=26, difference=difference))
    assert "the one comparison is open; it needs about 26 target seeds." in answer.lead


def test_agreement_of_all_inversions_is_a_fact_and_no_verdict(plain: Findings) -> None:
    difference = {"value": 0.0, "low": -0.78, "high": 0.78, "seeds": 2, "n": 20}
    results = judged(plain, "inconclusive", seeds_needed=29, difference=difference, identical=True)
    answer = audit_answer(results)
    (compared,) = main_comparisons(results, "conv")
    assert answer.word == "Not yet known"
    assert f"every inversion scores the same (n = 20) on {' and '.join(compared.first)}" in answer.lead
    assert answer.lead.endswith("2 target seeds do not show that others would agree.")
    page = one_page(results)
    assert "| open: every inversion scores the same (n = 20); about 29 seeds |" in page
    assert "−78.0 to +78.0" in page


def test_an_interval_of_few_seeds_stays_within_what_can_be(plain: Findings) -> None:
    wide = {**plain.verdicts[0].verdict.difference.model_dump(), "value": -0.6, "low": -4.3, "high": 3.1, "seeds": 2}
    assert "60.0 points less than" in audit_answer(judged(plain, "differs", difference=wide)).lead
    assert (
        "(95% interval of the difference −100.0\u00a0to\u00a0+100.0)"
        in audit_answer(judged(plain, "differs", difference=wide)).lead
    )


def test_substrates_that_are_all_alike_are_no(make_audit: Make) -> None:
    answer = audit_answer(make_audit(lambda target, *_: 0.8 if target == "trained" else 0.1))
    assert (answer.word, answer.lead) == (
        "No",
        "Under the evaluator conv, every inversion scores the same on snntorch, norse and loihi.",
    )


def test_one_substrate_is_not_compared(make_audit: Make) -> None:
    plain = make_audit()
    rows = [row.model_dump() for row in plain.rows if row.substrate == "loihi"]
    answer = audit_answer(make_audit(rows=rows, verdicts=[], alike=[]))
    assert answer.word == "Not compared"
    assert answer.lead == "This audit has one substrate, loihi: there is nothing to compare."
    given = audit_answer(make_audit(rows=rows, verdicts=[], alike=[], unit="restart"))
    assert given.lead.endswith("floating point and fixed point would be compared for this model.")


def only(results: Findings, *substrates: str) -> dict[str, Any]:
    """The rows of some substrates, and what was compared of these alone."""
    rows = [row.model_dump() for row in results.rows if row.substrate in substrates]
    compared = [
        verdict.model_dump() for verdict in results.verdicts if {*verdict.first, *verdict.second} <= set(substrates)
    ]
    alike = [group.model_dump() for group in results.alike if set(group.substrates) <= set(substrates)]
    return {"rows": rows, "verdicts": compared, "alike": alike}


def test_substrates_of_one_arithmetic_are_not_compared(make_audit: Make, plain: Findings) -> None:
    alike = [{"attack": "v2", "reveals": "label", "evaluator": "conv", "substrates": ["snntorch", "norse"]}]
    equal = make_audit(**{**only(make_audit(), "snntorch", "norse"), "alike": alike})
    answer = audit_answer(equal)
    assert (answer.word, answer.lead) == (
        "Not compared",
        "All substrates here, snntorch and norse, compute in floating point, so equal scores are expected by "
        "construction.",
    )
    apart = audit_answer(make_audit(**only(judged(plain, "equivalent"), "snntorch", "norse")))
    assert apart.word == "Not compared"
    assert "1 comparison did not come out identical under the evaluator conv (snntorch less norse)" in str(apart)


def test_an_arithmetic_of_another_package_is_named_as_its_backend_declares(plain: Findings) -> None:
    class Chip(ReferenceBackend):
        name = "chip"
        arithmetic = "xylo"
        arithmetic_title = "Xylo's integers"

    of_package = judged(plain, "differs").model_copy(
        update={"unit": "restart", "arithmetic": dict.fromkeys(REAL, "xylo")}
    )
    with registered(BACKENDS, Chip):
        assert "compute in Xylo’s integers" in audit_answer(of_package).lead
    assert "compute in xylo" in audit_answer(of_package).lead


def test_one_substrate_that_was_replayed_on_another_is_not_compared(make_audit: Make) -> None:
    alike = [{"attack": "v2", "reveals": "label", "evaluator": "conv", "substrates": ["loihi", "lava"]}]
    for arithmetic in (REAL, {}):
        changes = {**only(make_audit(), "loihi"), "alike": alike, "arithmetic": arithmetic}
        answer = audit_answer(make_audit(**changes))
        assert (answer.word, answer.lead) == (
            "Not compared",
            "This audit has one substrate, loihi: there is nothing to compare.",
        )


def test_comparisons_within_one_arithmetic_are_no_evidence(plain: Findings) -> None:
    counted = judged(plain, "equivalent", "equivalent", "equivalent")
    assert "each of 3 comparisons" in audit_answer(counted).lead
    within = {
        verdict.sentence for verdict in counted.verdicts if {*verdict.first, *verdict.second} == {"snntorch", "norse"}
    }
    assert len(within) == 1
    known = counted.model_copy(update={"arithmetic": REAL})
    answer = audit_answer(known)
    equal = "Under the evaluator conv, leakage is equal within 10 points in each of 2 comparisons."
    assert (answer.word, answer.lead.startswith(equal)) == ("No", True)
    assert "1 comparison did not come out identical under the evaluator conv (snntorch less norse)" in str(answer)


def test_a_difference_within_one_arithmetic_is_reported(plain: Findings) -> None:
    answer = audit_answer(judged(plain, "differs").model_copy(update={"arithmetic": REAL}))
    assert answer.word == "Yes"
    assert "a difference was found in 1 of 1 comparison" in answer.lead


def test_other_findings_have_one_sentence_each(audit: Findings) -> None:
    text = " ".join(audit_answer(audit).more)
    assert "Under the evaluator spiking, " in text
    assert "An attacker with the gradient of the network (v1, white box) gets pictures that the evaluator conv " in text
    assert "; the evaluator spiking recognises " in text
    assert "Spikes on loihi are not those on lava, which promises them." in text
    assert "On lava, 1 attack did the same as on loihi to the last bit." in text
    assert "2 cells of 100 are not done; they may change this." in text
    assert str(audit_answer(audit)).startswith(audit_answer(audit).leakage)


def test_what_leaks_comes_first_beside_controls_and_chance(audit: Findings) -> None:
    lead = audit_answer(audit).leakage
    assert lead.startswith(
        "An attacker who can only query the network and spends 74 queries per class gets pictures that the evaluator "
        "conv recognises as the intended class in "
    )
    assert "where it sees a score for each class and " in lead
    assert (
        "where it sees the winning class alone, on snntorch, norse and loihi; the evaluator spiking recognises " in lead
    )
    assert ". The same attack on untrained" in lead
    assert lead.endswith("; guessing, 10%.")


def test_one_view_is_a_single_figure(make_audit: Make) -> None:
    rows = [row.model_dump() for row in make_audit().rows if row.reveals == "scores" and row.substrate != "norse"]
    lead = audit_answer(make_audit(rows=rows)).leakage
    assert lead.startswith(
        "An attacker who can only query the network, sees a score for each class and spends 74 queries per class, gets"
    )
    white = [row.model_dump() for row in make_audit().rows if row.reveals == "gradient"]
    lead = audit_answer(make_audit(rows=white)).leakage
    assert lead.startswith("An attacker with the gradient of the network (v1, white box) gets pictures")
    assert lead.endswith("Guessing would reach 10%.")
    assert audit_answer(make_audit(rows=[])).leakage == "No attack has been judged yet."


def test_of_a_given_model_the_verdict_is_about_this_model(plain: Findings) -> None:
    known = judged(plain, "equivalent").model_copy(update={"unit": "restart", "arithmetic": REAL})
    answer = audit_answer(known)
    assert answer.title == "What does this model, audited on digits, give away?"
    assert answer.question == "Does the substrate change what this model gives away?"
    if known.is_evidence(known.verdicts[0]):
        assert answer.word == "No, for this model"
    differs = judged(plain, "differs").model_copy(update={"unit": "restart", "arithmetic": REAL})
    answer = audit_answer(differs)
    assert answer.word == "Yes, for this model"
    assert answer.lead.endswith(
        "The comparison is paired over 4 restarts and about this one model: another training of it may come out "
        "otherwise."
    )
    assert "snntorch and norse compute in floating point. The comparison" in answer.lead
    open_ = judged(plain, "inconclusive", seeds_needed=25).model_copy(update={"unit": "restart"})
    assert "it needs about 25 restarts" in audit_answer(open_).lead
    assert "target seed" not in str(audit_answer(open_))


def with_accuracy(results: Findings, value: float, samples: int | None) -> Findings:
    accuracy = {"value": value, "least": value, "most": value, "samples": samples}
    rows = [{**row.model_dump(), "target_accuracy": accuracy} for row in results.rows]
    return Findings.model_validate({**results.model_dump(by_alias=True), "rows": rows})


@pytest.mark.parametrize(
    ("value", "samples", "warns"),
    [(0.97, 300, False), (0.56, 300, False), (0.54, 300, True), (0.1, None, True), (1.0, 1, True), (1.0, 4, False)],
)
def test_a_network_that_does_not_classify_the_data_is_warned_of(
    make_audit: Make, value: float, samples: int | None, warns: bool
) -> None:
    """Below the middle between guessing (10%) and 100%, or not above guessing by a binomial test."""
    results = with_accuracy(make_audit(unit="restart"), value, samples)
    answer = audit_answer(results)
    assert answer.leakage.startswith("Warning: on snntorch this model is right in only ") == warns
    assert any(text.startswith("Warning: on loihi this model is right") for text in limits(results)) == warns


def test_substrates_that_were_not_run_are_named(make_audit: Make) -> None:
    answer = audit_answer(make_audit(not_run={"slayer": "lava-dl is not installed"}))
    assert "Not run here, since not installed: slayer." in answer.more


def test_a_differing_replay_is_reported(make_audit: Make) -> None:
    replay = {**make_audit().replays[0].model_dump(), "identical": False}
    text = " ".join(audit_answer(make_audit(replays=[replay], stands_for={})).more)
    assert "On lava, 1 of 1 attack did not do the same as on loihi." in text


def test_steps_and_mitigations_count_only_if_significant(make_audit: Make) -> None:
    plain = make_audit()
    ladder = plain.ladder[0].model_dump()
    none = [{**step, "change": {**step["change"], "found": False}} for step in ladder["steps"]]
    some = [none[0], {**none[1], "change": {**none[1]["change"], "found": True}}]
    text = " ".join(audit_answer(make_audit(ladder=[{**ladder, "steps": none}])).more)
    assert "Under the evaluator conv, no single step of deployment was shown to change what v2 gets." in text
    text = " ".join(audit_answer(make_audit(ladder=[{**ladder, "steps": some}])).more)
    assert "Under the evaluator conv, of the steps of deployment, “shows label” (" in text

    mitigation = plain.mitigations[0].model_dump(by_alias=True)
    removed = mitigation["leakage"]["removed"]
    sentences = {
        True: "Under the evaluator conv, of the mitigations, “shows label alone” removes most: 20.0 points from v2, ",
        False: "Under the evaluator conv, the one mitigation was not shown to remove leakage.",
    }
    for significant, words in sentences.items():
        changed = {**removed, "found": significant, "difference": {**removed["difference"], "value": 0.2}}
        tried = {**mitigation, "leakage": {**mitigation["leakage"], "removed": changed}}
        assert words in " ".join(audit_answer(make_audit(mitigations=[tried])).more)
