"""Where to train: on the processor, or on a GPU where there is one."""

from __future__ import annotations

import torch

from bl_neuro.errors import InputError


def find_device(name: str = "auto") -> torch.device:
    """The device called so: "cpu", "cuda", or "auto", a GPU where torch sees one.

    Results repeat on one machine and device; a GPU's differ from the processor's in their last digits.

    Raises:
        InputError: there is no such device here.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device: expected auto, cpu or cuda, found {name!r}")
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError("device: found no GPU that torch can use; use auto or cpu")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")
