"""The BrainLeaks authors' published figures beside an audit's, and their published inversions under its evaluators.

    bl-neuro audit paper-mnist --out runs/paper-mnist
    python scripts/reproduce/beside_authors.py runs/paper-mnist [--authors FOLDER]

The figures are those of the folder's results.json. FOLDER holds the inversions that the authors published beside
arXiv 2402.00906, which the evaluators of the audit then judge. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.gradient_inversion import scaled_images
from bl_neuro.errors import DataError
from bl_neuro.experiment.findings.models import Findings
from bl_neuro.experiment.store import Store
from bl_neuro.leakage import confidences, hits
from bl_neuro.rounding import fixed
from bl_neuro.seeding import stream
from bl_neuro.training import ImageEvaluator, load_evaluator


class Published(NamedTuple):
    """The authors' figures: one inversion of each class. sd: of attack accuracy over 1,000 draws, where given."""

    attack_accuracy: float
    confidence: float
    sd: float | None = None


AUTHORS: dict[tuple[str, str], Published] = {
    ("mnist", "ann"): Published(0.5, 0.454),
    ("mnist", "v1"): Published(1.0, 0.931),
    ("mnist", "v2_gradient"): Published(1.0, 0.946),
    ("att_faces", "ann"): Published(0.875, 0.855),
    ("nmnist", "v1"): Published(0.2, 0.163),
    ("nmnist", "v2_gradient"): Published(0.461, 0.5, 0.066),
    ("dvs_gesture", "v1"): Published(0.3, 0.312),
    ("dvs_gesture", "v2_gradient"): Published(0.587, 0.542, 0.034),
}
"""By dataset and attack. Source: the published notebooks of BrainLeaks (arXiv 2402.00906)."""
AUTHORS_ACCURACY: dict[str, tuple[float, float]] = {
    "mnist": (0.966, 0.984),
    "att_faces": (0.95, 0.9625),
    "nmnist": (0.969, 0.966),
    "dvs_gesture": (0.783, 0.879),
}
"""Test accuracy of the authors' target and evaluator; of faces, that of the ANN."""


class Archive(NamedTuple):
    """A file of the authors' inversions, of shape (K, T, C, H, W). draws: whether it holds probabilities of spikes."""

    dataset: str
    attack: str
    shape: tuple[int, ...]
    draws: bool = False


ARCHIVES: dict[str, Archive] = {
    "MNIST_ANN_Inverted": Archive("mnist", "ann", (10, 1, 1, 28, 28)),
    "MNIST_SNN_Inverted_BL1": Archive("mnist", "v1", (10, 25, 1, 28, 28)),
    "MNIST_SNN_Inverted_BL2": Archive("mnist", "v2_gradient", (10, 25, 1, 28, 28), draws=True),
    "Face_ANN_Inverted": Archive("att_faces", "ann", (40, 1, 1, 112, 92)),
}
"""By the name of the file in the authors' repository."""


def table(findings: Findings, extra: list[str]) -> str:
    """The rows of an audit, in Markdown, each below the authors' figures for its attack; `extra` rows come last."""
    dataset = findings.dataset.name
    lines = [f"# {findings.name} beside the BrainLeaks authors' figures", ""]
    if dataset in AUTHORS_ACCURACY:
        target, evaluator = AUTHORS_ACCURACY[dataset]
        accuracies = ", ".join(
            f"`{evaluator.name}` {'not trained yet' if evaluator.accuracy is None else fixed(evaluator.accuracy, 3)}"
            for evaluator in findings.evaluators
        )
        lines += [
            f"Test accuracy: the authors' target {target}, evaluator {evaluator}; our evaluators {accuracies}.",
            "",
        ]
    lines += ["Mean [95% interval over targets and inversions].", ""]
    lines += ["| attack | sees | target accuracy | evaluator | attack accuracy | confidence |", "|---" * 6 + "|"]
    for row in findings.own_rows:
        authors = AUTHORS.get((dataset, row.attack))
        if authors is not None:
            sd = "" if authors.sd is None else f" ± {authors.sd}"
            figures = f"{authors.attack_accuracy}{sd} | {authors.confidence}"
            lines.append(f"| {row.attack} | | | *authors'* | {figures} |")
        accuracy = "" if row.target_accuracy is None else fixed(row.target_accuracy.value, 3)
        for name, judged in row.evaluators.items():
            means = " | ".join(_mean(mean) for mean in (judged.attack_accuracy, judged.confidence))
            lines.append(f"| {row.attack} | {row.reveals}, {row.substrate} | {accuracy} | {name} | {means} |")
    return "\n".join([*lines, *extra]) + "\n"


