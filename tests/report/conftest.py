"""Made-up results of a plausible shape: what a report is tested on, not what any attack found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bl_neuro.report import (
    Control,
    Curve,
    Dataset,
    Evaluator,
    InversionPictures,
    NetworkInfo,
    Pictures,
    Results,
    Row,
)

CLASSES, SIDE, STEPS = 10, 8, 25
GLYPHS = (
    "3c66666666663c00",
    "1838181818187e00",
    "3c66060c30607e00",
    "3c66061c06663c00",
    "0c1c3c6c7e0c0c00",
    "7e607c0606663c00",
    "3c60607c66663c00",
    "7e060c1830303000",
    "3c66663c66663c00",
    "3c66663e06063c00",
)


def class_means() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Ten blurred 8 x 8 digits in 0..1."""
    bits = np.stack([np.unpackbits(np.frombuffer(bytes.fromhex(g), np.uint8)).reshape(8, 8) for g in GLYPHS])
    padded = np.pad(bits.astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    kernel = (0.05, 0.1, 0.05, 0.1, 0.4, 0.1, 0.05, 0.1, 0.05)
    shifts = [padded[:, i : i + SIDE, j : j + SIDE] for i in range(3) for j in range(3)]
    blurred = sum(weight * shift for weight, shift in zip(kernel, shifts, strict=True))
    return (blurred / blurred.max()).astype(np.float32)


def inversions(rng: np.random.Generator, n: int, strength: float) -> InversionPictures:
    """Pictures that hold their class mean as strongly as said, 0..1, and noise for the rest."""
    classes = np.arange(n) % CLASSES
    rates = strength * class_means()[classes] + (1 - strength) * rng.random((n, SIDE, SIDE))
    spikes = (rng.random((STEPS, n, SIDE, SIDE)) < rates).astype(np.uint8)
    return InversionPictures(spikes.mean(axis=0).astype(np.float32), classes, spikes)


def curve(final: float, last: float = 576.0) -> Curve:
    queries = [float(q) for q in np.linspace(64, last, 9)]
    middle = [0.1 + (final - 0.1) * (1 - 0.5**i) for i in range(9)]
    return Curve(
        queries=queries,
        confidence=middle,
        low=[max(0.0, m - 0.05) for m in middle],
        high=[min(1.0, m + 0.05) for m in middle],
    )


THREATS = {
    "v2": "Someone who may send inputs to the deployed network and read what it shows, as through a query "
    "endpoint. They know the shape of the input and the number of classes, hold no training data, and see "
    "neither parameters nor gradients.",
    "v1": "Someone who holds the exported model: they run it at will and differentiate it with a surrogate gradient.",
    "ann": "Someone who holds a non-spiking network trained on the same data, with its gradient. It is here "
    "to compare with the published attack on such networks.",
}


def row(substrate: str, attack: str, /, **changes: Any) -> Row:
    """A row of 100 inversions; `changes` replaces fields, and `kind` makes it a control."""
    black = attack == "v2"
    fields: dict[str, Any] = {
        "dataset": "digits",
        "substrate": substrate,
        "attack": attack,
        "access": "black_box" if black else "white_box",
        "reveals": "counts" if black else "gradient",
        "target_accuracy": 0.9667,
        "target_test_samples": 360,
        "attack_accuracy": 0.96,
        "attack_accuracy_low": 0.902,
        "attack_accuracy_high": 0.984,
        "top3_accuracy": 1.0,
        "confidence": 0.913,
        "daa": 1.0,
        "pearson_selectivity": 0.31,
        "ssim": 0.42,
        "spike_density": 0.284,
        "target_success": 1.0,
        "queries_per_class": 576.0 if black else 10.0,
        "seconds": 8.21,
        "n": 100,
        "seed": 0,
        "restarts": 10,
        "status": {"done": 98, "budget_spent": 2} if black else {"done": 100},
        "threat_model": THREATS[attack],
        "curve": curve(0.913) if black else None,
        "inversions": f"{substrate}-{attack}",
    }
    fields.update(changes)
    return Control(**fields) if "kind" in fields else Row(**fields)


def _results(**changes: Any) -> Results:
    measured = {"snntorch": 0.96, "norse": 0.96, "slayer": 0.97, "lava": 0.94}
    rows = [
        row(
            name,
            "v2",
            attack_accuracy=value,
            attack_accuracy_low=value - 0.06,
            attack_accuracy_high=value + 0.025,
            confidence=value - 0.05,
            curve=curve(value - 0.05),
            seconds=412.7 if name == "lava" else 8.21,
            target_accuracy=0.9639 if name == "lava" else 0.9667,
        )
        for name, value in measured.items()
    ]
    rows += [
        row(name, "v1", attack_accuracy=0.93, attack_accuracy_low=0.863, attack_accuracy_high=0.966, ssim=0.35)
        for name in ("snntorch", "norse", "slayer")
    ]
    rows.append(
        row("torch", "ann", attack_accuracy=0.7, attack_accuracy_low=0.397, attack_accuracy_high=0.892, n=10,
            top3_accuracy=0.9, confidence=0.55, restarts=1, status={"done": 10}, spike_density=None,
            target_success=None, queries_per_class=1840.5, pearson_selectivity=-0.04)
    )  # fmt: skip
    controls = [
        row("snntorch", "v2", kind="shuffled_labels", target_accuracy=0.112, attack_accuracy=0.08,
            attack_accuracy_low=0.041, attack_accuracy_high=0.15, top3_accuracy=0.31, confidence=0.104,
            daa=0.2, pearson_selectivity=-0.11, ssim=0.03, curve=curve(0.104), inversions="control")
    ]  # fmt: skip
    fields: dict[str, Any] = {
        "command": "bl-neuro demo --seed 0",
        "created": "2025-11-22T13:20:00+00:00",
        "seed": 0,
        "versions": {"bl-neuro": "0.1.0", "python": "3.10.14", "torch": "2.3.1", "snntorch": "1.0.0"},
        "platform": {"system": "Linux 6.1", "machine": "x86_64", "cores": "2"},
        "dataset": Dataset(
            name="digits",
            source="Optical digits of the UCI repository, as shipped inside scikit-learn 1.5",
            classes=CLASSES,
            splits={"target train": 718, "evaluator train": 719, "test": 360},
        ),
        "network": NetworkInfo(
            fingerprint="sha256:" + "3f9a61c07be2d485" * 4,
            input_shape=[64],
            layers=["dense 64 to 300", "dense 300 to 10"],
            parameters=22200,
            steps=STEPS,
            encoder="Bernoulli spikes, one draw a pixel and time step",
        ),
        "evaluators": [
            Evaluator(
                name="small ConvNet",
                architecture="conv 16, conv 32, dense 64, dense 10",
                test_accuracy=0.9861,
                test_samples=360,
                trained_on="the evaluator split, which the target never saw",
            )
        ],
        "rows": rows,
        "controls": controls,
        "notes": ["The attack assumes smooth pictures: its steps are blurred with a Gaussian of 0.6 pixels"],
    }
    fields.update(changes)
    return Results(**fields)


def _pictures(results: Results) -> Pictures:
    rng = np.random.default_rng(0)
    made = {}
    for item in results.all_rows():
        full = inversions(rng, item.n, 0.75 if item.attack_accuracy > 0.5 else 0.1)
        spikes = None if item.attack == "ann" else full.spikes
        made[item.inversions] = InversionPictures(full.rates, full.classes, spikes)
    return Pictures(class_means(), [str(i) for i in range(CLASSES)], made)


@pytest.fixture(scope="session")
def make_row() -> Callable[..., Row]:
    return row


@pytest.fixture(scope="session")
def make_results() -> Callable[..., Results]:
    return _results


@pytest.fixture(scope="session")
def make_pictures() -> Callable[[Results], Pictures]:
    return _pictures
