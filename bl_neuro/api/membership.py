"""Membership inference on one model, and the training of shadow networks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bl_neuro.access import BlackBox
from bl_neuro.api.membership_result import Calibration, MembershipFacts, MembershipResult
from bl_neuro.arrays import BoolArray
from bl_neuro.attacks.base import Progress
from bl_neuro.backends import find_backend
from bl_neuro.checks import MAX_STEPS, whole_number
from bl_neuro.data.encoders import Encoder
from bl_neuro.data.events import EventDataset
from bl_neuro.data.samples import Dataset, Samples
from bl_neuro.errors import InputError
from bl_neuro.experiment.threads import one_thread
from bl_neuro.files import expanded
from bl_neuro.leakage.membership_attacks import MEMBERSHIP_ATTACKS, WITHOUT_SHADOWS, Answers
from bl_neuro.membership.asks import Ask, AskKind, ask_about
from bl_neuro.membership.calibration import leave_one_out
from bl_neuro.membership.outputs import as_outputs
from bl_neuro.membership.shadow_models import ShadowModels
from bl_neuro.membership.shadow_training import TrainFunction, train_shadow_networks
from bl_neuro.training.plans import TargetDesign, plan_for
from bl_neuro.training.samples_digest import samples_digest

GivenSamples = Samples | tuple[npt.ArrayLike, npt.ArrayLike]
"""A dataset, or images (n, ...) in 0..1 or bytes, with the class of each (n,)."""
MOST_CLASSES = 10_000
NO_SHADOWS = "shadow networks are needed to know how high the scores of non-members are"


def attack_membership(
    box: BlackBox,
    samples: GivenSamples,
    steps: int = 25,
    shadows: ShadowModels | None = None,
    attack: str = "lira",
    asks: int = 4,
    ask: AskKind = "plain",
    *,
    size: float | None = None,
    members: npt.ArrayLike | None = None,
    encoder: str | Encoder | None = None,
    class_map: Sequence[int] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> MembershipResult:
    """Which of these samples was a model trained on? Asks a black box about each of them.

        shadows = bl.train_shadows(data, plan, out="shadows")
        with bl.open_target(network, "loihi") as target:
            box = bl.BlackBox(target, "scores", budget=4 * len(data.labels))
            result = bl.attack_membership(box, data, shadows=shadows, members=mask)

    box: any `BlackBox`, also of an endpoint. It is asked `asks` times about each sample, one query each; shadow
    networks are asked first, since this costs none. samples: n samples, as a dataset or (images, labels), encoded in
    `steps` time steps.

    shadows: networks of the attacker (`train_shadows`, `load_shadows`), whose members refer to the same samples in the
    same order. They run in this process, through boxes that reveal the same. Needed by every attack but "threshold".
    attack: "lira", "lira_offline", "rmia", "rmia_offline" or "threshold"; see `bl_neuro.leakage.membership_attacks`.

    ask: "plain" encodes a sample anew in every ask, "noise" also adds Gaussian noise of standard deviation `size`
    (0..1, .1 by default), and "dropout" removes each input spike with probability `size` (.5 by default).

    members (n,): the true members, to measure the attack; the attack does not use them. encoder: how images become
    inputs, "rate", "held", "direct" or a function; by default what the shadow networks take, or "rate". class_map: the
    class of each output of the box; by default, output k is class k. progress: called with the number of queries so
    far, those to shadow networks included, and their total.

    Raises:
        InputError: an argument is wrong or does not fit the box, or its remaining budget is too small; nothing is
            spent then. AccessError, EndpointError, SubstrateError: the box or a shadow network does not answer, or with
            NaN, which is found after the first batch.
    """
    if not isinstance(box, BlackBox):
        raise InputError(f"box: expected a BlackBox, found {type(box).__name__}")
    class_map = _whole_numbers(class_map)
    data = _samples(samples, box.classes, class_map)
    asked, count = Ask.of(ask, asks, size), len(data.labels)
    _check(box, data, steps, shadows, attack, asked, encoder)
    seed = _seed(seed)
    true_members = _members(members, count)
    own = as_outputs(data, class_map, box.classes, "the box")
    if encoder is None and not isinstance(data, EventDataset):
        encoder = "rate" if shadows is None else shadows.encoder
    step = _steps_of(progress, (1 + (0 if shadows is None else len(shadows))) * asked.count * count)
    known = None
    if shadows is not None:
        known = shadows.answers(data, asked, steps, box.reveals, seed, encoder, step)
    calibration = _calibration(attack, known)
    before = box.spent
    answers = ask_about(box, own, asked, steps, seed, encoder, step)
    nothing = Answers(answers.statistics[None], answers.probabilities[None], np.zeros((1, count), dtype=bool))
    scores = MEMBERSHIP_ATTACKS[attack](answers.statistics, answers.probabilities, known or nothing)
    facts = MembershipFacts(
        attack=attack,
        reveals=box.reveals,
        ask=asked.kind,
        asks=asked.count,
        size=asked.size,
        steps=steps,
        seed=seed,
        samples=count,
        queries=box.spent - before,
        shadows=0 if shadows is None else len(shadows),
        substrate=None if shadows is None else shadows.substrate,
        dataset=data.name,
    )
    return MembershipResult(scores, facts, true_members, calibration)


def train_shadows(
    samples: GivenSamples,
    train: TargetDesign | TrainFunction | None = None,
    *,
    out: str | Path,
    networks: int = 16,
    seed: int = 0,
    substrate: str = "loihi",
    progress: Progress | None = None,
) -> ShadowModels:
    """Trains shadow networks, each on an independent random half of every class, into a folder.

        shadows = bl.train_shadows(data, bl.training.plan_for(data), out="shadows")
        shadows = bl.train_shadows(data, my_function, out="shadows")    # my_function(samples, seed) -> bl.Network

    The more the training resembles that of the target, the stronger the attack. train: a plan of
    `bl_neuro.training`, the default plan of the dataset, or a function from samples and a seed to a `Network`. A
    function is recognised by its name: choose another `out` if it has changed under the same name. out:
    folder of the networks and `shadows.json`. If it has networks of the same training, only missing ones are trained,
    so that an interrupted call can be repeated and `networks` can grow; a training that was interrupted continues from
    its checkpoint, if it uses a plan. networks: at least 8. substrate: where they will run. progress: called with the
    number of finished networks and their total.

    Raises:
        InputError: an argument is wrong, or `out` has networks of another training. DataError, ModelFileError: a file
            in `out` is damaged. ReportError: `out` cannot be written to.
    """
    data = _samples(samples, None, None)
    seed = _seed(seed)
    find_backend(substrate)
    threads = torch.get_num_threads()
    with one_thread():
        how = plan_for(data) if train is None else train
        shadows = train_shadow_networks(data, how, expanded(out, "out"), networks, seed, progress, threads)
    return shadows.on(substrate)


def _samples(samples: GivenSamples, outputs: int | None, class_map: Sequence[int] | None) -> Samples:
    """The samples as a dataset. outputs: number of outputs of the attacked model, each of which is a class."""
    if not isinstance(samples, tuple):
        if not hasattr(samples, "spikes") or not hasattr(samples, "labels"):
            raise InputError(f"samples: expected a dataset or (images, labels), found {type(samples).__name__}")
        return samples
    if len(samples) != 2:
        raise InputError(f"samples: expected (images, labels), found {len(samples)} values")
    try:
        images, labels = np.asarray(samples[0]), np.asarray(samples[1])
    except ValueError as error:
        raise InputError(f"samples: expected arrays of images and labels ({error})") from error
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not labels.size or labels.min() < 0:
        raise InputError(f"samples: expected labels (n,) of at least 0, found {labels.dtype} {labels.shape}")
    if labels.max() >= MOST_CLASSES:
        raise InputError(f"samples: expected labels in 0..{MOST_CLASSES - 1}, found {labels.max()}")
    classes = 1 + max(int(labels.max()), (outputs or 1) - 1, *(class_map or [0]))
    names = tuple(str(label) for label in range(classes))
    return Dataset("given samples", "given by the caller", images, labels.astype(np.int64), names)


def _seed(seed: int) -> int:
    number = whole_number(seed)
    if number is None or number < 0:
        raise InputError(f"seed: expected a whole number of at least 0, found {seed!r:.80}")
    return number


def _whole_numbers(class_map: Sequence[int] | None) -> list[int] | None:
    """The class of each output, as ints."""
    if class_map is None:
        return None
    classes = [number for value in class_map if (number := whole_number(value)) is not None]
    if len(classes) < len(class_map) or not all(0 <= number < MOST_CLASSES for number in classes):
        raise InputError(f"class_map: expected classes in 0..{MOST_CLASSES - 1}, found {list(class_map)!r:.80}")
    return classes


def _check(
    box: BlackBox,
    data: Samples,
    steps: int,
    shadows: ShadowModels | None,
    attack: str,
    ask: Ask,
    encoder: str | Encoder | None,
) -> None:
    """Checks everything before the first query."""
    if not isinstance(attack, str) or attack not in MEMBERSHIP_ATTACKS:
        raise InputError(f"attack: expected one of {', '.join(MEMBERSHIP_ATTACKS)}, found {attack!r}")
    length = whole_number(steps)
    if length is None or not 1 <= length <= MAX_STEPS:
        raise InputError(f"steps: expected 1..{MAX_STEPS}, found {steps!r}")
    if np.prod(data.input_shape) != np.prod(box.input_shape):
        raise InputError(f"samples: expected inputs of shape {box.input_shape}, found {data.input_shape}")
    if isinstance(data, EventDataset) and (ask.kind == "noise" or encoder is not None):
        raise InputError("ask, encoder: events have no pixels; choose the ask 'plain' or 'dropout', and no encoder")
    if shadows is None:
        if attack not in WITHOUT_SHADOWS:
            raise InputError(
                f"shadows: attack {attack} compares the model with shadow networks; give some of bl.train_shadows or "
                "bl.load_shadows, or choose attack='threshold'"
            )
    else:
        _check_shadows(box, data, shadows)
    needed, left = ask.count * len(data.labels), box.remaining
    if left is not None and left < needed:
        raise InputError(
            f"budget: expected at least {needed:,} remaining queries ({ask.count} asks about {len(data.labels):,} "
            f"samples), found {left:,}; give fewer samples or asks"
        )


def _check_shadows(box: BlackBox, data: Samples, shadows: ShadowModels) -> None:
    if not isinstance(shadows, ShadowModels):
        raise InputError(f"shadows: expected ShadowModels, found {type(shadows).__name__}")
    network = shadows.networks[0]
    if np.prod(network.input_shape) != np.prod(box.input_shape) or network.classes != box.classes:
        raise InputError(
            f"shadows: expected networks with inputs {box.input_shape} and {box.classes} outputs, as the box has, "
            f"found {network.input_shape} and {network.classes}"
        )
    if shadows.samples != len(data.labels):
        raise InputError(
            f"shadows: expected networks that were trained on some of these {len(data.labels):,} samples, found "
            f"{shadows.samples:,}; give all of them, or choose the same ones with shadows.subset(index)"
        )
    if shadows.digest is not None and shadows.digest != samples_digest(data):
        raise InputError(
            "shadows: expected networks that were trained on some of these samples, found others or another order"
        )


def _members(members: npt.ArrayLike | None, count: int) -> BoolArray | None:
    if members is None:
        return None
    mask = np.asarray(members)
    if mask.dtype != bool or mask.shape != (count,):
        raise InputError(f"members: expected booleans ({count},), one per sample, found {mask.dtype} {mask.shape}")
    if mask.all() or not mask.any():
        raise InputError("members: expected members and non-members, found only one of them")
    return mask


def _steps_of(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    """Adds up queries for `progress`."""
    if progress is None:
        return None
    done = 0

    def step(queries: int) -> None:
        nonlocal done
        done += queries
        progress(done, total)

    return step


def _calibration(attack: str, shadows: Answers | None) -> Calibration:
    """The attack on each shadow network. Attacks that cannot work with these shadow networks raise InputError."""
    if shadows is None:
        return Calibration(problem=NO_SHADOWS)
    any_network: tuple[Any, Any] = shadows.statistics[0], shadows.probabilities[0]
    MEMBERSHIP_ATTACKS[attack](*any_network, shadows)  # raises if there are too few, before the target is asked
    try:
        return Calibration(leave_one_out(attack, shadows), shadows.members)
    except InputError:
        return Calibration(
            problem=f"{NO_SHADOWS}, and {len(shadows.members)} are too few to attack one with the others; train more"
        )
