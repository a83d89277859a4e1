"""A short run of the fuzzer of model files, and that it reports failures."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import fuzzing
import h5py
import numpy as np
import pytest

from bl_neuro.testing.file_mutations import BYTES, CONTENT, mutate, valid_files
from bl_neuro.testing.hdf5_blocks import change_block, lookup3, metadata_blocks

SCRIPT = Path(__file__).parents[2] / "scripts" / "harden" / "fuzz_model_files.py"
pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's memory accounting"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    return importlib.import_module("fuzz_model_files")


def test_150_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--files", "150", "--seed", "7", "--children", "1", "--kept", "kept"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outcome = json.loads(ran.stdout)
    assert (outcome["files"], outcome["failed"]) == (150, 0)
    assert {".net read", ".net refused", ".safetensors refused", ".npz read", ".npz refused"} <= set(
        outcome["outcomes"]
    )
    assert not (tmp_path / "kept").exists()


def test_every_mutation_can_be_made_again_from_its_seed(tmp_path: Path) -> None:
    sources = valid_files(tmp_path)
    assert {source.suffix for source in sources} == set(CONTENT)
    seen = set()
    for seed in range(600):
        source = sources[seed % len(sources)]
        one, two = tmp_path / f"1{source.suffix}", tmp_path / f"2{source.suffix}"
        kinds = {mutate(source, path, np.random.default_rng(seed)) for path in (one, two)}
        seen |= kinds
        assert len(kinds) == 1
        assert one.stat().st_size == two.stat().st_size
        if kinds <= set(BYTES):
            assert one.read_bytes() == two.read_bytes()
    assert seen == {*BYTES, *(kind for content in CONTENT.values() for kind in content)}


BAD = """
import os, sys, time
sys.path[:] = {path!r}
def read(path):
    if path.endswith("crash"): os._exit(11)
    if path.endswith("sleep"): time.sleep(60)
    raise KeyError("bare")
import fuzzing
fuzzing.serve(read)
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [("crash", "crashed: exit code 11"), ("sleep", "hung"), ("other", "raised: KeyError: 'bare'")],
)
def test_crashes_and_hangs_are_reported(
    fuzzer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, reason: str
) -> None:
    script = tmp_path / "bad.py"
    script.write_text(BAD.format(path=sys.path))
    monkeypatch.setattr(fuzzing, "HANG_S", 0.5)
    child = fuzzing.Child([sys.executable, str(script)])
    try:
        outcome = child.open(tmp_path / what)
    finally:
        child.close()
    assert reason in str(fuzzer.failure(outcome))


def test_crashes_of_the_reading_room_are_counted(fuzzer: ModuleType) -> None:
    refused = {"detail": "ModelFileError: x.nir: damaged or too demanding: HDF5 crashed (SIGFPE)"}
    assert fuzzer.room_failure(refused) == "HDF5 crashed (SIGFPE)"
    assert fuzzer.room_failure({"detail": "ModelFileError: x.nir: damaged"}) is None


def test_what_counts_as_a_failure(fuzzer: ModuleType) -> None:
    fine = {"verdict": "refused", "detail": "", "seconds": 1.9, "mb": 499.0}
    assert fuzzer.failure(fine) is None
    assert fuzzer.failure({**fine, "seconds": 2.1}) == "took 2.10 s"
    assert fuzzer.failure({**fine, "detail": "HDF5 ended (exit code 1)"}) is not None
    assert fuzzer.failure({**fine, "mb": 501.0}) == "grew by 501 MB"


def test_memory_is_measured() -> None:
    """In a process of its own, since the system may page out a large one meanwhile."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import json, numpy as np, fuzzing; "
        "print(json.dumps(fuzzing.outcome('x', lambda path: np.ones(8 * 2**20))))"  # 64 MB
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    outcome = json.loads(done.stdout)
    assert outcome["verdict"] == "read"
    assert 60 < outcome["mb"] < 200


def test_checksums_of_changed_blocks_are_repaired(tmp_path: Path) -> None:
    """HDF5 then reads what was changed, and so may fail on it."""
    assert lookup3(b"Four score and seven years ago") == 0x17770551, "the value that its author gives"
    path = tmp_path / "latest.nir"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("group/packed", data=np.arange(300), chunks=(10,), compression=1)
        file["word"] = "word"
    content = path.read_bytes()
    before = [block for block in metadata_blocks(content) if block[2]]
    assert {content[start : start + 4] for start, _, _ in before} >= {b"\x89HDF", b"OHDR", b"FAHD", b"FADB"}
    for seed in range(20):
        path.write_bytes(content)
        change_block(path, np.random.default_rng(seed))
        changed = path.read_bytes()
        for start, end, _ in before:
            assert int.from_bytes(changed[end : end + 4], "little") == lookup3(changed[start:end])
