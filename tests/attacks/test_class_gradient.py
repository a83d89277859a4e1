"""What white-box attacks climb, and that running a batch in pieces changes nothing."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from bl_neuro import WhiteBox
from bl_neuro.attacks import class_gradient as module
from bl_neuro.attacks.class_gradient import class_gradient, class_log_score, class_score, samples_at_once
from bl_neuro.attacks.class_streams import ClassStreams
from bl_neuro.backends import Response
from bl_neuro.seeding import stream
from bl_neuro.testing.reference_target import ReferenceTarget, easy_network

MEMBRANE = torch.tensor([[[1.0, 2.0], [0.0, -1.0]], [[3.0, 0.0], [0.5, 0.5]]])
RESPONSE = Response(spikes=(MEMBRANE > 1).float(), membrane=MEMBRANE)
CLASSES = torch.tensor([0, 1])


@pytest.mark.parametrize("output", ["membrane", "spikes"])
def test_scores_are_means_over_time(output: str) -> None:
    values = getattr(RESPONSE, output)
    chances = torch.softmax(values, 2)[:, [0, 1], [0, 1]]
    torch.testing.assert_close(class_score(RESPONSE, CLASSES, output), chances.mean(0))
    torch.testing.assert_close(class_log_score(RESPONSE, CLASSES, output), chances.log().mean(0))


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    box = WhiteBox(ReferenceTarget(easy_network()))
    spikes = (torch.rand(5, 7, 12, generator=torch.Generator().manual_seed(0)) < 0.4).double()
    classes = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    score = partial(class_score, output="membrane")
    whole = class_gradient(box, spikes, classes, score)
    monkeypatch.setattr(module, "PIECE_VALUES", 5 * 12 * 3)
    assert samples_at_once(box, 5) == 3
    pieces = class_gradient(box, spikes, classes, score)
    for one, other in zip(whole, pieces):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert box.queries == 14
    monkeypatch.setattr(module, "PIECE_VALUES", 1)
    assert samples_at_once(box, 5) == 1


def test_each_class_has_chance_of_its_own() -> None:
    both = ClassStreams(3, "purpose", [4, 1, 4]).uniform(2, 5)
    assert both.shape == (3, 2, 5)
    assert both.dtype == torch.float32
    assert torch.equal(both[[0, 2]], ClassStreams(3, "purpose", [4, 4]).uniform(2, 5))
    assert torch.equal(both[1], ClassStreams(3, "purpose", [1]).uniform(2, 5)[0])
    assert not torch.equal(both[0], both[2])
    first = stream(3, "purpose", 4, 0).random((2, 5), dtype="float32")
    assert torch.equal(both[0], torch.from_numpy(first))
