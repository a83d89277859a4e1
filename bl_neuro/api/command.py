"""The command line that audits a model, as its report states it: equal on every machine, for equal results."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from bl_neuro.experiment.given_model import ModelAudit
from bl_neuro.experiment.provenance import portable_path

PATHS = ("dataset", "trained_on")


def model_command(request: ModelAudit) -> str:
    """`bl-neuro audit` with the options that results depend on, without the folders of this machine.

    Where results go, where data lies, and how many processes run (`--out`, `--root`, `--jobs`, `--scheduler`) is left
    out: equal results have equal commands.
    """
    words = ["bl-neuro", "audit", portable_path(str(request.file))]
    for field in fields(ModelAudit):
        value, option = getattr(request, field.name), field.name.replace("_", "-")
        if field.name == "file" or value == field.default:
            continue
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", _word(field.name, value)]
    return shlex.join(words)


def _word(name: str, value: Any) -> str:
    if name in PATHS:
        return portable_path(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    return str(value)
