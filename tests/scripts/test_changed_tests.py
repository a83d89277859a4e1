from __future__ import annotations

from pathlib import Path

import changed_tests
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("bl_neuro/network.py", "tests/test_network.py"),
        ("bl_neuro/leakage/nulls.py", "tests/leakage"),
        ("bl_neuro/experiment/findings/models.py", "tests/experiment/findings"),
        ("backends/loihi/sums.py", "tests/backends"),
        ("deploy/quantize.py", "tests/deploy"),
        ("deploy/serve/app.py", "tests/deploy/serve"),
        ("scripts/reproduce/paper_table.py", "tests/scripts"),
        ("tests/leakage/test_nulls.py", "tests/leakage/test_nulls.py"),
        ("tests/report/conftest.py", "tests/report"),
        ("README.md", None),
    ],
)
def test_tests_mirror_the_code(name: str, place: str | None) -> None:
    path = changed_tests.mirror(name)
    assert (None if path is None else str(path)) == place
    assert path is None or (ROOT / path).exists()


def test_what_a_folder_holds_is_named_once() -> None:
    names = ["bl_neuro/leakage/nulls.py", "tests/leakage/test_nulls.py", "bl_neuro/neuron.py", "docs/x.md"]
    assert changed_tests.tests_of(names, ROOT) == ["tests/leakage", "tests/test_neuron.py"]


def test_a_module_without_tests_of_its_own_has_those_of_its_folder() -> None:
    assert changed_tests.tests_of(["bl_neuro/drawing/no_such/x.py"], ROOT) == ["tests/drawing"]
