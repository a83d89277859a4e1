"""The command of an audit as its report states it: what was asked for, on any machine and by any number of workers."""

from __future__ import annotations

import shlex
from dataclasses import fields

from bl_neuro.cli.audit_model import ModelOptions
from bl_neuro.experiment.provenance import portable_path


def portable_command(experiment: str, options: ModelOptions) -> str:
    """`bl-neuro audit` with the options that its results depend on, without the folders of this machine.

    Where results go, where data lies, and how many processes run cells (`--out`, `--root`, `--jobs`, `--scheduler`) is
    left out: equal results come with equal commands.
    """
    words = ["bl-neuro", "audit", portable_path(experiment)]
    for field in fields(ModelOptions):
        value, option = getattr(options, field.name), field.name.replace("_", "-")
        if value == field.default:
            continue
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", portable_path(value) if field.name in ("dataset", "trained_on") else str(value)]
    return shlex.join(words)
