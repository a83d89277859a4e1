"""Writing a run's results: four files, all of them or none."""

from __future__ import annotations

import csv
import io
import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from bl_neuro.errors import ReportError
from bl_neuro.files import atomic_path
from bl_neuro.report.pictures import Pictures
from bl_neuro.report.schema import Control, Results, Row

REPORT, RESULTS, ROWS, INVERSIONS = "report.html", "results.json", "rows.csv", "inversions.safetensors"

COLUMNS = ("control", *(name for name in Row.model_fields if name != "curve"))


def write_report(results: Results, pictures: Pictures, out: Path) -> Path:
    """Write results.json, rows.csv, inversions.safetensors and report.html into a folder; the page's path.

    The folder is made if need be. Every file is written whole beside its place before the first one is put
    there, so a full disk leaves an earlier report as it was.

    Raises:
        ReportError: the pictures are not those of the rows, or a file cannot be written.
    """
    from bl_neuro.report.html import render

    _check(results, pictures)
    files = {
        REPORT: render(results, pictures).encode("utf-8"),
        INVERSIONS: _tensors(results, pictures),
        ROWS: rows_csv(results).encode("utf-8"),
        RESULTS: results.to_json().encode("utf-8"),
    }
    _write_all(Path(out), files)
    return Path(out) / REPORT


def rows_csv(results: Results) -> str:
    """Rows, then controls, a line each; null is empty, `control` names the kind of control or is empty."""
    held = io.StringIO()
    table = csv.DictWriter(held, COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in results.all_rows():
        values = row.model_dump(include=set(COLUMNS))
        values["status"] = json.dumps(row.status, sort_keys=True)
        values["control"] = row.kind if isinstance(row, Control) else None
        table.writerow(values)
    return held.getvalue()


def _check(results: Results, pictures: Pictures) -> None:
    """ReportError unless every row has its pictures, as many as it counted."""
    classes = len(pictures.class_means)
    if classes != results.dataset.classes:
        raise ReportError(f"class_means: expected {results.dataset.classes} classes, found {classes}")
    for row in results.all_rows():
        made = pictures.inversions.get(row.inversions)
        if made is None:
            raise ReportError(f"pictures: no inversions named {row.inversions!r}")
        if len(made.rates) != row.n:
            raise ReportError(
                f"pictures: the row {row.inversions!r} counts {row.n} inversions, found {len(made.rates)}"
            )


def _tensors(results: Results, pictures: Pictures) -> bytes:
    """Class means and, for each row, `<key>/rates`, `<key>/classes` and, if there are any, `<key>/spikes`."""
    from safetensors.numpy import save

    tensors = {"class_means": np.ascontiguousarray(pictures.class_means, dtype=np.float32)}
    for row in results.all_rows():
        made = pictures.inversions[row.inversions]
        tensors[f"{row.inversions}/rates"] = np.ascontiguousarray(made.rates, dtype=np.float32)
        tensors[f"{row.inversions}/classes"] = np.ascontiguousarray(made.classes, dtype=np.int64)
        if made.spikes is not None:
            tensors[f"{row.inversions}/spikes"] = np.ascontiguousarray(made.spikes)
    # One key only: safetensors does not keep the order of several, and equal runs should give equal files.
    return save(tensors, metadata={"class_names": json.dumps(pictures.class_names)})


def _write_all(folder: Path, files: dict[str, bytes]) -> None:
    """Write every file beside its place, then move them all, the last one given first."""
    try:
        with ExitStack() as moves:
            for name, content in files.items():
                moves.enter_context(atomic_path(folder / name)).write_bytes(content)
    except OSError as error:
        raise ReportError(f"cannot write the report into {folder}: {error}") from error
