"""The attack that CONTRIBUTING.md shows passes the contract, and runs from the command line, as it is printed there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bl_neuro as bl
from bl_neuro.testing.reference_target import easy_images

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with the package of the section on attacks, as if it were installed."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text[text.index("## Adding an attack") : text.index("## Style")]
    attack, test = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (points,) = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    (tmp_path / "my_attacks").mkdir()
    (tmp_path / "my_attacks" / "__init__.py").touch()
    (tmp_path / "my_attacks" / "coin_flips.py").write_text(attack)
    (tmp_path / "test_coin_flips.py").write_text(test)
    installed = tmp_path / "my_attacks-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-attacks\nVersion: 1.0\n")
    group, entry = points.strip().splitlines()
    name, value = (part.strip().strip('"') for part in entry.split("="))
    assert group == '[project.entry-points."bl_neuro.attacks"]'
    (installed / "entry_points.txt").write_text(f"[bl_neuro.attacks]\n{name} = {value}\n")
    return tmp_path


def python(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
    )


def test_the_attack_passes_the_contract(package: Path) -> None:
    done = python(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_coin_flips.py")
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


def test_the_attack_runs_from_the_command_line(package: Path) -> None:
    bl.save(easy_images(), package / "target.safetensors")
    words = ["--attack", "coin_flips", "--budget", 1000, "--set", "density=0.2", "--steps", 4, "--json"]
    done = python(package, "-m", "bl_neuro", "attack", "target.safetensors", *words)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["attack"], facts["settings"], facts["queries"]) == (
        *("coin_flips", {"queries": 333, "density": 0.2}, 999),
    )
