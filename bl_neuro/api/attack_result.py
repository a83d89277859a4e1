"""What `attack_network` returns, and the folder that it is saved to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import Inversions
from bl_neuro.drawing import Animation, Picture, contact_sheet, event_animation
from bl_neuro.errors import BlNeuroError, InputError, ReportError
from bl_neuro.files import atomic_path, need_folder, write_text
from bl_neuro.rounding import fixed

INVERSIONS, FACTS, SHEET, ANIMATION = "inversions.safetensors", "attack.json", "contact-sheet.png", "inversions.gif"
FILES = (INVERSIONS, FACTS, SHEET, ANIMATION)
"""The files of an attack's folder; the animation is written for events only."""
SHOWN_CHANNELS = (1, 2, 3)


@dataclass(frozen=True)
class EvaluatorVerdict:
    """What an evaluator makes of one inversion: the class it sees, and its probability of the class inverted."""

    label: int
    confidence: float


@dataclass(frozen=True, repr=False)
class AttackResult:
    """One attack on one target.

    inversions: one for each class asked for; `images` shows them as pictures (K, C, H, W).
    classes: the class of each inversion. class_names: of all classes, where they are known.
    answers: the class that the target names for each inversion, None for silence; None for all where it is not asked.
    verdicts: what the evaluator makes of each inversion; None without an evaluator.
    facts: what was run, where, on what terms, and what it cost; JSON-ready.
    error: what ended the attack before it was done, such as an endpoint that went away; else None.
    """

    inversions: Inversions
    classes: tuple[int, ...]
    class_names: tuple[str, ...] | None
    answers: tuple[int | None, ...] | None
    verdicts: tuple[EvaluatorVerdict, ...] | None
    facts: dict[str, Any]
    image_shape: tuple[int, int, int]
    of_events: bool
    error: BlNeuroError | None = None

    @property
    def images(self) -> FloatArray:
        """The inversions as pictures (K, C, H, W), the mean over time, in 0..1."""
        return pictures_of(self.inversions, self.image_shape)

    @property
    def assumptions(self) -> list[str]:
        """What the attack assumed about inputs before its first query."""
        assumptions: list[str] = self.facts["assumptions"]
        return assumptions

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row for each inversion: its class, the target's answer, the evaluator's verdict; JSON-ready."""
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
        """`facts`, and `rows` as "inversions"; JSON-ready."""
        return {**self.facts, "inversions": self.rows}

    def name_of(self, label: int) -> str:
        """The name of a class; its number where names are not known."""
        return str(label) if self.class_names is None else self.class_names[label]

    def contact_sheet(self) -> Picture:
        """All inversions in one picture, each with its class and what the evaluator, or else the target, sees in it."""
        readings: Sequence[int | None] | None = self.answers
        if self.verdicts is not None:
            readings = [verdict.label for verdict in self.verdicts]
        reader = "the target" if self.verdicts is None else "the evaluator"
        names = self.class_names
        return contact_sheet(self.images, list(self.classes), names, readings=readings, reader=reader)

    def animation(self) -> Animation | None:
        """The inversions in motion, where they are event recordings; else None."""
        if not self.of_events or self.image_shape[0] not in SHOWN_CHANNELS:
            return None
        spikes = self.inversions.spikes
        frames = spikes.reshape(*spikes.shape[:2], *self.image_shape).numpy()
        return event_animation(frames, [self.name_of(label) for label in self.classes])

    def save(self, folder: str | Path, force: bool = False) -> Path:
        """Writes the inversions, attack.json, a contact sheet, and for events an animation; returns the folder.

        Raises:
            InputError: the folder holds an attack already, and force is False. ReportError: it cannot be written to.
        """
        out = Path(folder)
        need_free(out, force)
        self.inversions.save(out / INVERSIONS)
        self.save_facts(out)
        return out

    def save_facts(self, out: Path) -> None:
        """Writes everything but the inversions themselves; an animation of another attack goes. See `save`."""
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
        spent = f"{fixed(self.inversions.queries_per_class, 0, ',')} queries a class"
        lines = [f"<AttackResult: {self.inversions.attack} on {self.place}, {spent}, {self.inversions.status}"]
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
    def place(self) -> str:
        """The substrate, or the endpoint, that was attacked."""
        return str(self.facts["substrate"] or self.facts["model"] or "an endpoint")


def pictures_of(inversions: Inversions, shape: tuple[int, int, int]) -> FloatArray:
    """Inversions as pictures (K, C, H, W)."""
    return np.asarray(inversions.images.reshape(-1, *shape).double())


def need_free(out: Path, force: bool) -> None:
    """Makes the folder and tries it, before minutes are spent on what could then not be written there.

    Raises:
        ReportError: it cannot be made or written to. InputError: it holds an attack, and force is False.
    """
    need_folder(out)
    present = [name for name in sorted(FILES) if (out / name).exists()]
    if present and not force:
        raise InputError(
            f"{out}: holds an attack already ({present[0]}); choose another folder, or replace it with force (--force)"
        )
