"""The declared families: what is tested together, with what is identical by construction counted once."""

from __future__ import annotations

from typing import Any

from bl_neuro.attacks import BrainLeaksV2
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.experiment_file import experiment_from
from bl_neuro.experiment.findings.families import declared_families, families_digest
from bl_neuro.experiment.findings.measure_power import assumptions, membership_power, secrets_power
from bl_neuro.experiment.findings.plan_models import ComparisonFamily, MeasurePower
from bl_neuro.experiment.store import Store
from bl_neuro.leakage import PowerPlan

KINDS = {"snntorch": "real", "norse": "real", "loihi": "loihi", "slayer": "loihi"}
EXPERIMENT = experiment_from(
    {
        "name": "made-up",
        "seeds": 4,
        "substrates": list(KINDS),
        "dataset": {"name": "digits"},
        "evaluators": [{"kind": "conv"}, {"kind": "spiking"}],
        "attacks": [{"attack": "v2", "reveals": ["label"]}],
        "membership": {"networks": 16},
        "secrets": {"kind": "rotation", "attacks": [{"attack": "v2", "reveals": ["label"]}]},
    }
)


def cell(kind: str, **facts: Any) -> Cell:
    return Cell(kind, {"kind": kind, **facts}, facts=facts)


def reading(substrate: str, queries: int) -> Cell:
    """What is read of the secrets from the inversions of v2, which needs the attack."""
    attack = Cell("secret_attack", {"kind": "secret_attack", "substrate": substrate}, what=BrainLeaksV2())
    facts = {"substrate": substrate, "attack": "v2", "reveals": "label", "queries": queries, "seed": 0}
    return Cell("secret_reading", {"kind": "secret_reading", **facts}, (attack,), facts)


def planned() -> list[Cell]:
    """One inversion, secret and membership attack on every substrate, and 4-bit weights on one."""
    cells = []
    for name in KINDS:
        cells += [
            cell("attack", target="trained", substrate=name, attack="v2", reveals="label", seed=0, restart=0),
            reading(name, 8),
            reading(name, 32),
            cell("membership", substrate=name, reveals="scores", ask="plain"),
            cell("membership", substrate=name, reveals="scores", ask="noise"),
        ]
    return [*cells, cell("membership", substrate="loihi", reveals="scores", ask="plain", mitigation="weight_bits 4")]


def families() -> list[ComparisonFamily]:
    return declared_families(EXPERIMENT, planned(), KINDS)


def test_substrates_of_one_arithmetic_count_once_in_every_family() -> None:
    inversion, secrets, membership = families()
    assert inversion.comparisons == ["v2, label: snntorch/norse less loihi/slayer"]
    assert inversion.collapsed == 5
    assert inversion.judged_by == [
        f"{measure} under {evaluator}"
        for evaluator in ("conv", "spiking")
        for measure in ("attack accuracy", "confidence")
    ]
    assert secrets.comparisons == ["v2, label, all budgets: snntorch/norse less loihi/slayer"]
    assert membership.comparisons == [
        "lira, scores: loihi/slayer less snntorch/norse",
        "lira, scores: loihi, weight_bits 4 less snntorch/norse",
    ]
    assert membership.collapsed == 2
    assert len(membership.judged_by) == 2


def test_ann_twins_of_planted_secrets_are_a_family_of_their_own() -> None:
    _, secrets, twins, _ = declared_families(EXPERIMENT, [*planned(), reading("ann", 8), reading("ann", 32)], KINDS)
    assert secrets == families()[1]
    assert twins.comparisons == ["v2, label, all budgets: snntorch less ANN twins"]


def test_the_digest_is_that_of_the_list() -> None:
    first = families()
    assert families_digest(first) == families_digest(families())
    assert families_digest(first[1:]) != families_digest(first)


def power(*of: str) -> list[MeasurePower]:
    """The power before any cell is done. The store is asked for nothing."""
    store: Any = Store
    return [
        *membership_power(EXPERIMENT, 1200, planned(), {}, store, KINDS, families()),
        *secrets_power(EXPERIMENT, 10, planned(), {}, KINDS, families()),
    ]


def test_before_the_run_membership_and_secrets_have_power_from_stated_assumptions() -> None:
    auc, rate, secrets = power()
    assert [(one.question, one.view, one.units, one.comparisons) for one in (auc, rate, secrets)] == [
        ("membership", "scores", 16, 2),
        ("membership", "scores", 16, 2),
        ("secrets", "v2, label", 4, 1),
    ]
    assert all(one.assumed for one in (auc, rate, secrets))
    assert auc.error == (0.6 / (3 * 1200) / 16) ** 0.5  # 2 (1 - .7) / (3 n), over 16 targets
    plan = PowerPlan(16, 1, auc.error * 4, 0.0, 2)
    assert abs(plan.power(auc.smallest_difference) - 0.8) < 1e-6
    assert abs(plan.equivalence_power(auc.smallest_margin) - 0.8) < 1e-6
    assert abs(auc.margin - 0.2 * 0.15) < 1e-12
    assert abs(secrets.margin - 0.1 * 0.75) < 1e-12
    assert secrets.smallest_bits is not None
    assert 0 < secrets.smallest_bits <= 2
    assert len(assumptions([auc, rate, secrets])) == 2
    assert assumptions([auc.model_copy(update={"assumed": False})]) == []
