"""Every attack on every substrate: it runs where its access is allowed and otherwise explains the refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro import BlackBox, InputError, NotDifferentiable, WhiteBox
from bl_neuro.attacks import (
    AnnBox,
    Attack,
    AuxiliaryBox,
    BrainLeaksV1,
    BrainLeaksV2,
    BrainLeaksV2Gradient,
    Brep,
    BrepPrior,
    CmaEs,
    Gamin,
    GenerativePrior,
    GradientInversion,
    Inversions,
    OnePlusOneEs,
    RandomSearch,
    Status,
    TransferAttack,
    TransferBox,
    load_inversions,
)
from bl_neuro.attacks.inversions import joined
from bl_neuro.backends import Target
from bl_neuro.testing.attack_assertions import assert_same, assert_well_formed
from bl_neuro.testing.reference_target import EasyAnn, ReferenceTarget, easy_images

try:
    import cmaes
except ImportError:
    cmaes = None

NETWORK = easy_images()
CLASSES, STEPS = (2, 0), 6
IMAGES = np.random.default_rng(0).random((8, 1, 3, 4))
CMA = ("cma_es", "generative_prior")
"""Attacks that need the package cmaes."""
SUBSTRATES = [
    pytest.param(name, marks=getattr(pytest.mark, name) if name != "loihi" else ())
    for name in ("snntorch", "norse", "slayer", "loihi", "lava")
]
ATTACKS: dict[str, tuple[Attack[Any], str]] = {
    "v1": (BrainLeaksV1(iterations=3), "white"),
    "v1 for events": (BrainLeaksV1.for_events(iterations=3, objective="spikes"), "white"),
    "v2_gradient": (BrainLeaksV2Gradient(iterations=3, samples=2), "white"),
    "v2": (BrainLeaksV2(queries=12, warm_start=16, population=4), "black"),
    "v2 on what moves": (BrainLeaksV2.for_nmnist(queries=12, warm_start=16, population=4), "black"),
    "v2 in time": (BrainLeaksV2.for_events(queries=12, warm_start=16, population=4), "black"),
    "cma_es": (CmaEs(queries=12, warm_start=16, population=4), "black"),
    "one_plus_one": (OnePlusOneEs(queries=6, warm_start=16), "black"),
    "random": (RandomSearch(queries=12, warm_start=16), "black"),
    "gamin": (Gamin(queries=6, batch=4, updates=2), "black"),
    "brep": (Brep(queries=8, warm_start=8, points=3), "black"),
    "brep_prior": (BrepPrior(queries=8, warm_start=8, points=3, hidden=8, training_steps=3), "auxiliary"),
    "generative_prior": (
        GenerativePrior(queries=6, warm_start=8, population=4, hidden=8, training_steps=3),
        "auxiliary",
    ),
    "transfer": (TransferAttack(attack=BrainLeaksV1(iterations=2), candidates=2), "transfer"),
    "ann": (GradientInversion(iterations=5), "ann"),
}


@pytest.fixture(scope="module")
def targets() -> Iterator[Callable[[str], Target]]:
    """Targets that stay open for all attacks: Lava takes seconds to start."""
    with ExitStack() as stack:
        opened: dict[str, Target] = {}

        def target(substrate: str) -> Target:
            if substrate not in opened:
                opened[substrate] = stack.enter_context(bl.open_target(NETWORK, substrate))
            return opened[substrate]

        yield target


def boxed(target: Target, access: str) -> Any:
    """The box that an attack takes, of a target on a substrate."""
    if access == "white":
        return WhiteBox(target)
    if access == "ann":
        return AnnBox(target)
    if access == "transfer":
        return TransferBox(WhiteBox(ReferenceTarget(NETWORK)), BlackBox(target, "counts"))
    if access == "auxiliary":
        return AuxiliaryBox(BlackBox(target, "counts"), IMAGES)
    return BlackBox(target, "counts")


def run(name: str, target: Target) -> Inversions:
    attack, access = ATTACKS[name]
    return attack(boxed(target, access), classes=CLASSES, steps=STEPS, seed=4)


@pytest.mark.slow
@pytest.mark.parametrize("substrate", SUBSTRATES)
@pytest.mark.parametrize("name", ATTACKS)
def test_runs_on_supported_targets_and_explains_refusals(
    name: str, substrate: str, needs: Callable[[str], None], targets: Callable[[str], Target]
) -> None:
    needs(substrate)
    if name in CMA and cmaes is None:
        pytest.skip("cmaes is not installed")
    target, (attack, access) = targets(substrate), ATTACKS[name]
    if access == "ann":
        with pytest.raises(InputError, match=r"expected a torch module .* for a spiking target use a Wh"):
            run(name, target)
    elif access == "white" and substrate == "lava":
        with pytest.raises(NotDifferentiable, match=r"a differentiable target .* found lava; query it"):
            run(name, target)
    else:
        inversions = run(name, target)
        assert_well_formed(inversions, NETWORK)
        assert inversions.status is Status.COMPLETED
        assert inversions.attack == attack.name
        assert_same(inversions, run(name, target))


@pytest.mark.lava
@pytest.mark.parametrize(
    "name", [name for name, (_, access) in ATTACKS.items() if access in ("black", "transfer", "auxiliary")]
)
def test_the_emulator_and_lava_give_the_same_inversions(
    name: str, needs: Callable[[str], None], targets: Callable[[str], Target]
) -> None:
    needs("lava")
    if name in CMA and cmaes is None:
        pytest.skip("cmaes is not installed")
    assert_same(run(name, targets("lava")), run(name, targets("loihi")))


BOXES: dict[str, Callable[[], Any]] = {
    "white": lambda: WhiteBox(ReferenceTarget(NETWORK)),
    "black": lambda: BlackBox(ReferenceTarget(NETWORK)),
    "transfer": lambda: boxed(ReferenceTarget(NETWORK), "transfer"),
    "auxiliary": lambda: boxed(ReferenceTarget(NETWORK), "auxiliary"),
    "ann": lambda: AnnBox(EasyAnn()),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_inversions_survive_a_round_trip_through_a_file(name: str, tmp_path: Path) -> None:
    if name in CMA and cmaes is None:
        pytest.skip("cmaes is not installed")
    attack, access = ATTACKS[name]
    inversions = attack(BOXES[access](), classes=CLASSES, steps=STEPS, seed=4)
    for original in (inversions, joined([inversions, inversions])):
        original.save(tmp_path / "inversions.safetensors")
        assert_same(load_inversions(tmp_path / "inversions.safetensors"), original)


@pytest.mark.parametrize("other", BOXES)
@pytest.mark.parametrize("name", ATTACKS)
def test_refuses_a_box_of_another_type(name: str, other: str) -> None:
    attack, access = ATTACKS[name]
    box = BOXES[other]()
    if other == access and not (name in CMA and cmaes is None):
        assert_well_formed(attack(box, classes=CLASSES, steps=STEPS), box)
    elif other != access:
        message = f"{attack.name}: expected a box of type {attack.box_type().__name__}, found {type(box).__name__}"
        with pytest.raises(InputError, match=message):
            attack(box, classes=CLASSES, steps=STEPS)


def test_the_table_has_every_attack() -> None:
    public = {value for name in bl.attacks.__all__ if isinstance(value := getattr(bl.attacks, name), type)}
    kinds = {kind for kind in public if issubclass(kind, Attack) and kind is not Attack}
    assert {type(attack) for attack, _ in ATTACKS.values()} == kinds
