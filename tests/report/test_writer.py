"""Four files, all of them or none, and the same ones for the same results."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from bl_neuro.errors import ReportError
from bl_neuro.report import Pictures, Results, rows_csv, write_report

NAMES = {"report.html", "results.json", "rows.csv", "inversions.safetensors"}
Make = Callable[..., Results]
MakePictures = Callable[[Results], Pictures]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_the_four_files(make_results: Make, make_pictures: MakePictures, tmp_path: Path) -> None:
    results = make_results()
    out = tmp_path / "new" / "folder"
    assert write_report(results, make_pictures(results), out) == out / "report.html"
    assert set(contents(out)) == NAMES
    assert Results.from_json((out / "results.json").read_bytes()) == results


def test_equal_results_give_equal_files(make_results: Make, make_pictures: MakePictures, tmp_path: Path) -> None:
    for name in ("one", "two"):
        results = make_results()
        write_report(results, make_pictures(results), tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_table_is_tidy(make_results: Make) -> None:
    results = make_results()
    rows = list(csv.DictReader(io.StringIO(rows_csv(results))))
    assert len(rows) == len(results.rows) + len(results.controls)
    assert list(rows[0]) == [
        "control", "dataset", "substrate", "attack", "access", "reveals", "target_accuracy",
        "target_test_samples", "attack_accuracy", "attack_accuracy_low", "attack_accuracy_high",
        "top3_accuracy", "confidence", "daa", "pearson_selectivity", "ssim", "spike_density",
        "target_success", "queries_per_class", "seconds", "n", "seed", "restarts", "status",
        "threat_model", "inversions",
    ]  # fmt: skip
    assert [row["control"] for row in rows] == [""] * len(results.rows) + ["shuffled_labels"]
    assert float(rows[0]["confidence"]) == results.rows[0].confidence
    assert json.loads(rows[0]["status"]) == results.rows[0].status
    baseline = next(row for row in rows if row["attack"] == "ann")
    assert baseline["spike_density"] == ""


def test_tensors_are_those_of_the_pictures(make_results: Make, make_pictures: MakePictures, tmp_path: Path) -> None:
    results = make_results()
    pictures = make_pictures(results)
    write_report(results, pictures, tmp_path)
    tensors = load_file(tmp_path / "inversions.safetensors")
    np.testing.assert_array_equal(tensors["class_means"], pictures.class_means)
    for row in results.all_rows():
        made = pictures.inversions[row.inversions]
        np.testing.assert_array_equal(tensors[f"{row.inversions}/rates"], made.rates)
        np.testing.assert_array_equal(tensors[f"{row.inversions}/classes"], made.classes)
        if made.spikes is None:
            assert f"{row.inversions}/spikes" not in tensors
        else:
            np.testing.assert_array_equal(tensors[f"{row.inversions}/spikes"], made.spikes)
    with safe_open(tmp_path / "inversions.safetensors", "np") as file:
        assert json.loads(file.metadata()["class_names"]) == pictures.class_names


@pytest.mark.parametrize("broken", sorted(NAMES))
def test_a_failing_write_leaves_the_earlier_report(
    make_results: Make,
    make_pictures: MakePictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    results = make_results()
    write_report(results, make_pictures(results), tmp_path)
    before = contents(tmp_path)
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.suffix == Path(broken).suffix:
            write(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    changed = make_results(seed=5)
    with pytest.raises(ReportError, match="No space left on device"):
        write_report(changed, make_pictures(changed), tmp_path)
    assert contents(tmp_path) == before


def test_a_file_in_the_way_is_a_clear_error(make_results: Make, make_pictures: MakePictures, tmp_path: Path) -> None:
    results = make_results()
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ReportError, match=r"cannot write the report into .*taken"):
        write_report(results, make_pictures(results), tmp_path / "taken")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda held: held.pop("lava-v2"), "no inversions named 'lava-v2'"),
        (lambda held: held.update({"lava-v2": held["torch-ann"]}), "counts 100 inversions, found 10"),
    ],
)
def test_pictures_must_be_those_of_the_rows(
    make_results: Make,
    make_pictures: MakePictures,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], Any],
    message: str,
) -> None:
    results = make_results()
    pictures = make_pictures(results)
    change(pictures.inversions)
    with pytest.raises(ReportError, match=message):
        write_report(results, pictures, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_class_means_must_be_those_of_the_dataset(
    make_results: Make, make_pictures: MakePictures, tmp_path: Path
) -> None:
    results = make_results()
    dataset = results.dataset.model_copy(update={"classes": 11})
    with pytest.raises(ReportError, match="expected 11 classes, found 10"):
        write_report(make_results(dataset=dataset), make_pictures(results), tmp_path)
