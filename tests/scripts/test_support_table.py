"""The support table matches the declarations of the backends, and every "yes" opens and runs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.backends import find_backend
from bl_neuro.backends.registry import BACKENDS
from bl_neuro.deploy.parity import Stimulus, compare, generated
from bl_neuro.testing.reference_target import ReferenceBackend
from bl_neuro.testing.registered import registered

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "support_table.py"

support_table = importlib.import_module("support_table")
PROBES = {
    f"{title}: {name}": network for title, rows in support_table.probes().items() for name, network in rows.items()
}


def row(feature: str) -> list[str]:
    """The cells of a feature; the last row of that name."""
    lines = [line for line in support_table.table().splitlines() if line.startswith(f"| {feature} |")]
    return [cell.strip() for cell in lines[-1].split("|")[2:-1]]


@pytest.mark.slow
def test_the_readme_says_what_the_backends_say() -> None:
    if support_table.written() is None:
        pytest.skip(f"docs/substrates.md has no {support_table.BEGIN} marks yet")
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_table_is_stable_and_whole() -> None:
    first = support_table.table()
    assert first == support_table.table()
    rows = [line for line in first.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {len(BACKENDS.ours) + 2}
    numbers = [int(line.split(".")[0]) for line in first.splitlines() if line[:1].isdigit()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_documented_limits_of_substrates_are_in_the_table() -> None:
    assert row("`Dense`") == ["yes"] * 5
    assert [cell[:3].strip() for cell in row("`SumPool`")] == ["yes", "yes", "no", "no", "no"]
    assert [cell[:3].strip() for cell in row("`voltage_decay` 0")] == ["yes", "no", "yes", "yes", "yes"]
    assert [cell[:3].strip() for cell in row("delays")] == ["yes", "yes", "no", "yes", "yes"]
    assert row("gradients (white box)") == ["yes", "yes", "yes", "yes", "no"]


def test_substrates_of_other_packages_are_columns_of_what_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["support_table.py"])
    with registered(BACKENDS, ReferenceBackend):
        assert support_table.main() == 0
        assert "`reference`" not in support_table.table()
    assert "| `lava` | `reference` |" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("feature", PROBES)
def test_a_yes_runs_as_promised_and_a_no_is_refused(feature: str) -> None:
    network = PROBES[feature]
    backends = {name: find_backend(name) for name in BACKENDS.ours}
    holds = {name: not backend.problems(network) for name, backend in backends.items()}
    installed = [name for name, it in backends.items() if it.imported_here and not bl.backends.missing_reason(it)]
    for name in installed:
        if not holds[name]:
            with pytest.raises(bl.Unsupported, match=r"layer \d"):
                bl.open_target(network, name)
    able = [name for name in installed if holds[name]]
    few = [made for made in generated(network, steps=12, batch=2) if made.values.any()]
    if len(able) == 1:
        with bl.open_target(network, able[0]) as target:
            assert target.run(few[-1].values).spikes.shape == (12, 2, *network.output_shape)
    elif able:
        report = compare(network, able, few)
        assert report.broken == ()


@pytest.mark.slow
def test_lava_holds_what_it_says(needs: Callable[[str], None]) -> None:
    needs("lava")
    for feature in ("delays", "input neurons", "`vThMant` 0"):
        network = PROBES[f"Loihi's arithmetic (`.net` files): {feature}"]
        values = next(made for made in generated(network, steps=10, batch=2, seed=2) if np.ptp(made.values) > 0)
        report = compare(network, ["loihi", "lava"], [Stimulus("one", values.values)])
        assert report.pairs[0].promised
        assert report.pairs[0].exact, feature


def test_writing_keeps_the_rest_of_the_readme(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{support_table.BEGIN}\nold\n{support_table.END}\n\nafter\n", encoding="utf-8")
    assert support_table.written(readme) == "old\n"
    support_table.insert(readme)
    assert support_table.written(readme) == support_table.table()
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\n\nafter\n")
    support_table.insert(readme)
    assert readme.read_text(encoding="utf-8") == text
    (tmp_path / "bare.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(bl.ModelFileError, match="expected the marks"):
        support_table.insert(tmp_path / "bare.md")
