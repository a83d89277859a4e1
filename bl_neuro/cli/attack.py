"""`bl-neuro attack`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.access import response_classes
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import Attack, Inversions
from bl_neuro.attacks.base import checked_classes
from bl_neuro.backends import Target, open_target
from bl_neuro.cli.attack_folder import need_free, save_attack
from bl_neuro.cli.interrupt import ends_on_interrupt
from bl_neuro.cli.model import ModelRequest
from bl_neuro.cli.output import print_json, print_table, progress_bars, say
from bl_neuro.cli.silent_outputs import need_spoken
from bl_neuro.cli.strategy import StrategyRequest
from bl_neuro.errors import InputError, NotRevealed
from bl_neuro.rounding import fixed
from bl_neuro.training import Evaluator, load_evaluator


@dataclass(frozen=True)
class AttackRequest:
    """What was asked for on the command line."""

    model: ModelRequest
    backend: str
    strategy: StrategyRequest
    classes: str | None
    steps: int
    evaluator: Path | None
    out: Path | None
    seed: int
    force: bool
    """Whether another attack in `out` is replaced."""


def attack(request: AttackRequest, as_json: bool) -> None:
    """Runs one attack on one network and says what came of it."""
    network = request.model.open()
    classes = classes_named(request.classes, network.classes)
    strategy = request.strategy.strategy(network, len(classes))
    need_spoken(network, request.strategy.facts()["reveals"])
    evaluator = None if request.evaluator is None else load_evaluator(request.evaluator)
    shape = picture_shape(request.strategy.sides(), network.input_shape, evaluator)
    need_same_classes(evaluator, network.classes)
    if request.out is not None:
        need_free(request.out, request.force)
    with progress_bars() as stages, ExitStack() as targets:
        target = targets.enter_context(open_target(network, request.backend))
        box = request.strategy.box(target, targets)
        assumed = [*strategy.assumptions(box), *request.strategy.other_size(network)]
        progress = stages.stage(f"{strategy.name} on {request.backend}")
        if strategy.access != "white_box":
            progress = targets.enter_context(ends_on_interrupt(progress))
        inversions = strategy(box, classes=classes, steps=request.steps, seed=request.seed, progress=progress)
        facts = {
            **facts_of(request.backend, request.strategy, strategy, inversions, assumed, request.steps),
            "model": str(request.model.path),
            "fingerprint": network.fingerprint,
            "out": None if request.out is None else str(request.out),
        }
        if request.out is not None:  # before anything else is asked of the target: it may fail
            save_attack(inversions, seen_images(inversions, shape), facts, request.out)
        answers = _answers(target, inversions)
    judged = None if evaluator is None else evaluator.probabilities(seen_images(inversions, shape))
    report_inversions(facts, assumed, inversions, answers, judged, as_json)


def need_same_classes(evaluator: Evaluator | None, classes: int) -> None:
    """InputError where the judge tells other classes apart than the target."""
    if evaluator is not None and evaluator.classes != classes:
        raise InputError(f"--evaluator: it tells {evaluator.classes} classes apart; the network has {classes}")


def classes_named(text: str | None, count: int) -> list[int]:
    """Classes as they were typed, all of them by default."""
    if text is None:
        return list(range(count))
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"--classes: expected class numbers, comma-separated, found {text!r}") from error
    return checked_classes(numbers, count)


def picture_shape(
    sides: tuple[int, int] | None, input_shape: tuple[int, ...], evaluator: Evaluator | None
) -> tuple[int, int, int]:
    """How an input is seen as a picture (C, H, W): as it is, as asked for, as the evaluator does, or as one line."""
    if len(input_shape) == 3:
        shape = input_shape
    elif sides is not None:
        shape = (1, *sides)
    else:
        shape = evaluator.shape if evaluator is not None else (1, *_square(input_shape[0]))
    if np.prod(shape) != np.prod(input_shape):
        raise InputError(f"pictures of shape {shape} do not hold this network's inputs {input_shape}")
    if evaluator is not None and evaluator.shape != shape:
        raise InputError(f"--evaluator: it judges pictures of shape {evaluator.shape}; these are {shape}")
    return shape[0], shape[1], shape[2]


def _square(features: int) -> tuple[int, int]:
    side = int(features**0.5)
    return (side, side) if side * side == features else (1, features)


def _answers(target: Target, inversions: Inversions) -> list[int | None]:
    """What the target itself now says of each inversion: a class, or None where it is silent or shows no label."""
    try:
        found = response_classes(target.run(inversions.spikes), target.network.readout).tolist()
    except NotRevealed:
        return [None] * len(inversions.classes)
    return [None if label < 0 else label for label in found]


def seen_images(inversions: Inversions, shape: tuple[int, int, int]) -> FloatArray:
    """Inversions as pictures (K, C, H, W)."""
    return np.asarray(inversions.images.reshape(-1, *shape).double())


def facts_of(
    place: str, asked: StrategyRequest, strategy: Attack[Any], inversions: Inversions, assumed: list[str], steps: int
) -> dict[str, object]:
    """What was run, where, on what terms, and what it cost."""
    return {
        "attack": inversions.attack,
        "substrate": place,
        **asked.facts(),
        "status": inversions.status.value,
        "queries": inversions.queries,
        "queries_per_class": inversions.queries_per_class,
        "steps": steps,
        "seed": inversions.seed,
        "settings": strategy.settings(),
        "assumptions": assumed,
    }


def report_inversions(
    facts: dict[str, object],
    assumed: list[str],
    inversions: Inversions,
    answers: list[int | None] | None,
    judged: FloatArray | None,
    as_json: bool,
) -> None:
    """Says what came of it; answers: what the target says of each inversion, None for a target that is not asked."""
    each: list[dict[str, object]] = []
    for number, label in enumerate(inversions.classes.tolist()):
        one: dict[str, object] = {"class": label}
        if answers is not None:
            one["target_answers"] = answers[number]
        if judged is not None:
            one |= {
                "evaluator_answers": int(judged[number].argmax()),
                "evaluator_confidence": float(judged[number, label]),
            }
        each.append(one)
    if as_json:
        print_json({**facts, "inversions": each})
        return
    say(f"Takes for granted that {'; '.join(assumed)}." if assumed else "Takes nothing for granted of inputs.")
    spent = f"{inversions.queries_per_class:g} queries a class"
    title = f"{facts['attack']} on {facts['substrate']}, {spent}, {facts['status']}"
    if answers is None and judged is None:
        say(f"{title}: classes {', '.join(str(one['class']) for one in each)}.")
        say("Nothing judged them: give --evaluator (see bl-neuro train), or look at the pictures in --out.")
    else:
        rows = [[_cell(value) for value in one.values()] for one in each]
        print_table(title, [column.replace("_", " ") for column in each[0]], rows, numbers_from=0)
    if facts["out"] is not None:
        say(f"Written: {facts['out']}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return fixed(value, 2) if isinstance(value, float) else str(value)
