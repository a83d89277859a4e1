"""What all tests share: a fixed seed for hypothesis, small networks, skips that say what to install, a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

pytest.register_assert_rewrite("bl_neuro.testing")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tests run side by side, one a core

from bl_neuro import AveragePool, Conv, CubaLIF, Dense, Flatten, Network, SumPool  # noqa: E402
from bl_neuro.backends import find_backend, missing_reason  # noqa: E402
from bl_neuro.layers import Layer  # noqa: E402

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("fixed")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def needs() -> Callable[[str], None]:
    """Skips the test where the framework of a substrate is not installed, saying what to install."""

    def check(substrate: str) -> None:
        reason = missing_reason(find_backend(substrate))
        if reason:
            pytest.skip(reason)

    return check


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
