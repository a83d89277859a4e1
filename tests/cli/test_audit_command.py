"""The command that a report states is the one that was run, without what only this machine has."""

from __future__ import annotations

import pytest

from bl_neuro.cli.audit_command import portable_command
from bl_neuro.cli.audit_model import ModelOptions


@pytest.mark.parametrize(
    ("experiment", "options", "command"),
    [
        ("digits", ModelOptions(), "bl-neuro audit digits"),
        ("/shared/someone/my audit.toml", ModelOptions(), "bl-neuro audit 'my audit.toml'"),
        ("audits/mine.toml", ModelOptions(), "bl-neuro audit audits/mine.toml"),
        ("../secret/mine.toml", ModelOptions(), "bl-neuro audit mine.toml"),
        (
            "/data/mnist.net",
            ModelOptions("mnist", steps=16, class_map="1,0", lava=False, trained_on="/shared/someone/used.npy"),
            "bl-neuro audit mnist.net --dataset mnist --steps 16 --class-map 1,0 --no-lava --trained-on used.npy",
        ),
        ("m.nir", ModelOptions("~/own.npz"), "bl-neuro audit m.nir --dataset own.npz"),
    ],
)
def test_commands_are_portable(experiment: str, options: ModelOptions, command: str) -> None:
    assert portable_command(experiment, options) == command
