"""The result of `attack_network`, and the folder that it is saved to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import Inversions
from bl_neuro.drawing import Animation, Picture, contact_sheet, event_animation
from bl_neuro.errors import BlNeuroError, ReportError
from bl_neuro.experiment.given_model import Recognised
from bl_neuro.files import atomic_path, need_folder, need_free, write_text
from bl_neuro.rounding import fixed

INVERSIONS, FACTS, SHEET, ANIMATION = "inversions.safetensors", "attack.json", "contact-sheet.png", "inversions.gif"
FILES = (INVERSIONS, FACTS, SHEET, ANIMATION)
"""The files in the folder of an attack. The animation is written for events only."""
SHOWN_CHANNELS = (1, 2, 3)


@dataclass(frozen=True)
class EvaluatorVerdict:
    """The class that an evaluator assigns to one inversion, and its probability of the intended class."""

    label: int
    confidence: float


@dataclass(frozen=True)
class AuxiliaryFacts:
    """The attacker's images: the name of their dataset, and the SHA-256 of images and labels."""

    name: str
    digest: str


@dataclass(frozen=True)
class AttackFacts:
    """What was run, on which substrate, with which settings, and at what cost: the fields of attack.json.

    model: its name, path or URL, or None. fingerprint: SHA-256 of the network, None for an endpoint. substrate: None
    for an endpoint. reveals: the output that a black box reveals; "gradient" for other attacks. budget: total number of
    queries, or None. twin: substrate of the attacker's copy of the network, or None. status: how the attack ended.
    queries: total number of queries. settings: of the attack, JSON-ready. input_range: the input currents of pixels 0
    and 1, or None. recognised: what was inferred on the dataset, and recognition: the same in a sentence; None without
    a dataset. assumptions: of the attack about inputs before its first query. auxiliary: images that the attacker has,
    or None.
    """

    attack: str
    model: str | None
    fingerprint: str | None
    substrate: str | None
    reveals: str
    budget: int | None
    twin: str | None
    status: str
    queries: int
    queries_per_class: float
    steps: int
    seed: int
    settings: dict[str, Any]
    dataset: str | None
    input_range: list[float] | None
    recognised: Recognised | None
    recognition: str | None
    assumptions: list[str]
    auxiliary: AuxiliaryFacts | None = None


