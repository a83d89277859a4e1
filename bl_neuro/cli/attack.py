"""`bl-neuro attack`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from bl_neuro.access import REVEALS, BlackBox, Reveals, WhiteBox, reveal
from bl_neuro.attacks import Attack, BrainLeaksV1, BrainLeaksV2, Inversions
from bl_neuro.attacks.base import checked_classes
from bl_neuro.backends import Target, open_target
from bl_neuro.cli.output import print_json, print_table, progress_bars, say
from bl_neuro.data.dataset import FloatArray
from bl_neuro.errors import InputError, ReportError
from bl_neuro.files import atomic_path, need_folder
from bl_neuro.model_file import load
from bl_neuro.training import ConvEvaluator, load_evaluator

WARM_SHARE = 10
"""v2 spends one query in so many on its shared warm start."""


@dataclass(frozen=True)
class AttackRequest:
    """What was asked for on the command line."""

    model: Path
    backend: str
    attack: str
    reveals: str
    budget: int
    classes: str | None
    steps: int
    window: float | None
    evaluator: Path | None
    out: Path | None
    seed: int


def attack(request: AttackRequest, as_json: bool) -> None:
    """Runs one attack on one network and says what came of it."""
    network = load(request.model)
    evaluator = None if request.evaluator is None else _evaluator(request.evaluator, network.input_shape)
    classes = _classes(request.classes, network.classes)
    strategy = _strategy(request, len(classes))
    if request.out is not None:
        need_folder(request.out)
    with progress_bars() as stages, open_target(network, request.backend) as target:
        inversions = strategy(
            _box(target, request),
            classes=classes,
            steps=request.steps,
            seed=request.seed,
            progress=stages.stage(f"{request.attack} on {request.backend}"),
        )
        answers = reveal(target.run(inversions.spikes), "label", network.readout).tolist()
    if request.out is not None:
        _save(inversions, network.input_shape, request.out)
    judged = None if evaluator is None else evaluator.probabilities(_images(inversions, network.input_shape))
    _report(request, inversions, answers, judged, as_json)


def _strategy(request: AttackRequest, classes: int) -> Attack[Any]:
    if request.attack == "v1":
        return BrainLeaksV1()
    if request.attack != "v2":
        raise InputError(f"--attack: expected v1 or v2, found {request.attack!r}")
    if request.budget < 1:
        raise InputError(f"--budget: expected at least 1 query, found {request.budget}")
    warm = max(request.budget // WARM_SHARE, 1)
    each = (request.budget - warm) // classes
    return BrainLeaksV2(queries=each - each % 2, warm_start=warm, window=request.window)


def _box(target: Target, request: AttackRequest) -> WhiteBox | BlackBox:
    if request.attack == "v1":
        return WhiteBox(target)
    if request.reveals not in get_args(Reveals):
        raise InputError(f"--reveals: expected one of {', '.join(REVEALS)}, found {request.reveals!r}")
    return BlackBox(target, reveals=request.reveals, budget=request.budget)  # type: ignore[arg-type]  # checked above


def _classes(text: str | None, count: int) -> list[int]:
    if text is None:
        return list(range(count))
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"--classes: expected class numbers, comma-separated, found {text!r}") from error
    return checked_classes(numbers, count)


def _evaluator(path: Path, input_shape: tuple[int, ...]) -> ConvEvaluator:
    evaluator = load_evaluator(path)
    if np.prod(evaluator.shape) != np.prod(input_shape):
        raise InputError(f"--evaluator: it judges images of {evaluator.shape}; this network takes {input_shape}")
    return evaluator


def _images(inversions: Inversions, input_shape: tuple[int, ...]) -> FloatArray:
    shape = input_shape if len(input_shape) == 3 else (1, *_square(input_shape[0]))
    return np.asarray(inversions.images.reshape(-1, *shape).double())


def _square(features: int) -> tuple[int, int]:
    """Sides of the picture a flat input is drawn as: a square where it is one, a line where not."""
    side = int(features**0.5)
    return (side, side) if side * side == features else (1, features)


def _save(inversions: Inversions, input_shape: tuple[int, ...], out: Path) -> None:
    from bl_neuro.report.figures import png

    inversions.save(out / "inversions.safetensors")
    try:
        for number, (label, image) in enumerate(zip(inversions.classes.tolist(), _images(inversions, input_shape))):
            large = np.kron(image.mean(axis=0), np.ones((16, 16)))
            with atomic_path(out / f"inversion-{number:02d}-class-{label}.png") as temporary:
                temporary.write_bytes(png(large))
    except OSError as error:
        raise ReportError(f"{out}: expected a folder that can be written to ({error})") from error


def _report(
    request: AttackRequest, inversions: Inversions, answers: list[int], judged: FloatArray | None, as_json: bool
) -> None:
    each = [
        {"class": label, "target_answers": answer}
        | (
            {}
            if judged is None
            else {"evaluator_answers": int(row.argmax()), "evaluator_confidence": float(row[label])}
        )
        for label, answer, row in zip(inversions.classes.tolist(), answers, answers if judged is None else judged)
    ]
    facts = {
        "attack": inversions.attack,
        "substrate": request.backend,
        "reveals": "gradient" if request.attack == "v1" else request.reveals,
        "status": inversions.status.value,
        "queries": inversions.queries,
        "queries_per_class": inversions.queries_per_class,
        "seed": request.seed,
        "out": None if request.out is None else str(request.out),
        "inversions": each,
    }
    if as_json:
        print_json(facts)
        return
    title = (
        f"{facts['attack']} on {request.backend}, {inversions.queries_per_class:g} queries a class, {facts['status']}"
    )
    columns = list(each[0])
    rows = [[f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()] for row in each]
    print_table(title, [column.replace("_", " ") for column in columns], rows, numbers_from=0)
    if request.out is not None:
        say(f"Written: {request.out}")
