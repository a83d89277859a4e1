"""The Python examples in README and docs run as printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.data import load_dataset, three_way_split
from bl_neuro.testing.handmade_net import conv, dense, write
from bl_neuro.training import TargetPlan, train_target

ROOT = Path(__file__).parents[2]
PAGES = {"README": ROOT / "README.md", **{path.stem: path for path in (ROOT / "docs").glob("*.md")}}
BLOCKS = {name: re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL) for name, path in PAGES.items()}


def run(page: str, number: int, **names: Any) -> dict[str, Any]:
    """The names that a block of a page leaves behind, run beside `names`."""
    namespace: dict[str, Any] = {"bl": bl, "np": np, **names}
    exec(compile(BLOCKS[page][number], PAGES[page].name, "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def network() -> bl.Network:
    """A small network that knows digits."""
    split = three_way_split(load_dataset("digits"), 0)
    return train_target(split.target, TargetPlan(hidden=(32,), steps=8, proxy_epochs=25, spiking_epochs=1))


def test_every_block_is_run_by_a_test() -> None:
    counted = {name: len(blocks) for name, blocks in BLOCKS.items() if blocks}
    assert counted == {"README": 2, "attacks": 2, "models": 3, "serving": 2, "clusters": 1, "membership_api": 1}


def test_the_readme_has_at_most_a_thousand_words() -> None:
    assert len(PAGES["README"].read_text().split()) <= 1000


@pytest.mark.slow
def test_an_audit_and_an_attack_of_the_readme(
    network: bl.Network, needs: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("snntorch")
    monkeypatch.chdir(tmp_path)
    bl.save(network, "model.net")
    names = run("README", 0)
    assert names["audit"].report.is_file()
    assert len(names["audit"].rows) > 1
    assert run("README", 1, network=names["network"])["inversions"].spikes.shape == (25, 10, 1, 8, 8)
    assert (tmp_path / "inversions.safetensors").is_file()


def test_attacks(network: bl.Network, needs: Callable[[str], None]) -> None:
    needs("snntorch")
    names = run("attacks", 0, network=network)
    assert names["white"].spikes.shape == names["black"].spikes.shape == (25, 10, 1, 8, 8)


@pytest.mark.slow
def test_data_and_training() -> None:
    names = run("attacks", 1)
    shown = names["judge"].probabilities(names["split"].test.images)
    assert (shown.argmax(1) == names["split"].test.labels).mean() > 0.9
    assert (names["target"].input_shape, names["target"].classes) == ((1, 8, 8), 10)


@pytest.mark.slow
def test_membership(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run("membership_api", 0)
    assert names["box"].remaining == 0
    assert names["result"].auc > 0.5
    assert (tmp_path / "membership.json").is_file()


def test_a_network_in_python(needs: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("norse")
    monkeypatch.chdir(tmp_path)
    names = run("models", 0)
    assert names["response"].spikes.shape == (20, 5, 10)
    assert bl.load("model.net").arithmetic == "loihi"


def test_a_sigma_delta_network_in_python() -> None:
    names = run("models", 1, rng=np.random.default_rng(0))
    assert names["response"].membrane.shape == (20, 5, 1)


def test_a_model_that_you_already_have(
    needs: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement on the model that it is about: what the block calls `module` is one for each converter."""
    needs("snntorch")
    import snntorch
    from torch import nn

    monkeypatch.chdir(tmp_path)
    write(tmp_path / "exported.net", *[dense(weight=[[2, 4], [6, -8]])] * 3)
    write(tmp_path / "convolutions.net", conv(shape=[2, 27, 27]))
    bl.save(bl.Network((2,), [bl.Dense(np.eye(2), bl.CubaLIF())]), tmp_path / "model.nir")
    _write_as_snntorch(tmp_path / "snntorch.nir")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(784, 10)

    block = BLOCKS["models"][2]
    statements = re.findall(r"^network = (?:.*\n)(?:(?: |\)).*\n)*", block, re.MULTILINE)
    assert "".join(statements) == block
    layers = []
    for statement in statements:
        sequence = nn.Sequential(nn.Linear(784, 10), snntorch.Leaky(beta=0.9))
        namespace: dict[str, Any] = {"bl": bl, "module": Net() if "state_dict" in statement else sequence}
        exec(compile(statement, "models.md", "exec"), namespace)
        layers.append(len(namespace["network"].layers))
    assert layers[1] == 3


def _write_as_snntorch(path: Path) -> None:
    """A NIR file with the numbers that snnTorch's exporter writes for `Leaky(beta=0.9)`."""
    nir = pytest.importorskip("nir", reason="nir is not installed")
    tau = np.full(2, 1e-4 / (1 - 0.9))
    neuron = nir.LIF(tau=tau, r=tau / 1e-4, v_leak=0 * tau, v_threshold=np.ones(2), v_reset=0 * tau)
    nir.write(path, nir.NIRGraph.from_list(nir.Affine(np.eye(2), np.zeros(2)), neuron))


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_repository_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", PAGES[page].read_text())
    missing = [link for link in links if "://" not in link and not (PAGES[page].parent / link).exists()]
    assert not missing
