"""Shared by all tests: a fixed seed for hypothesis, small networks, skips with advice, namespaces, a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

pytest.register_assert_rewrite("bl_neuro.testing")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tests run side by side, one a core
os.environ["BL_NEURO_CACHE_MIB"] = "0"  # audits share nothing with earlier ones, nor with those of the user

from bl_neuro import AveragePool, Conv, CubaLIF, Dense, Flatten, Network, SumPool  # noqa: E402
from bl_neuro.backends import find_backend, missing_reason  # noqa: E402
from bl_neuro.layers import Layer  # noqa: E402
from bl_neuro.registries import registries  # noqa: E402

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("fixed")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need the results of a whole audit are slow, whichever of them makes it."""
    for item in items:
        if {"undisturbed", "audited"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def needs() -> Callable[[str], None]:
    """Skips the test where the framework of a substrate is not installed, saying what to install."""

    def check(substrate: str) -> None:
        reason = missing_reason(find_backend(substrate))
        if reason:
            pytest.skip(reason)

    return check


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Waits for a condition, a test's own or one from outside; fails where it has not come true after `deadline_s`."""

    def wait(condition: Callable[[], object], deadline_s: float = 20.0) -> None:
        end = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < end, f"not in {deadline_s} s"
            time.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def in_mount_namespace() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command in a mount namespace of its own, after a shell command that mounts or makes what it needs there.

    The namespace is one of root's, or else one of a new user namespace. Where neither may be prepared, the test skips.
    """

    def run(preparation: str, *command: str) -> subprocess.CompletedProcess[str]:
        if shutil.which("unshare") is None:
            pytest.skip("unshare is not on the PATH (Linux)")
        reasons = []
        for user in ([], ["--user", "--map-root-user"]):
            unshare = ["unshare", *user, "--mount", "--propagation", "private", "sh", "-c"]
            trial = subprocess.run([*unshare, preparation], capture_output=True, text=True)
            if trial.returncode == 0:
                script = f'{{ {preparation}; }} && exec "$@"'
                return subprocess.run([*unshare, script, "sh", *command], capture_output=True, text=True, timeout=280)
            reasons.append(trial.stderr.strip())
        pytest.skip(f"may not prepare a mount namespace: {'; '.join(reasons)}")

    return run


@pytest.fixture(scope="module")
def toy_package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Installs `tests/toy_package` for the tests of a module, in a folder on sys.path and PYTHONPATH; that folder.

    It holds what pip would put there: the package and its metadata, with the entry points of its pyproject.toml.
    """
    source, folder = Path(__file__).parent / "toy_package", tmp_path_factory.mktemp("site")
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (folder / "toy_bl_neuro").symlink_to(source / "toy_bl_neuro")
    install_metadata(folder, project["name"], project["version"], project["entry-points"])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
        forget_packages()
        yield folder
    for module in [name for name in sys.modules if name.split(".")[0] == "toy_bl_neuro"]:
        del sys.modules[module]
    forget_packages()


def install_metadata(folder: Path, name: str, version: str, groups: dict[str, dict[str, str]]) -> None:
    """Writes the metadata of a package that adds `groups` of entry points."""
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = []
    for group, points in groups.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="session")
def installs() -> Callable[..., None]:
    """See `install_metadata`."""
    return install_metadata


def forget_packages() -> None:
    """Has the registries look for packages again."""
    for registry in registries().values():
        vars(registry).pop("_added", None)


@pytest.fixture(scope="session")
def small_network() -> Network:
    """Three inputs, four hidden neurons, two classes; the hidden ones have biases and decays of their own."""
    rng = np.random.default_rng(5)
    hidden = CubaLIF(threshold=1.0, current_decay=0.5, voltage_decay=[0.1, 0.2, 0.3, 0.4], bias=[0.0, 0.1, 0.0, -0.1])
    return Network((3,), [Dense(rng.normal(size=(4, 3)), hidden), Dense(rng.normal(size=(2, 4)), CubaLIF())])


@pytest.fixture(scope="session")
def image_network() -> Network:
    """One of every kind of layer: (2, 6, 6) images, three classes."""
    rng = np.random.default_rng(6)
    layers: list[Layer] = [
        Conv(rng.normal(size=(4, 1, 3, 3)), CubaLIF(threshold=0.8), padding=1, groups=2),
        SumPool(2),
        Conv(rng.normal(size=(3, 4, 2, 2)), CubaLIF(threshold=[0.5, 1.0, 1.5], bias=0.05)),
        AveragePool(2, 1),
        Flatten(),
        Dense(rng.normal(size=(3, 3)), CubaLIF()),
    ]
    return Network((2, 6, 6), layers)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium with an empty profile, which logs its console and its network."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        pytest.skip(f"not on the PATH: {', '.join(missing)}")
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=programs["chromedriver"])
    )
    yield driver
    driver.quit()
