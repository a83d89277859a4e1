"""Problems of `[membership]` are reported with their place."""

from __future__ import annotations

from typing import Any

import pytest

from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.experiment_file import experiment_from

GOOD: dict[str, Any] = {"name": "m", "substrates": ["loihi"], "dataset": {"name": "digits"}, "membership": {}}
ATTACK = {"attack": "v1"}


def test_membership_needs_no_seeds_attacks_or_evaluators() -> None:
    experiment = experiment_from(GOOD)
    assert experiment.membership is not None
    assert experiment.membership.networks == 32
    assert experiment.target_seeds == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"networks": 9}, "membership.networks: expected a whole number of at least 10, found 9"),
        ({"substrates": ["norse"]}, "membership.substrates.0: expected one of the experiment's substrates"),
        ({"asks": [{"kind": "plain", "size": 0.5}]}, "membership.asks.0.size: plain asks have no size"),
        ({"asks": [{}, {"count": 8}]}, "membership.asks.1: plain occurs twice; give one of them a label"),
        ({"asks": [{"substrates": ["lava"]}]}, "membership.asks.0.substrates.0: expected one of loihi"),
        ({"asks": [{"kind": "loud"}]}, "membership.asks.0.kind"),
        ({"attacks": ["lora"]}, "membership.attacks.0"),
        ({"mitigations": [{"kind": "query_cap", "queries": 5}]}, "query_cap limits queries; state fewer asks"),
        ({"mitigations": [{"kind": "weight_bits", "bits": 4, "restarts": 2}]}, "belongs to attacks by inversion"),
        ({"mitigations": [{"kind": "weight_bits", "bits": 4, "substrate": "slayer"}]}, "expected one of loihi"),
        ({"mitigations": [{"kind": "weight_bits", "bits": 4}] * 2}, "membership.mitigations.1: occurs twice"),
        ({"shadows": {"hiden": [3]}}, "membership.shadows.hiden"),
        ({"shadows": {}}, "membership.shadows: expected training settings that differ"),
        ({"wrong_shadows": 9}, "membership.wrong_shadows: needs `shadows`"),
        ({"replays": [{"substrate": "norse"}]}, "norse and loihi do not promise identical spikes"),
        ({"replays": [{"of": "slayer"}]}, "membership.replays.0.of: expected one of the experiment's substrates"),
        ({"replays": [{"networks": 33}]}, "replays.0.networks: expected numbers of the networks, 0 to 31, found 32"),
        ({"replays": [{"networks": [32]}]}, "replays.0.networks: expected numbers of the networks, 0 to 31, found 32"),
        ({"replays": [{}], "pool": 30}, "replays.0.samples: expected at most the 30 samples of the pool, found 40"),
        ({"replays": [{"reveals": ["scores"]}]}, "replays.0.reveals.0: expected one of spikes, counts, label, found"),
        ({"replays": [{}], "reveals": ["scores"]}, "replays.0: lava reveals none of scores"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_reported_with_its_place(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        experiment_from({**GOOD, "membership": table})
    assert message in str(caught.value)


def test_noise_needs_pixels() -> None:
    document = {**GOOD, "dataset": {"name": "nmnist"}, "membership": {"asks": [{"kind": "noise"}]}}
    with pytest.raises(ExperimentError, match="noise changes pixels, but events have none; use 'dropout'"):
        experiment_from(document)


def test_a_given_model_has_no_membership_part() -> None:
    document = {**GOOD, "steps": 4, "model": {"file": "a.net"}}
    with pytest.raises(ExperimentError, match=r"attack your model with bl\.attack_membership"):
        experiment_from(document)


def test_an_experiment_measures_something() -> None:
    with pytest.raises(ExperimentError, match=r"expected \[\[attacks\]\].*or \[secrets\], or \[membership\]"):
        experiment_from({key: value for key, value in GOOD.items() if key != "membership"})
    with pytest.raises(ExperimentError, match=r"expected \[\[evaluators\]\], which judge what attacks reconstruct"):
        experiment_from({**GOOD, "seeds": 1, "attacks": [ATTACK]})
