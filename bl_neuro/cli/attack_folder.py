"""The folder that `bl-neuro attack` writes: the inversions, what it takes to run it again, a picture of each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import Inversions
from bl_neuro.errors import InputError, ReportError
from bl_neuro.files import atomic_path, need_folder, write_text

INVERSIONS, FACTS = "inversions.safetensors", "attack.json"
PICTURE = re.compile(r"inversion-[0-9]{2,}-class-[0-9]+\.png")
"""Names of the pictures, which alone are removed where another attack is written over."""
PIXEL = 16
"""Side of an input pixel in the pictures that are saved."""


def need_free(out: Path, force: bool) -> None:
    """Makes the folder and tries it, before minutes are spent on what could then not be written there.

    Raises:
        ReportError: it cannot be made or written to. InputError: it holds an attack, and is not to be written over.
    """
    need_folder(out)
    held = sorted(path.name for path in out.iterdir() if _ours(path.name))
    if held and not force:
        raise InputError(f"{out}: holds an attack already ({held[0]}); choose another folder, or --force to replace it")


def save_attack(inversions: Inversions, images: FloatArray, facts: dict[str, object], out: Path) -> None:
    """Writes the inversions, `facts` and `images` (K, C, H, W) in 0..1; pictures of another attack go.

    Raises:
        ReportError: something cannot be written.
    """
    from bl_neuro.drawing.style import png

    inversions.save(out / INVERSIONS)
    pictures = {
        f"inversion-{number:02d}-class-{label}.png": np.rint(
            255 * np.kron(1 - np.clip(image.mean(axis=0), 0, 1), np.ones((PIXEL, PIXEL)))
        ).astype(np.uint8)
        for number, (label, image) in enumerate(zip(inversions.classes.tolist(), images))
    }
    try:
        write_text(out / FACTS, json.dumps(facts, indent=2) + "\n")
        for name, picture in pictures.items():
            with atomic_path(out / name) as temporary:
                temporary.write_bytes(png(picture))
        for path in sorted(out.iterdir()):
            if PICTURE.fullmatch(path.name) and path.name not in pictures:
                path.unlink()
    except OSError as error:
        raise ReportError(f"{out}: expected a writable folder ({error})") from error


def _ours(name: str) -> bool:
    return name in (INVERSIONS, FACTS) or PICTURE.fullmatch(name) is not None


def _enlarged(image: FloatArray) -> npt.NDArray[np.uint8]:
    """A picture (C, H, W) in 0..1 as grey values, 1 black on white, each input pixel a square."""
    ink = np.kron(np.clip(image.mean(axis=0), 0, 1), np.ones((PIXEL, PIXEL)))
    return np.asarray(np.rint(255 * (1 - ink)), dtype=np.uint8)
