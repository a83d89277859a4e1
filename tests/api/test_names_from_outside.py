"""Names that are not UTF-8 never cost the results of an audit."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import bl_neuro as bl

EXPERIMENT = """\
name = "names"
seeds = 1
restarts = 1
steps = 5
substrates = ["loihi"]
[dataset]
name = "."
[target]
hidden = [10]
proxy_epochs = 1
spiking_epochs = 0
[[evaluators]]
kind = "conv"
epochs = 1
[[attacks]]
attack = "v2"
reveals = ["counts"]
settings = { queries = 20 }
"""


def digits(folder: Path) -> Path:
    """Digits in class folders whose names are not UTF-8."""
    bunch = load_digits()
    for number, (image, label) in enumerate(zip(bunch.images[:200], bunch.target[:200])):
        if label < 3:
            name = os.fsdecode(b"class-\xe9%d" % label)
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.slow
def test_the_audit_of_such_a_folder_ends_with_a_report(tmp_path: Path) -> None:
    folder = digits(tmp_path / os.fsdecode(b"digits-\xe9"))
    (folder / "names.toml").write_text(EXPERIMENT)
    bl.audit(folder / "names.toml", out=tmp_path / "out", progress=None)
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["dataset"]["class_names"] == [r"class-\xe90", r"class-\xe91", r"class-\xe92"]
    assert (tmp_path / "out/report.html").exists()


def test_paths_that_the_report_repeats_are_refused_before_anything_runs(tmp_path: Path) -> None:
    name = str(tmp_path / os.fsdecode(b"digits-\xe9"))
    with pytest.raises(bl.InputError, match=r"data: expected a path whose names are UTF-8, .*rename it or use a link"):
        bl.audit_model("m.safetensors", name)
    with pytest.raises(bl.InputError, match="model: expected a path whose names are UTF-8"):
        bl.audit_model(f"{name}.safetensors", "digits")
