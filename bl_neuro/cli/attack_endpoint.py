"""`bl-neuro attack URL`: the same attack, through an endpoint that somebody else serves."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bl_neuro.attacks import Inversions
from bl_neuro.cli.attack import (
    classes_named,
    facts_of,
    need_same_classes,
    picture_shape,
    report_inversions,
    seen_images,
)
from bl_neuro.cli.attack_folder import need_free, save_attack
from bl_neuro.cli.interrupt import ends_on_interrupt
from bl_neuro.cli.output import progress_bars
from bl_neuro.cli.strategy import BUDGET, StrategyRequest
from bl_neuro.errors import BlNeuroError, InputError, TokenInTheClear
from bl_neuro.remote import RemoteBlackBox
from bl_neuro.training import load_evaluator

TOKEN = "BL_NEURO_TOKEN"
"""The token in the environment, where others on this machine do not see it."""


@dataclass(frozen=True)
class EndpointAttackRequest:
    """What was asked for. What the metadata of a foreign endpoint leaves open is None where nothing was said."""

    url: str
    strategy: StrategyRequest
    classes: str | None
    steps: int
    evaluator: Path | None
    out: Path | None
    seed: int
    force: bool = False
    token: str | None = None
    input: str | None = None
    output: str | None = None
    input_shape: str | None = None
    layout: str | None = None
    certificates: Path | None = None
    class_count: int | None = None
    session: str | None = None


def attack_endpoint(request: EndpointAttackRequest, as_json: bool) -> None:
    """Runs one attack through an endpoint and says what came of it."""
    wanted = request.strategy
    wanted.check()
    if wanted.white or wanted.attack == "transfer":
        raise InputError(
            f"--attack: {wanted.attack} takes the network itself; an endpoint answers queries alone, try v2"
        )
    with ExitStack() as opened:
        box = opened.enter_context(_box(request))
        told = replace(wanted, reveals=box.reveals, budget=min(wanted.budget or BUDGET, box.budget or BUDGET))
        classes = classes_named(request.classes, box.classes)
        strategy = told.strategy(box, len(classes))
        evaluator = None if request.evaluator is None else load_evaluator(request.evaluator)
        shape = picture_shape(told.sides(), box.input_shape, evaluator)
        need_same_classes(evaluator, box.classes)
        if request.out is not None:
            need_free(request.out, request.force)
        stages = opened.enter_context(progress_bars())
        progress = opened.enter_context(ends_on_interrupt(stages.stage(f"{strategy.name} on {request.url}")))
        assumed = [*strategy.assumptions(box), *told.other_size(box)]
        inversions, lost = _kept(
            lambda: strategy(box, classes=classes, steps=request.steps, seed=request.seed, progress=progress)
        )
    facts = {
        **facts_of(request.url, told, strategy, inversions, assumed, request.steps),
        "asked_budget": wanted.budget,
        "session": request.session,
        "out": None if request.out is None else str(request.out),
    }
    if request.out is not None:
        save_attack(inversions, seen_images(inversions, shape), facts, request.out)
    judged = None if evaluator is None else evaluator.probabilities(seen_images(inversions, shape))
    report_inversions(facts, assumed, inversions, None, judged, as_json)
    if lost is not None:
        raise lost


def _kept(attack: Callable[[], Inversions]) -> tuple[Inversions, BlNeuroError | None]:
    """The inversions; and what ended the search, if something did after it had found any."""
    try:
        return attack(), None
    except BlNeuroError as error:
        if error.partial is None or not error.partial.queries:
            raise
        return error.partial, error


def _box(request: EndpointAttackRequest) -> RemoteBlackBox:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", TokenInTheClear)
        box = _opened(request)
    for each in told:
        sys.stderr.write(f"warning: {each.message}\n")
    wanted = request.strategy.budget
    if wanted is not None and box.budget is not None and box.budget < wanted:
        sys.stderr.write(f"The endpoint leaves {box.budget:,} of the {wanted:,} queries asked for.\n")
    return box


def _opened(request: EndpointAttackRequest) -> RemoteBlackBox:
    return RemoteBlackBox(
        request.url,
        token=request.token or os.environ.get(TOKEN),
        reveals=request.strategy.reveals,  # type: ignore[arg-type]  # it was checked
        budget=request.strategy.budget,
        input=request.input,
        output=request.output,
        input_shape=None if request.input_shape is None else _sizes(request.input_shape),
        classes=request.class_count,
        session=request.session,
        layout=request.layout,  # type: ignore[arg-type]  # the box checks it
        certificates=None if request.certificates is None else str(request.certificates),
    )


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError as error:
        raise InputError(f"--input-shape: expected whole numbers as in 1,8,8, found {text!r}") from error