@dataclass(frozen=True, repr=False)
class AttackResult:
    """The result of one attack on one target.

    inversions: one per requested class; `images` returns them as pictures (K, C, H, W). classes: the class of each
    inversion. class_names: names of all classes, or None if they are not known. answers: the class that the target
    assigns to each inversion, None if no output spikes; None instead of the list if the target is not queried.
    verdicts: the evaluator's judgement of each inversion; None without an evaluator. facts: what was run, and at what
    cost. error: the error that stopped the attack early, such as an unreachable endpoint, or None.
    """

    inversions: Inversions
    classes: tuple[int, ...]
    class_names: tuple[str, ...] | None
    answers: tuple[int | None, ...] | None
    verdicts: tuple[EvaluatorVerdict, ...] | None
    facts: AttackFacts
    image_shape: tuple[int, int, int]
    of_events: bool
    error: BlNeuroError | None = None

    @property
    def images(self) -> FloatArray:
        """The inversions as pictures (K, C, H, W), averaged over time, in 0..1."""
        return pictures_of(self.inversions, self.image_shape)

    @property
    def assumptions(self) -> list[str]:
        """The assumptions of the attack about inputs before its first query."""
        return self.facts.assumptions

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per inversion with its class, the target's answer and the evaluator's verdict; JSON-ready."""
        rows: list[dict[str, Any]] = []
        for number, label in enumerate(self.classes):
            row: dict[str, Any] = {"class": label}
            if self.class_names is not None:
                row["class_name"] = self.class_names[label]
            if self.answers is not None:
                row["target_answers"] = self.answers[number]
            if self.verdicts is not None:
                row["evaluator_answers"] = self.verdicts[number].label
                row["evaluator_confidence"] = self.verdicts[number].confidence
            rows.append(row)
        return rows

    @property
    def as_json(self) -> dict[str, Any]:
        """`facts`, with `rows` under the key "inversions"; JSON-ready."""
        return {**asdict(self.facts), "inversions": self.rows}

    def name_of(self, label: int) -> str:
        """The name of a class, or its number if the names are not known."""
        return str(label) if self.class_names is None else self.class_names[label]

    def contact_sheet(self) -> Picture:
        """One picture of all inversions with their classes and the answers of the evaluator, or of the target."""
        readings: Sequence[int | None] | None = self.answers
        if self.verdicts is not None:
            readings = [verdict.label for verdict in self.verdicts]
        reader = "the target" if self.verdicts is None else "the evaluator"
        names = self.class_names
        return contact_sheet(self.images, list(self.classes), names, readings=readings, reader=reader)

    def animation(self) -> Animation | None:
        """An animation of the inversions if they are event recordings, else None."""
        if not self.of_events or self.image_shape[0] not in SHOWN_CHANNELS:
            return None
        spikes = self.inversions.spikes
        frames = spikes.reshape(*spikes.shape[:2], *self.image_shape).numpy()
        return event_animation(frames, [self.name_of(label) for label in self.classes])

    def save(self, folder: str | Path, force: bool = False) -> Path:
        """Writes the inversions, attack.json, a contact sheet and, for events, an animation. Returns the folder.

        Raises:
            InputError: the folder contains an attack, and force is False. ReportError: the folder cannot be written to.
        """
        out = Path(folder)
        need_attack_folder(out, force)
        self.inversions.save(out / INVERSIONS)
        self.save_facts(out)
        return out

    def save_facts(self, out: Path) -> None:
        """Like `save`, without the inversions themselves. Removes an animation left by another attack."""
        sheet, animation = self.contact_sheet(), self.animation()
        try:
            write_text(out / FACTS, json.dumps(self.as_json, indent=2) + "\n")
            with atomic_path(out / SHEET) as temporary:
                temporary.write_bytes(sheet.png)
            if animation is not None:
                animation.save(out / ANIMATION)
            else:
                (out / ANIMATION).unlink(missing_ok=True)
        except OSError as error:
            raise ReportError(f"{out}: expected a folder that can be written to ({error})") from error

    def __repr__(self) -> str:
        lines = [f"<AttackResult: {self.inversions.attack} on {self.place}, {self.spent}, {self.inversions.status}"]
        count = len(self.classes)
        if self.answers is not None:
            hits = sum(answer == label for answer, label in zip(self.answers, self.classes))
            lines.append(f"  the target names the class of {hits} of {count} inversions")
        if self.verdicts is not None:
            hits = sum(verdict.label == label for verdict, label in zip(self.verdicts, self.classes))
            lines.append(f"  the evaluator recognises {hits} of {count}")
        if self.error is not None:
            lines.append(f"  ended by {type(self.error).__name__}: {self.error}")
        return "\n".join(lines) + ">"

    @property
    def spent(self) -> str:
        """The number of queries in words: `128 queries in total, 43 per class`."""
        total, count = self.inversions.queries, len(self.classes)
        queries = "1 query" if total == 1 else f"{total:,} queries"
        return queries if count == 1 else f"{queries} in total, {fixed(total / count, 0, ',')} per class"

    @property
    def place(self) -> str:
        """The attacked substrate or endpoint."""
        return self.facts.substrate or self.facts.model or "an endpoint"


def pictures_of(inversions: Inversions, shape: tuple[int, int, int]) -> FloatArray:
    """Inversions as pictures (K, C, H, W)."""
    return np.asarray(inversions.images.reshape(-1, *shape).double())


def need_attack_folder(out: Path, force: bool) -> None:
    """Creates the folder and checks that it is writable, before the attack runs.

    Raises:
        ReportError: the folder cannot be created or written to, or a file of the attack would replace a device or link.
        InputError: it contains an attack, and force is False.
    """
    need_folder(out)
    need_free((out / name for name in sorted(FILES)), force)
