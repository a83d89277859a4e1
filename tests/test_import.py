"""Importing is light, every public name is there, and a missing framework is a message and not a crash."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bl_neuro

HEAVY = (
    "torch",
    "snntorch",
    "norse",
    "lava",
    "matplotlib",
    "pandas",
    "pydantic",
    "sklearn",
    "scipy",
    "h5py",
    "safetensors",
    "numba",
    "nir",
)
FRAMEWORKS = ("snntorch", "norse", "lava.magma", "lava.lib.dl.slayer")  # lava itself is a namespace without code
COMPUTING = ("torch", *FRAMEWORKS, "numba", "scipy.stats", "sklearn", "matplotlib")
LISTED = "def report(*names): print('loaded:', *(name for name in names if name in sys.modules), file=sys.stderr)"
"""Defines `report`, which prints the names of modules that are loaded."""
SILENT = "sys.stdout = open(os.devnull, 'w')"
ABSENT = """
import os, sys
os.environ.pop("BL_NEURO_LAVA_PYTHON", None)
for name in ("snntorch", "norse", "lava"):
    sys.modules[name] = None  # Python then says that there is no such module
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def loaded_by(code: str) -> list[str]:
    """Which heavy modules a fresh interpreter holds after `code`."""
    probe = f"import sys\n{code}\nprint(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)"
    done = python(probe)
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


def test_import_is_light() -> None:
    assert loaded_by("import bl_neuro") == []


def test_help_is_light() -> None:
    commands = [
        "audit",
        "attack",
        "compare",
        "demo",
        "doctor",
        "export",
        "inspect",
        "membership",
        "serve",
        "token",
        "train",
        "verify",
    ]
    calls = [["--help"], ["--version"], *([command, "--help"] for command in commands)]
    loaded = loaded_by(f"from bl_neuro.cli import run\nfor call in {calls}:\n    assert run(call) == 0, call")
    assert set(loaded) <= {"pydantic"}  # newer versions of Typer load it themselves


def reported_by(code: str) -> list[list[str]]:
    """The loaded modules that a fresh interpreter reports, at each call of `report` in `code`."""
    done = python(f"import os, sys\n{LISTED}\n{SILENT}\n{code}")
    assert done.returncode == 0, done.stderr
    return [line.split()[1:] for line in done.stderr.splitlines() if line.startswith("loaded:")]


def test_inspect_and_export_load_nothing_that_computes(tmp_path: Path) -> None:
    weight = 0.3 * np.eye(3, 4)
    files = [str(tmp_path / f"model{suffix}") for suffix in (".net", ".nir", ".safetensors")]
    for file in files:
        bl_neuro.save(bl_neuro.Network((4,), [bl_neuro.Dense(weight, bl_neuro.CubaLIF())]), file)
    code = f"""
from bl_neuro.cli import run
for file in {files}:
    assert run(["inspect", file]) == 0
    report(*{COMPUTING})
    for suffix in (".net", os.path.splitext(file)[1]):  # Loihi's integers are not written as .nir
        assert run(["export", file, file + suffix, "--force"]) == 0
        report(*{COMPUTING})
"""
    assert reported_by(code) == [[]] * 9


@pytest.mark.parametrize("reader", ["hdf5_reader", "image_reader"])
def test_the_process_that_reads_files_of_others_loads_nothing_that_computes(reader: str) -> None:
    assert reported_by(f"import bl_neuro.strangers.{reader}\nreport(*{COMPUTING})") == [[]]


@pytest.mark.slow
def test_serve_and_attack_load_only_the_framework_of_their_substrate(tmp_path: Path) -> None:
    file = str(tmp_path / "model.safetensors")
    bl_neuro.save(bl_neuro.Network((4,), [bl_neuro.Dense(0.3 * np.eye(3, 4), bl_neuro.CubaLIF())]), file)
    unused = (*FRAMEWORKS, "scipy.stats", "sklearn", "matplotlib")
    code = f"""
import bl_neuro.deploy.serve
from bl_neuro.cli import run
from bl_neuro.backends.target import Target
bl_neuro.deploy.serve.serve = lambda target, settings, clients: report(*{unused})
assert run(["serve", file := {file!r}, "--token", "me:" + 40 * "a"]) == 0
def first_query(*arguments, **options):
    report(*{unused})
    os._exit(0)
Target.run = first_query
run(["attack", file])
"""
    assert reported_by(code) == [[], []]


def test_a_network_needs_no_torch() -> None:
    code = "import bl_neuro as bl\nbl.Network((2,), [bl.Dense([[1.0, 2.0]], bl.CubaLIF())]).fingerprint"
    assert loaded_by(code) == []


def test_every_public_name_is_there() -> None:
    for name in bl_neuro.__all__:
        assert getattr(bl_neuro, name) is not None
        assert name in dir(bl_neuro)
    for name in ("data", "drawing", "leakage", "reference", "report", "testing", "training"):
        assert getattr(bl_neuro, name).__name__ == f"bl_neuro.{name}"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'open_targets'"):
        bl_neuro.open_targets  # noqa: B018


def test_every_exception_derives_from_the_package_error() -> None:
    public = {
        name for name, value in vars(bl_neuro).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    defined = {name for name, value in vars(bl_neuro.errors).items() if isinstance(value, type)}
    assert public <= defined
    assert public <= set(bl_neuro.__all__)
    assert all(issubclass(getattr(bl_neuro, name), bl_neuro.BlNeuroError) for name in public)


@pytest.mark.slow
def test_a_missing_framework_says_what_to_install() -> None:
    code = f"""{ABSENT}
import bl_neuro as bl
network = bl.Network((2,), [bl.Dense([[1.0, 2.0]], bl.CubaLIF())])
for substrate in bl.available_substrates():
    try:
        bl.open_target(network, substrate).close()
    except bl.MissingDependency as error:
        print(error)
"""
    messages = python(code).stdout.splitlines()
    wanted = {"snntorch": "snntorch", "norse": "norse", "slayer": "lava", "lava": "lava"}
    assert len(messages) == len(wanted)
    for line, (substrate, extra) in zip(messages, wanted.items()):
        assert line.startswith(f"substrate '{substrate}': ")
        assert f'is not installed; install it with: pip install "bl-neuro[{extra}]"' in line


@pytest.mark.slow
def test_doctor_and_all_else_work_without_any_framework() -> None:
    code = f"""{ABSENT}
import json, numpy as np, bl_neuro as bl
from bl_neuro.cli import run
from bl_neuro.testing.reference_target import SpikesOnlyTarget, easy_network
assert run(["doctor", "--json"]) == 0
box = bl.BlackBox(SpikesOnlyTarget(easy_network()))
assert len(bl.attacks.BrainLeaksV2()(box, classes=[0], steps=3).classes) == 1
plan = bl.training.TargetPlan(hidden=(4,), steps=2, proxy_epochs=1, spiking_epochs=1)
assert bl.training.train_target(bl.data.load_dataset("digits"), plan).classes == 10
assert run(["audit", "demo", "--plan"]) == 0
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report, _ = json.JSONDecoder().raw_decode(done.stdout)
    assert [state["substrate"] for state in report["substrates"] if state["works"]] == ["loihi"]  # our own, by a run
    assert done.stdout.count("is not installed; install it with: pip install") == 2 * 4  # by doctor and by the plan
    for substrate in ("snntorch", "norse", "slayer", "lava"):
        assert f"left out: {substrate}: " in done.stdout
