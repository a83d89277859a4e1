"""What the two image scripts of the reproduction share: networks that are trained once, attacks, verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import authors_judge
import numpy as np
import torch
from authors_judge import AuthorsJudge
from authors_training import AuthorsTraining
from face_twin import FaceTwin
from paper_table import Cell, judged

import bl_neuro as bl
from bl_neuro.attacks import AnnBox, Attack, Inversions
from bl_neuro.files import atomic_path
from bl_neuro.leakage import spike_density
from bl_neuro.seeding import derived_seed
from bl_neuro.training import AnnTwin, Checkpoint, ImageEvaluator, TargetPlan

SUBSTRATE, PRECISION = "snntorch", "float32"
"""As the authors ran it."""


@dataclass
class Bench:
    """Targets, twins and judges of one split, trained when they are first needed and kept in a folder.

    name: begins the names of its files. training: how the authors train, or None for the library's way. twin_settings:
    of the twins' training.
    """

    work: Path
    name: str
    split: Any
    plan: TargetPlan
    training: AuthorsTraining | None = None
    twin_settings: Mapping[str, Any] | FaceTwin = field(default_factory=dict)

    def target(self, seed: int) -> bl.Network:
        """The spiking target of a seed."""

        def make(path: Path, checkpoint: Checkpoint) -> None:
            print(f"training target {path.stem}", flush=True)
            train = bl.training.train_target if self.training is None else self.training.train
            bl.save(train(self.split.target, self.plan, seed=seed, checkpoint=checkpoint), path)

        return bl.load(self._made(f"target-{seed}", make))

    def twin(self, seed: int) -> AnnTwin:
        """Its twin that does not spike."""

        def make(path: Path, checkpoint: Checkpoint) -> None:
            print(f"training twin {path.stem}", flush=True)
            if isinstance(self.twin_settings, FaceTwin):
                self.twin_settings.train(self.split.target, self.plan.hidden[0], seed).save(path)
                return
            settings = {**self.twin_settings, "seed": seed, "checkpoint": checkpoint}
            bl.training.train_ann_twin(self.split.target, self.plan.hidden, **settings).save(path)

        return bl.training.load_ann_twin(self._made(f"twin-{seed}", make))

    def judge(self, kind: str, data: Any, name: str) -> ImageEvaluator:
        """An evaluator trained on `data` as the library trains them."""

        def make(path: Path, checkpoint: Checkpoint) -> None:
            print(f"training evaluator {path.stem}", flush=True)
            bl.training.train_evaluator(data, kind=kind, seed=0, checkpoint=checkpoint).save(path)

        return bl.training.load_evaluator(self._made(name, make))

    def authors_judge(self, data: Any, name: str) -> AuthorsJudge:
        """The authors' judge, trained on `data`."""

        def make(path: Path, checkpoint: Checkpoint) -> None:
            print(f"training evaluator {path.stem}", flush=True)
            authors_judge.train(data, checkpoint).save(path)

        return authors_judge.load(self._made(name, make))

    def target_accuracy(self, seed: int) -> float:
        """Of a target, on the test images, on the substrate."""
        with self.opened(seed) as target:
            return bl.training.measure_accuracy(target, self.split.test, self.plan.steps, 0)

    @contextmanager
    def opened(self, seed: int) -> Iterator[Any]:
        """A target, ready to run."""
        with bl.open_target(self.target(seed), SUBSTRATE, precision=PRECISION) as target:
            yield target

    def invert(self, attack: Attack[Any], cell: Cell) -> tuple[Inversions, list[int] | None]:
        """An inversion of each class, and 0 or 1 for each: whether the spiking target takes it for its class."""
        classes, steps = range(self.split.test.classes), self.plan.steps
        chance = derived_seed(cell.seed, cell.attack, cell.repeat)
        if attack.box_type() is AnnBox:
            return attack(AnnBox(self.twin(cell.seed)), classes=classes, steps=steps, seed=chance), None
        with self.opened(cell.seed) as target:
            found = attack(bl.WhiteBox(target), classes=classes, steps=steps, seed=chance)
            with torch.no_grad():
                answers = bl.access.response_classes(target.run(found.spikes), target.network.readout)
        return found, (answers == found.classes).int().tolist()

    def measured(self, attack: Attack[Any], cell: Cell, judges: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of a cell."""
        began = time.perf_counter()
        found, success = self.invert(attack, cell)
        seconds = time.perf_counter() - began
        if (cell.seed, cell.repeat) == (0, 0):
            self._keep_images(cell, found)
        return {
            "judges": {name: judged(asked(judge, found), found.classes) for name, judge in judges.items()},
            "target_success": success,
            "objective": float(found.trace.objective[-1].mean()),
            "density": float(spike_density(found.spikes)),
            "queries": found.queries,
            "seconds": round(seconds, 2),
        }

    def images(self, attack: Attack[Any], cell: Cell) -> tuple[np.ndarray, np.ndarray]:
        """Images (K, C, H, W) of a cell and their classes, for a picture: kept, or made again."""
        path = self._image_file(cell)
        if not path.exists():
            self._keep_images(cell, self.invert(attack, cell)[0])
        return np.load(path, allow_pickle=False), np.arange(self.split.test.classes)

    def _keep_images(self, cell: Cell, found: Inversions) -> None:
        with atomic_path(self._image_file(cell)) as temporary:
            np.save(temporary, shown(found).astype(np.float32))

    def _image_file(self, cell: Cell) -> Path:
        words = "".join(letter if letter.isalnum() else "-" for letter in f"{cell.attack} {cell.seed} {cell.repeat}")
        return self.work / f"images-{words}.npy"

    def _made(self, name: str, make: Callable[[Path, Checkpoint], None]) -> Path:
        """The file of a network, which `make` writes if it is not there."""
        path = self.work / f"{self.name}{name}.safetensors"
        if not path.exists():
            self.work.mkdir(parents=True, exist_ok=True)
            progress = path.with_suffix(".checkpoint")
            make(path, Checkpoint(progress))
            progress.unlink(missing_ok=True)
        return path


def asked(judge: Any, found: Inversions) -> np.ndarray:
    """What a judge says of inversions, (K, classes): the authors' of the spikes, the others of the images."""
    return np.asarray(judge.probabilities(found.spikes if isinstance(judge, AuthorsJudge) else shown(found)))


def shown(found: Inversions) -> np.ndarray:
    """The images (K, C, H, W) that judges look at: the mean of the spikes; of an ANN's inversion the image itself."""
    return np.asarray((found.rates if found.attack == "ann" else found.images).double())
