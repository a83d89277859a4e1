"""The README's Python does what it says, word for word."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.data import load_digits, three_way_split
from bl_neuro.testing.handmade_net import conv, dense, write
from bl_neuro.training import TargetPlan, train_evaluator, train_target

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SEVERAL_MODELS = "A model you have already"


def run(block: str, **names: Any) -> dict[str, Any]:
    """What is there after `block` ran beside `names`."""
    namespace: dict[str, Any] = {"bl": bl, "np": np, **names}
    exec(compile(block, "README.md", "exec"), namespace)
    return namespace


def block_after(text: str) -> str:
    """The Python block behind `text`."""
    (namespace,) = re.findall(re.escape(text) + r".*?```python\n(.*?)```", README, re.DOTALL)[:1]
    return str(namespace)


def test_every_block_is_run_by_a_test() -> None:
    assert len(BLOCKS) == 4


def test_the_first_attack(needs: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("snntorch")
    monkeypatch.chdir(tmp_path)
    demo = tmp_path / "runs" / "demo"
    demo.mkdir(parents=True)
    split = three_way_split(load_digits(), 0)
    plan = TargetPlan(hidden=(32,), steps=8, proxy_epochs=25, spiking_epochs=1)
    bl.save(train_target(split.target, plan), demo / "target.safetensors")
    train_evaluator(split.evaluator, steps=8, epochs=12).save(demo / "evaluator.safetensors")
    assert run(BLOCKS[0])["inversions"].spikes.shape == (20, 10, 1, 8, 8)
    assert (tmp_path / "inversions.safetensors").is_file()


def test_data_and_training() -> None:
    namespace = run(BLOCKS[3])
    shown = namespace["judge"].probabilities(namespace["split"].test.images)
    assert (shown.argmax(1) == namespace["split"].test.labels).mean() > 0.9
    assert (namespace["target"].input_shape, namespace["target"].classes) == ((1, 8, 8), 10)


def test_a_network_of_ones_own(needs: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("norse")
    monkeypatch.chdir(tmp_path)
    namespace = run(BLOCKS[1])
    assert namespace["response"].spikes.shape == (20, 5, 10)
    assert bl.load("model.net").arithmetic == "loihi"


def test_a_model_of_ones_own(needs: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each statement on the model that it is about: what the block calls `module` is one for each converter."""
    needs("snntorch")
    import snntorch
    from torch import nn

    monkeypatch.chdir(tmp_path)
    write(
        tmp_path / "exported.net",
        *[dense(weight=[[2, 4], [6, -8]])] * 3,
    )
    write(tmp_path / "convolutions.net", conv(shape=[2, 27, 27]))
    bl.save(bl.Network((2,), [bl.Dense(np.eye(2), bl.CubaLIF())]), tmp_path / "model.nir")
    _write_as_snntorch(tmp_path / "snntorch.nir")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(784, 10)

    block = block_after(SEVERAL_MODELS)
    statements = re.findall(r"^network = (?:.*\n)(?:(?: |\)).*\n)*", block, re.MULTILINE)
    assert "".join(statements) == block
    layers = []
    for statement in statements:
        sequence = nn.Sequential(nn.Linear(784, 10), snntorch.Leaky(beta=0.9))
        module = Net() if "state_dict" in statement else sequence
        layers.append(len(run(statement, module=module)["network"].layers))
    assert layers[1] == 3


def _write_as_snntorch(path: Path) -> None:
    """A NIR file with the numbers that snnTorch's exporter writes for `Leaky(beta=0.9)`."""
    nir = pytest.importorskip("nir", reason="nir is not installed")
    tau = np.full(2, 1e-4 / (1 - 0.9))
    neuron = nir.LIF(tau=tau, r=tau / 1e-4, v_leak=0 * tau, v_threshold=np.ones(2), v_reset=0 * tau)
    nir.write(path, nir.NIRGraph.from_list(nir.Affine(np.eye(2), np.zeros(2)), neuron))
