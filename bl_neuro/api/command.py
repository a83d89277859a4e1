"""The command line that a report states for the audit of a model. Equal results have equal commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from bl_neuro.experiment.given_model import ModelAudit
from bl_neuro.experiment.provenance import portable_path

PATHS = ("dataset", "trained_on", "auxiliary")


def model_command(request: ModelAudit) -> str | None:
    """The `bl-neuro audit` command with all options that affect the results, without local paths.

    None if the attacks or evaluators are not stated by their names alone, which no option can express. The options
    `--out`, `--root`, `--jobs` and `--scheduler` are left out, since they do not affect the results.
    """
    if not all(isinstance(part, str) for part in (*(request.attacks or ()), *(request.evaluators or ()))):
        return None
    words = ["bl-neuro", "audit", portable_path(str(request.file))]
    for field in fields(ModelAudit):
        value, option = getattr(request, field.name), field.name.replace("_", "-")
        if field.name != "file" and value != field.default:
            words += [f"--{option}", _word(field.name, value)]
    return shlex.join(words)


def _word(name: str, value: Any) -> str:
    if name in PATHS:
        return portable_path(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            return "none"
        return ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
    return "none" if value is False else str(value)
