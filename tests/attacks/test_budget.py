"""Attacks are adapted to a total number of queries, except for the settings that the user gave."""

from __future__ import annotations

import pytest

from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2, TransferAttack
from bl_neuro.attacks.budget import fit_to_budget
from bl_neuro.errors import InputError


def test_all_settings_are_adapted_unless_they_are_kept() -> None:
    attack = BrainLeaksV2(queries=10, warm_start=20, window=3.0)
    fitted = fit_to_budget(attack, 700, 10)
    assert fitted == attack.within(700, 10)
    assert fitted.planned_queries(10) == 700
    assert fit_to_budget(attack, 700, 10, ["warm_start"]).settings()["warm_start"] == 20
    assert fit_to_budget(attack, 700, 10, ["queries", "warm_start"]) == attack


def test_settings_of_a_nested_attack_are_kept() -> None:
    attack = TransferAttack(attack=BrainLeaksV1(iterations=3))
    fitted = fit_to_budget(attack, 20, 10, ["attack.iterations"])
    assert fitted == TransferAttack(attack=BrainLeaksV1(iterations=3), candidates=2)


def test_an_attack_without_a_limit_stays_the_same() -> None:
    attack = BrainLeaksV1()
    assert fit_to_budget(attack, 1, 10) is attack


def test_a_budget_that_is_too_small_is_refused_with_one_that_is_enough() -> None:
    for attack, kept, least in ((BrainLeaksV2(), (), 39), (BrainLeaksV2(queries=100), ("queries",), 1640)):
        message = f"budget: 5 queries are too few for attack v2 on 10 classes; it needs at least {least}"
        with pytest.raises(InputError, match=message):
            fit_to_budget(attack, 5, 10, kept)
        planned = fit_to_budget(attack, least, 10, kept).planned_queries(10)
        assert planned is not None
        assert planned <= least
