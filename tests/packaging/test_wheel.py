"""The wheel holds the whole package and adds one name, bl_neuro, to site-packages."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

pytestmark = pytest.mark.slow

SOURCES = {"bl_neuro": "bl_neuro", "backends": "bl_neuro/backends", "deploy": "bl_neuro/deploy"}
SHIPPED_SUFFIXES = {".py", ".css", ".html", ".j2", ".json", ".toml"}


def where_it_installs(path: Path) -> str | None:
    """The name that a file of the repository must have in the wheel, or None if it does not belong there."""
    top, *rest = path.parts
    if top not in SOURCES or not rest or (path.suffix not in SHIPPED_SUFFIXES and path.name != "py.typed"):
        return None
    return str(PurePosixPath(SOURCES[top], *rest))


@pytest.fixture(scope="module")
def wheel(repository: Path, repository_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel as a release makes it: by way of a source distribution, from a copy without a stale build/."""
    pytest.importorskip("build", reason="building a wheel needs the dev extra")
    copy = tmp_path_factory.mktemp("copy")
    for name in repository_files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / name, copy / name, follow_symlinks=False)
    out = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)],
        cwd=out,
        env={**os.environ, "PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert built.returncode == 0, built.stdout[-4000:]
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def test_every_source_file_is_in_the_wheel(wheel: zipfile.ZipFile, repository_files: list[Path]) -> None:
    expected = {name for name in map(where_it_installs, repository_files) if name}
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert not expected - shipped, "missing from the wheel: list the package in pyproject.toml"
    assert not shipped - expected, "in the wheel, but not in the repository"


def test_only_bl_neuro_is_installed(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert tops == {"bl_neuro"}
    assert metadata(wheel, "top_level.txt").split() == ["bl_neuro"]


def test_the_command_and_the_licence_are_declared(wheel: zipfile.ZipFile) -> None:
    assert "bl-neuro = bl_neuro.cli:main" in metadata(wheel, "entry_points.txt")
    assert "License-Expression: BSD-3-Clause" in metadata(wheel, "METADATA")


def test_the_version_is_the_packages_own(wheel: zipfile.ZipFile) -> None:
    scope: dict[str, object] = {}
    exec(wheel.read("bl_neuro/_version.py"), scope)
    assert f"\nVersion: {scope['__version__']}\n" in metadata(wheel, "METADATA")


@pytest.mark.parametrize("link", ["backends", "deploy"])
def test_the_symlinks_point_at_the_top_level_folders(repository: Path, link: str) -> None:
    path = repository / "bl_neuro" / link
    assert path.is_symlink()
    assert path.readlink() == Path("..", link)
