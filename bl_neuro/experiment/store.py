"""A folder of results by content address.

    cells/ADDRESS.json          definition and measures of a cell, the digest of its tensors, and a digest of all this
    cells/ADDRESS.safetensors   the network, evaluator or inversions of a cell, if it has any
    times/ADDRESS.json          duration, machine and versions, in which equal runs may differ
    failed/ADDRESS.json         why the cell failed, until it is done
    unfinished/                 checkpoints of trainings
    subject.json                the model and the dataset of all runs
    experiment.json             the experiment of the last run
    command.json                the command of the first run of that experiment

Files are written atomically, the JSON file of a cell last. A result exists if its JSON file exists, is
valid, and contains the measures of its kind of cell (see `measures`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from bl_neuro.errors import ModelFileError, ReportError
from bl_neuro.experiment.cell_measures import CellMeasures
from bl_neuro.experiment.cells import canonical_json, content_address
from bl_neuro.experiment.measures import misfit, model_of
from bl_neuro.files import atomic_path, need_empty, need_folder, need_free, what_is_at, write_text
from bl_neuro.strangers.door import printable_name

MOST_BYTES = 2**26
"""Maximum size of the JSON of a result."""


SUBJECT = "subject.json"
OUTPUTS = ("experiment.json", "command.json", "results.json", "summary.md", "report.html")
"""The files of a run that its next run replaces."""
MARK = "bl-neuro-"
"""Prefix of the hidden files by which the machines of a run recognise the shared folder."""


@dataclass(frozen=True)
class Result:
    """A stored result. tensors: the file of its network, evaluator or inversions, or None; digest: its SHA-256."""

    definition: dict[str, Any]
    measures: CellMeasures
    tensors: Path | None
    digest: str | None = None


class Times(BaseModel):
    """What is recorded of a finished cell beside its result. What is not known has the default.

    seconds: its duration. finished: the time in UTC, ISO 8601. versions: of packages. machine: see
    `provenance.machine`. restarted: descriptions of damaged checkpoints, because of which a training started anew.
    copied: the time at which the result was copied from the cache that runs share (see `trained_cache`); the other
    entries are then of the run that computed it.
    """

    seconds: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] | None = None
    finished: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, str] = Field(default_factory=dict)
    restarted: list[str] = Field(default_factory=list)
    copied: str | None = None


@dataclass(frozen=True)
class Subject:
    """What all runs in a folder are about. A changed experiment on the same subject reuses its results.

    dataset: its name, or the name of its file. model: the fingerprint of a given model; None if there is none.
    """

    dataset: str
    model: str | None

    def __str__(self) -> str:
        model = "targets that it trains" if self.model is None else f"model {self.model[:8]}"
        return f"{model} on {self.dataset}"


class Store:
    """The results in `folder`. Damaged results, and results under a wrong name, count as missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._is_locked = False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the folder against other runs; creates it if needed. The lock ends with the process.

        A nested call keeps the lock until the outer block ends.

        Raises:
            ReportError: another run uses the folder, or it cannot be written to.
        """
        if self._is_locked:
            yield
            return
        from filelock import FileLock, Timeout

        need_folder(self.folder)
        lock = FileLock(self.folder / ".lock")
        try:
            need_empty(self.folder / ".lock")  # it would be emptied
            lock.acquire(timeout=0)
        except Timeout as error:
            raise ReportError(f"{self.folder}: another run uses this folder; wait until it ends") from error
        except OSError as error:
            raise ReportError(f"{self.folder}: expected a writable folder ({error})") from error
        self._is_locked = True
        try:
            self._sweep()
            yield
        finally:
            self._is_locked = False
            lock.release()

    def read(self, address: str) -> Result | None:
        """The result at `address`; None if there is none or it is damaged (see `check`)."""
        result = self.check(address)
        return result if isinstance(result, Result) else None

    def write(
        self,
        definition: dict[str, Any],
        measures: CellMeasures,
        times: Times,
        save: Callable[[Path], None] | None = None,
    ) -> None:
        """Stores a result; `save` writes its tensors to a path.

        Raises:
            ReportError: the result could not be written, or its measures are of another kind of cell; earlier files are
                unchanged.
        """
        address, expected = content_address(definition), model_of(definition)
        if not isinstance(measures, expected):
            raise ReportError(
                f"{self.folder}: expected {expected.__name__} for a cell of kind {definition['kind']}, found "
                f"{type(measures).__name__}; earlier results are kept"
            )
        tensors = self._tensors(address)
        try:
            if save is not None:
                with atomic_path(tensors) as temporary:
                    save(temporary)
                    settle_header(temporary)
            body = {
                "definition": definition,
                "measures": measures.to_json(),
                "tensors": None if save is None else _digest(tensors),
            }
            write_text(self._path("times", address), times.model_dump_json(indent=1) + "\n")
            write_text(self._path("cells", address), canonical_json({**body, "digest": content_address(body)}) + "\n")
            self._path("failed", address).unlink(missing_ok=True)
        except (OSError, ModelFileError, ReportError) as error:
            raise ReportError(
                f"{self.folder}: a result could not be written ({error}); earlier results are kept"
            ) from error

    def write_failure(self, definition: dict[str, Any], error: dict[str, Any]) -> None:
        """Stores why a cell failed. Raises ReportError if it cannot be written."""
        path = self._path("failed", content_address(definition))
        try:
            write_text(path, json.dumps({"definition": definition, **error}, indent=1) + "\n")
        except OSError as problem:
            raise ReportError(f"{self.folder}: could not be written to ({problem})") from problem

    def write_file(self, name: str, text: str) -> None:
        """Writes another file of the folder, atomically. Raises ReportError if that fails."""
        try:
            write_text(self.folder / name, text)
        except OSError as error:
            raise ReportError(f"{self.folder / name}: could not be written ({error})") from error

    def need_subject(self, subject: Subject) -> None:
        """Checks that the folder holds no runs on another model or dataset, and no files that are not of a run.

        Raises:
            ReportError: it does, so that a run would replace them.
        """
        if not (self.folder / SUBJECT).exists() and not (self.folder / "cells").is_dir():
            self._need_free_names()
        need_free((self.folder / name for name in (SUBJECT, *OUTPUTS)), force=True)
        try:
            earlier = Subject(**json.loads((self.folder / SUBJECT).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise ReportError(
                f"{self.folder / SUBJECT}: cannot be read ({type(error).__name__}), so it is not known what the audit "
                "in this folder is about; choose another folder with out (--out), or remove this file"
            ) from error
        if earlier != subject:
            raise ReportError(
                f"{self.folder}: expected a folder for an audit of {subject}, found one of {earlier}; choose another "
                "folder with out (--out)"
            )

    def _need_free_names(self) -> None:
        """Raises ReportError if the folder, which is not of an audit, has files that a run would replace."""
        present = [name for name in OUTPUTS if os.path.lexists(self.folder / name)]
        if present:
            raise ReportError(
                f"{self.folder / present[0]}: already exists and is not of an audit; choose another folder with out "
                "(--out)"
            )

    def write_subject(self, subject: Subject) -> None:
        """Stores what the runs in this folder are about. Raises ReportError if it cannot be written."""
        self.write_file(SUBJECT, json.dumps(asdict(subject)) + "\n")

    def write_experiment(self, experiment: dict[str, Any], command: str | None) -> None:
        """Stores the experiment of a run, and `command` unless an earlier run of the same experiment stored one.

        Raises:
            ReportError: the folder cannot be written to.
        """
        text = json.dumps(experiment, indent=1) + "\n"
        path = self.folder / "experiment.json"
        try:
            resumed = path.read_bytes() == text.encode()
        except OSError:
            resumed = False
        if not resumed:
            self.write_file("command.json", json.dumps({"command": command}) + "\n")
            self.write_file(path.name, text)

    def command(self) -> str | None:
        """The command of the first run of this experiment, or None."""
        try:
            recorded = json.loads((self.folder / "command.json").read_text(encoding="utf-8"))["command"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return printable_name(recorded) if isinstance(recorded, str) else None

    def seconds(self, address: str) -> float | None:
        """Duration of a finished cell, or None if it is not known."""
        return self.times(address).seconds

    def times(self, address: str) -> Times:
        """When and where a cell was finished; nothing is known if the file is missing or damaged."""
        try:
            return Times.model_validate_json(self._path("times", address).read_bytes())
        except (OSError, ValidationError):
            return Times()

    def checkpoint(self, address: str) -> Path:
        """The checkpoint file of the training in a cell."""
        return self.folder / "unfinished" / f"{address}.safetensors"

    def check(self, address: str) -> Result | str | None:
        """The result at `address`, or a description of its damage, or None if there is no result.

        Raises:
            ReportError: a file of the result is, for example, a named pipe, which would neither be read nor replaced.
        """
        path = self._path("cells", address)
        _need_regular(path, self._tensors(address), self._path("times", address))
        try:
            if path.stat().st_size > MOST_BYTES:
                return f"{path}: larger than {MOST_BYTES} bytes"
            body = json.loads(path.read_text(encoding="utf-8"))
            digest = body.pop("digest")
            if digest != content_address(body) or content_address(body["definition"]) != address:
                return f"{path}: its content does not match its digest"
            wanted, tensors = body["tensors"], self._tensors(address)
            if wanted is not None and _digest(tensors) != wanted:
                return f"{tensors}: its content does not match its digest"
            measures = model_of(body["definition"]).model_validate(body["measures"])
            return Result(body["definition"], measures, None if wanted is None else tensors, wanted)
        except FileNotFoundError as error:
            return None if error.filename == str(path) else f"{error.filename}: missing"
        except OSError as error:
            return f"{error.filename or path}: {error.strerror or error}"
        except ValidationError as error:
            return f"{path}: measures that do not fit the kind of the cell ({misfit(error)})"
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return f"{path}: damaged or of another kind ({type(error).__name__})"

    def need_free_names(self, address: str) -> None:
        """Raises ReportError if a failure or a checkpoint of this cell could neither be read nor replaced."""
        _need_regular(self._path("failed", address), self.checkpoint(address))

    def _sweep(self) -> None:
        """Removes temporary files of killed runs."""
        for part in ("cells", "times", "failed", "unfinished"):
            for path in (self.folder / part).glob(".*-*"):
                path.unlink(missing_ok=True)
        for path in self.folder.glob(f".{MARK}*"):
            path.unlink(missing_ok=True)

    def _path(self, part: str, address: str) -> Path:
        return self.folder / part / f"{address}.json"

    def _tensors(self, address: str) -> Path:
        return self.folder / "cells" / f"{address}.safetensors"


def _need_regular(*paths: Path) -> None:
    for path in paths:
        kind = what_is_at(path)
        if kind not in ("a file", "nothing"):
            raise ReportError(
                f"{path}: expected a regular file or a free name, found {kind}; remove it, or choose another folder "
                "with out (--out)"
            )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


LENGTH = 8
"""Number of bytes at the start of a file that contain the header length (little-endian); headers are padded to a
multiple of it."""


def settle_header(path: Path) -> None:
    """Rewrites the header of a safetensors file with sorted metadata. Tensors do not change."""
    content = path.read_bytes()
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    header = json.loads(content[LENGTH:end])
    header = {name: dict(sorted(header[name].items())) if name == "__metadata__" else header[name] for name in header}
    text = json.dumps(dict(sorted(header.items())), separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH)
    path.write_bytes(len(text).to_bytes(LENGTH, "little") + text + content[end:])
