"""Results that would take too much memory are refused by their size, before they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bl_neuro.api.compare import compare
from bl_neuro.errors import ReportError
from bl_neuro.experiment.comparison import GROWTH, MOST_BYTES, read_results


def folder(parent: Path, name: str, size: int) -> Path:
    """A folder of results of this size, which takes no space on disk."""
    (parent / name).mkdir()
    with (parent / name / "results.json").open("wb") as file:
        file.truncate(size)
    return parent / name


@pytest.fixture(autouse=True)
def no_memory_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BL_NEURO_READ_MIB", raising=False)


def test_large_results_are_refused_unless_a_variable_allows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 180 * 10**6
    large = folder(tmp_path, "large", size)
    needed = -(-GROWTH * size // 2**20)
    with pytest.raises(ReportError, match=rf"expected at most {MOST_BYTES} bytes .*set BL_NEURO_READ_MIB={needed}$"):
        read_results(large)
    monkeypatch.setenv("BL_NEURO_READ_MIB", str(needed - 1))
    with pytest.raises(ReportError, match="set BL_NEURO_READ_MIB"):
        read_results(large)


def test_the_named_value_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = folder(tmp_path, "large", MOST_BYTES + 1)
    monkeypatch.setenv("BL_NEURO_READ_MIB", str(-(-GROWTH * (MOST_BYTES + 1) // 2**20)))
    with pytest.raises(ReportError, match="expected results in the format"):  # it is read, and is not JSON
        read_results(large)


def test_the_results_of_a_comparison_count_together(tmp_path: Path) -> None:
    runs = [folder(tmp_path, name, MOST_BYTES // 2 + 1) for name in ("one", "other")]
    with pytest.raises(ReportError, match=rf"one, .*other: expected at most .* found {2 * (MOST_BYTES // 2 + 1)}"):
        compare(runs)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "results.json")
    with pytest.raises(ReportError, match="not a regular file; expected the folder of a finished audit"):
        read_results(tmp_path)