def _mean(mean: Any) -> str:
    ends = [end for end in (mean.low, mean.high) if end is not None]
    return fixed(mean.value, 3) + (f" [{', '.join(fixed(end, 3) for end in ends)}]" if len(ends) == 2 else "")


def judged_archives(findings: Findings, store: Store, folder: Path) -> Iterator[str]:
    """A row for each of the authors' files and each evaluator of the audit."""
    names = list(findings.dataset.class_names)
    for name, archive in ARCHIVES.items():
        if archive.dataset != findings.dataset.name:
            continue
        values = read_inversions(folder, name)
        classes = np.arange(len(names))
        if archive.dataset == "att_faces":  # theirs are in the order of names as text
            classes = np.array([names.index(person) for person in sorted(names)])
            values = np.asarray(scaled_images(torch.from_numpy(values[0])))[None]
        if archive.draws:
            values = np.asarray(stream(0, "authors' v2").random(values.shape) < values, dtype=np.float64)
        for facts in findings.evaluators:
            probabilities = _probabilities(_evaluator(store, facts.address), values)
            accuracy = hits(probabilities, classes).mean()
            confidence = confidences(probabilities, classes).mean()
            figures = f"{fixed(accuracy, 3)} | {fixed(confidence, 3)}"
            yield f"| *authors'* inversions, {archive.attack} | | | {facts.name} | {figures} |"


def _evaluator(store: Store, address: str) -> ImageEvaluator:
    result = store.read(address)
    if result is None or result.tensors is None:
        raise DataError(f"{store.folder}: expected the evaluators of a finished audit; run it again")
    return load_evaluator(result.tensors)


def _probabilities(evaluator: ImageEvaluator, values: FloatArray) -> FloatArray:
    by_spikes = evaluator.judges == "spikes" and len(values) > 1
    return evaluator.probabilities(values if by_spikes else values.mean(0))


def read_inversions(folder: Path, name: str) -> FloatArray:
    """What a file of the authors' holds, (T, K, C, H, W), float64.

    The files are PyTorch archives. Nothing is unpickled: the one storage of float32 in them is read as numbers.

    Raises:
        DataError: it is not there, or is anything else.
    """
    shape, path = ARCHIVES[name].shape, folder / name
    size = 4 * int(np.prod(shape))
    try:
        with zipfile.ZipFile(path) as archive:
            storage = archive.getinfo(f"{name}/data/0")
            if storage.file_size != size:
                raise DataError(f"{path}: expected a storage of {size} bytes, found {storage.file_size}")
            values = np.frombuffer(archive.read(storage), "<f4").reshape(shape)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected the authors' {name} ({error})") from error
    if not np.isfinite(values).all():
        raise DataError(f"{path}: expected finite numbers")
    return np.moveaxis(values, 1, 0).astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", type=Path, help="folder of an audit's results")
    parser.add_argument("--authors", type=Path, help="folder with the inversions that the authors published")
    options = parser.parse_args()
    findings = Findings.from_json((options.audit / "results.json").read_bytes())
    store = Store(options.audit)
    extra = [] if options.authors is None else list(judged_archives(findings, store, options.authors))
    print(table(findings, extra), end="")


if __name__ == "__main__":
    main()
