"""`bl-neuro data status`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _no_data_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BL_NEURO_DATA", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One photograph, and a label file where MNIST should be."""
    for name in ("att_faces/s1/1.pgm", "MNIST/raw/t10k-labels-idx1-ubyte"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_without_a_root_the_output_explains_how_to_name_one(call: Callable[..., Any]) -> None:
    result = call("data", "status")
    assert (result.code, result.err) == (0, "")
    assert "No data folder: give --root or set BL_NEURO_DATA" in result.out
    for name in ("mnist", "att_faces", "nmnist", "dvs_gesture"):
        assert f"\n{name}: Get it from https://" in result.out
    assert "digits: " not in result.out


def test_the_table(call: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = call("data", "status", "--root", root)
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines()]
    rows = {words[0]: words[1:4] for words in lines if len(words) > 3}
    assert rows["digits"] == ["complete", "1,797", "1,797"]
    assert rows["att_faces"] == ["subset", "1", "400"]
    assert rows["mnist"][0] == "damaged"
    assert rows["nmnist"][0] == "missing"
    assert "found no raw/train-images-idx3-ubyte" in result.out
    monkeypatch.setenv("BL_NEURO_DATA", str(root))
    assert call("data", "status").out == result.out


def test_json(call: Callable[..., Any], root: Path) -> None:
    result = call("data", "status", "--root", root, "--json")
    values = json.loads(result.out)
    assert values["root"] == str(root)
    states = {
        dataset["name"]: (dataset["state"], dataset["found"], dataset["published"]) for dataset in values["datasets"]
    }
    assert states["att_faces"] == ("subset", 1, 400)
    assert states["dvs_gesture"] == ("missing", 0, 1219)
    assert json.loads(call("data", "status", "--json").out)["root"] is None


def test_an_invalid_root_is_refused(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name, kind in (("none", "nothing"), ("file", "a file")):
        result = call("data", "status", "--root", tmp_path / name)
        assert result.code == 2
        assert f"{name}: expected the folder of the datasets, found {kind}" in result.err
