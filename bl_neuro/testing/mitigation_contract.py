"""The contract suite of mitigations: what every mitigation must do.

In your test module:

    class TestMyMitigation(MitigationContract):
        mitigation = MyMitigation(strength=2)

Needs pytest. The mitigation runs on a small target without a framework.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from bl_neuro.access import REVEALS, BlackBox, Reveals, predicted_classes
from bl_neuro.errors import InputError
from bl_neuro.mitigations.base import Mitigation
from bl_neuro.mitigations.registry import MITIGATIONS, make_mitigation, mitigation_of
from bl_neuro.network import Network
from bl_neuro.seeding import stream
from bl_neuro.testing.reference_target import ReferenceTarget, easy_network

STEPS, SAMPLES = 8, 12


class MitigationContract:
    """What mitigations of all kinds must do. Set `mitigation`, with any settings."""

    mitigation: ClassVar[Mitigation]

    def network(self) -> Network:
        """The network without the mitigation."""
        return easy_network()

    def box(self, reveals: Reveals, seed: int = 0) -> BlackBox:
        """A black box of the network with the mitigation."""
        target = ReferenceTarget(self.mitigation.network(self.network()))
        return BlackBox(target, reveals, None, self.mitigation, seed)

    def asked(self, reveals: Reveals, seed: int = 0, times: int = 1) -> Tensor:
        """The last of `times` answers to the same spikes."""
        box = self.box(reveals, seed)
        return [box.query(example_spikes(self.network())) for _ in range(times)][-1]

    def views(self) -> list[Reveals]:
        """The outputs that the mitigation acts on."""
        return [view for view in REVEALS if view in self.mitigation.acts_on]

    def test_its_name_finds_it(self) -> None:
        """The registry contains it under its name."""
        assert MITIGATIONS.find(self.mitigation.name) is type(self.mitigation)

    def test_it_has_a_title_and_a_phrase(self) -> None:
        """The mitigation has a title and a description of its settings, on one line each."""
        for text in (self.mitigation.title, self.mitigation.setting, self.mitigation.label):
            assert text
            assert text == " ".join(text.split())
        assert self.mitigation.setting in self.mitigation.phrase.format(setting=self.mitigation.setting)
        assert self.views()

    def test_it_cannot_be_changed(self) -> None:
        """It is a frozen dataclass, so that several boxes can share it."""
        assert dataclasses.is_dataclass(self.mitigation)
        for field in dataclasses.fields(self.mitigation):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(self.mitigation, field.name, getattr(self.mitigation, field.name))

    def test_its_definition_recreates_it(self) -> None:
        """The definition is JSON-ready and recreates the mitigation."""
        definition = json.loads(json.dumps(self.mitigation.definition, allow_nan=False))
        assert definition["kind"] == self.mitigation.name
        assert mitigation_of(definition) == self.mitigation
        assert mitigation_of(definition).definition == self.mitigation.definition  # type: ignore[union-attr]

    def test_wrong_settings_are_refused_by_name(self) -> None:
        """Unknown settings, and settings of a wrong type, raise an error that names them."""
        settings = self.mitigation.settings()
        with pytest.raises(InputError, match="no_such_setting"):
            make_mitigation(self.mitigation.name, {**settings, "no_such_setting": 1})
        for name in settings:
            with pytest.raises(InputError, match=name):
                make_mitigation(self.mitigation.name, {**settings, name: {"no": "such value"}})

    def test_it_repeats_with_its_seed(self) -> None:
        """Answers depend only on the seed; with randomness, other seeds give other answers."""
        for view in self.views():
            first = self.asked(view)
            torch.rand(3), np.random.default_rng().random(3)
            assert torch.equal(first, self.asked(view))
        if self.mitigation.averages_out:
            assert any(not torch.equal(self.asked(view), self.asked(view, seed=1)) for view in self.views())
        else:
            assert all(torch.equal(self.asked(view), self.asked(view, times=2)) for view in self.views())

    def test_it_acts_only_on_declared_outputs(self) -> None:
        """A box with another output rejects it, and hooks do not change their arguments in place."""
        for view in REVEALS:
            if view not in {*self.mitigation.acts_on, *map(self.mitigation.reveals, self.mitigation.acts_on)}:
                with pytest.raises(InputError, match=type(self.mitigation).__name__):
                    self.box(view)
        network, spikes = self.network(), example_spikes(self.network())
        fingerprint, before = network.fingerprint, spikes.clone()
        self.mitigation.network(network)
        self.mitigation.inputs(spikes, stream(0, "contract"))
        assert network.fingerprint == fingerprint
        assert torch.equal(spikes, before)

    def test_its_inputs_are_spikes(self) -> None:
        """Inputs keep their shape and type and are 0 or 1."""
        spikes = example_spikes(self.network())
        changed = self.mitigation.inputs(spikes, stream(0, "contract"))
        assert (changed.shape, changed.dtype) == (spikes.shape, spikes.dtype)
        assert bool(((changed == 0) | (changed == 1)).all())

    def test_its_network_takes_and_answers_the_same(self) -> None:
        """The changed network has the same inputs, classes and readout."""
        network = self.network()
        changed = self.mitigation.network(network)
        assert (changed.input_shape, changed.classes) == (network.input_shape, network.classes)
        assert (changed.readout, changed.arithmetic) == (network.readout, network.arithmetic)
        json.dumps(self.mitigation.network_definition(), allow_nan=False)

    def test_it_never_reveals_more(self) -> None:
        """The revealed output is at most as informative, also for less informative outputs."""
        for view in REVEALS:
            shown = self.mitigation.reveals(view)
            assert REVEALS.index(shown) >= REVEALS.index(view)
            assert self.mitigation.reveals(shown) == shown

    def test_its_budget_is_a_number_of_queries(self) -> None:
        """The budget is at least one query, or None."""
        for planned in (None, 1, 10_000):
            budget = self.mitigation.budget(planned)
            assert budget is None or (isinstance(budget, int) and budget >= 1)

    def test_it_never_raises_the_budget(self) -> None:
        """A planned budget stays the same or becomes smaller."""
        for planned in (1, 10_000):
            budget = self.mitigation.budget(planned)
            assert budget is not None
            assert budget <= planned

    def test_an_honest_user_reads_a_class(self) -> None:
        """Answers keep their shape and predict a class or none, so that accuracy can be measured."""
        network = self.network()
        for view in self.views():
            box = self.box(view)
            shown: Any = box.reveals
            plain = BlackBox(ReferenceTarget(network), shown).query(example_spikes(network))
            answer = box.query(example_spikes(network))
            assert answer.shape == plain.shape
            assert bool(torch.isfinite(answer.double()).all())
            classes = predicted_classes(answer, shown)
            assert classes.shape == (SAMPLES,)
            assert set(classes.tolist()) <= set(range(-1, network.classes))


def example_spikes(network: Network) -> Tensor:
    """Input spikes (STEPS, SAMPLES, *input_shape) for which the network predicts different classes."""
    rng = stream(0, "mitigation contract")
    rates = rng.random((SAMPLES, *network.input_shape))
    return torch.from_numpy((rng.random((STEPS, *rates.shape)) < rates).astype(np.uint8))
