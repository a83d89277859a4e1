"""Black-box access to a network that does not spike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bl_neuro import BudgetExceeded, InputError
from bl_neuro.attacks import BrainLeaksV2
from bl_neuro.attacks.ann_black_box import AnnBlackBox
from bl_neuro.testing.reference_target import EasyAnn

SPIKES = (np.random.default_rng(0).random((5, 4, *EasyAnn().input_shape)) < 0.4).astype(np.uint8)


def test_answers_the_mean_image_of_the_spikes() -> None:
    ann = EasyAnn()
    logits = ann(torch.from_numpy(SPIKES).float().mean(0)).detach()
    scores = AnnBlackBox(ann).query(SPIKES)
    assert torch.allclose(scores, torch.softmax(logits.double(), dim=1))
    assert torch.equal(AnnBlackBox(ann, "label").query(SPIKES), logits.argmax(1))


def test_counts_queries_and_keeps_to_the_budget() -> None:
    box = AnnBlackBox(EasyAnn(), "label", budget=6)
    box.query(SPIKES)
    assert (box.spent, box.remaining) == (4, 2)
    with pytest.raises(BudgetExceeded):
        box.query(SPIKES)
    assert box.spent == 4


def test_attacks_on_spiking_targets_run_on_it() -> None:
    plan = BrainLeaksV2(queries=64, warm_start=32, blur=0.0)
    ann = EasyAnn()
    inversions = plan(AnnBlackBox(ann), classes=[0, 1, 2], steps=5)
    assert ann(inversions.images).argmax(1).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("spikes", "message"),
    [(SPIKES[0], "expected shape"), (SPIKES[:, :0], "expected shape"), (SPIKES * 0.5, "expected values 0 and 1")],
)
def test_refuses_other_inputs(spikes: Any, message: str) -> None:
    box = AnnBlackBox(EasyAnn())
    with pytest.raises(InputError, match=message):
        box.query(spikes)
    assert box.spent == 0


def test_has_no_spikes_to_reveal() -> None:
    with pytest.raises(InputError, match="expected one of scores, label of a network without spikes, found 'counts'"):
        AnnBlackBox(EasyAnn(), "counts")
