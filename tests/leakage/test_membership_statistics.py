"""Statistics of answers, computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit, softmax

from bl_neuro import InputError
from bl_neuro.leakage.membership_statistics import LEAST_PROBABILITY, STATISTICS, statistics
from bl_neuro.reveals import REVEALS

RNG = np.random.default_rng(0)
LABELS = np.array([0, 2, 1, 1])
MEMBRANE = RNG.normal(0, 2, (5, 4, 3))
SPIKES = (RNG.random((5, 4, 3)) < 0.5).astype(np.uint8)
ANSWERS: dict[str, Any] = {
    "membrane": MEMBRANE,
    "scores": softmax(MEMBRANE, axis=2).mean(axis=0),
    "spikes": SPIKES,
    "counts": SPIKES.sum(axis=0),
    "label": np.array([0, 1, 1, 2]),
}


def test_every_output_has_its_statistics() -> None:
    assert set(STATISTICS) == set(REVEALS) == set(ANSWERS)
    for reveals, answers in ANSWERS.items():
        values, probabilities = statistics(answers, reveals, LABELS)
        assert values.shape == (4, STATISTICS[reveals])
        assert probabilities.shape == (4,)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_scores_give_the_logit_of_the_label() -> None:
    values, probabilities = statistics(ANSWERS["scores"], "scores", LABELS)
    own = ANSWERS["scores"][np.arange(4), LABELS]
    assert probabilities == pytest.approx(own)
    assert values[:, 0] == pytest.approx(logit(own))


def test_scores_of_0_and_1_are_finite() -> None:
    values, probabilities = statistics(np.array([[1.0, 0.0], [1.0, 0.0]]), "scores", np.array([0, 1]))
    most = np.log((1 - LEAST_PROBABILITY) / LEAST_PROBABILITY)
    assert values[:, 0] == pytest.approx([most, -most])
    assert probabilities.tolist() == [1.0, 0.0]


@settings(max_examples=20)
@given(st.floats(-500, 500))
def test_membranes_give_the_same_as_scores_and_the_lead_of_the_label(shift: float) -> None:
    values, probabilities = statistics(MEMBRANE + shift, "membrane", LABELS)
    scores, theirs = statistics(ANSWERS["scores"], "scores", LABELS)
    assert values[:, 0] == pytest.approx(scores[:, 0])
    assert probabilities == pytest.approx(theirs)
    mean = MEMBRANE.mean(axis=0)
    leads = [mean[i, label] - np.delete(mean[i], label).max() for i, label in enumerate(LABELS)]
    assert values[:, 1] == pytest.approx(leads)


def test_counts_by_hand() -> None:
    values, probabilities = statistics(np.array([[3, 1, 0], [2, 5, 4], [0, 0, 0]]), "counts", np.array([0, 2, 1]))
    assert values.tolist() == [[2.0], [-1.0], [0.0]]
    assert probabilities == pytest.approx([3.5 / 5.5, 4.5 / 12.5, 1 / 3])


def test_spikes_give_the_same_as_counts_and_how_early_the_label_spiked() -> None:
    values, probabilities = statistics(SPIKES, "spikes", LABELS)
    counted, theirs = statistics(ANSWERS["counts"], "counts", LABELS)
    assert values[:, 0].tolist() == counted[:, 0].tolist()
    assert probabilities == pytest.approx(theirs)


def test_how_early_the_label_spiked_by_hand() -> None:
    spikes = np.zeros((6, 4, 3))
    spikes[1, 0, 0] = spikes[4, 0, 1] = spikes[5, 0, 0] = 1  # label 0 at step 1, another class at 4
    spikes[2, 1, 0] = spikes[5, 1, 2] = 1  # label 2 at step 5, another class at 2
    spikes[3, 2, 1] = 1  # only the label, label 1 at step 3: the others count as step 6
    values, _ = statistics(spikes, "spikes", np.array([0, 2, 1, 0]))
    assert values[:, 1].tolist() == [3.0, -3.0, 3.0, 0.0]


def test_labels_are_right_or_wrong() -> None:
    values, probabilities = statistics(ANSWERS["label"], "label", LABELS)
    assert values[:, 0].tolist() == probabilities.tolist() == [1.0, 0.0, 1.0, 0.0]


def test_classes_other_than_the_label_may_be_renamed() -> None:
    labels = np.zeros(4, dtype=np.int64)
    for reveals in ("membrane", "scores", "spikes", "counts"):
        values, probabilities = statistics(ANSWERS[reveals], reveals, labels)
        renamed, theirs = statistics(ANSWERS[reveals][..., [0, 2, 1]], reveals, labels)
        assert renamed == pytest.approx(values)
        assert theirs == pytest.approx(probabilities)


@pytest.mark.parametrize(
    ("answers", "reveals", "message"),
    [
        (
            ANSWERS["scores"],
            "logits",
            "reveals: expected one of membrane, scores, spikes, counts, label, found 'logits'",
        ),
        (ANSWERS["scores"], "membrane", "found \\(4, 3\\) for membrane"),
        (ANSWERS["membrane"], "scores", "answers: expected those about 4 samples, found \\(5, 4, 3\\) for scores"),
        (ANSWERS["counts"][:3], "counts", "about 4 samples, found \\(3, 3\\)"),
        (ANSWERS["spikes"][:, :3], "spikes", "about 4 samples"),
        (ANSWERS["label"][:3], "label", "about 4 samples"),
    ],
)
def test_answers_that_do_not_fit_are_refused(answers: Any, reveals: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        statistics(answers, reveals, LABELS)
