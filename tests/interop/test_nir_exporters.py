"""Files that snnTorch's and Norse's own exporters write, against the modules they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bl_neuro import ModelFileError, Network
from bl_neuro.interop.nir_file import read_nir
from bl_neuro.interop.norse_modules import from_norse
from bl_neuro.interop.snntorch_modules import from_snntorch
from bl_neuro.neuron import Reset
from bl_neuro.reference import simulate

nir = pytest.importorskip("nir", reason="nir is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def same_spikes(imported: Network, own: Network) -> bool:
    """Whether all layers spike alike; every layer has to be active."""
    x = np.random.default_rng(0).random((60, 8, *own.input_shape)) < 0.4
    pairs = list(zip(simulate(imported, x).layer_spikes, simulate(own, x).layer_spikes, strict=True))
    assert all(0.01 < right.mean() < 0.99 for _, right in pairs)
    return all((left == right).all() for left, right in pairs)


def between(*shape: int) -> torch.Tensor:
    return 0.1 + 0.8 * torch.rand(*shape)


@pytest.mark.snntorch
@pytest.mark.parametrize("reset", ["subtract_delayed", "zero"])
def test_snntorch(reset: Reset, tmp_path: Path) -> None:
    snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
    export = pytest.importorskip("snntorch.export_nir", reason="nirtorch is not installed").export_to_nir
    torch.manual_seed(0)
    zero = reset == "zero"
    mechanism: dict[str, Any] = {"reset_mechanism": "zero" if zero else "subtract", "init_hidden": True}
    cells = [
        snn.Leaky(beta=between(15), threshold=between(15), **mechanism),
        snn.Synaptic(between(7), between(7), 0.3 * torch.ones(7), reset_delay=not zero, output=True, **mechanism),
    ]
    module = nn.Sequential(nn.Linear(18, 15), cells[0], nn.Linear(15, 7, bias=False), cells[1])
    path = tmp_path / "snn.nir"
    nir.write(path, export(module, torch.randn(1, 18), ignore_dims=[0]))
    assert same_spikes(read_nir(path, convention="snntorch", reset=reset), from_snntorch(module, (18,)))
    with pytest.raises(ModelFileError, match="v_reset = 0 for every"):
        read_nir(path, convention="snntorch")


@pytest.mark.snntorch
@pytest.mark.parametrize("kind", ["RSynaptic", "RLeaky"])
def test_recurrent_snntorch(kind: str, tmp_path: Path) -> None:
    """Exported as a nested graph with a loop; compared with snnTorch's own run of its module."""
    snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
    export = pytest.importorskip("snntorch.export_nir", reason="nirtorch is not installed").export_to_nir
    torch.manual_seed(0)
    synaptic = kind == "RSynaptic"
    options: dict[str, Any] = {"linear_features": 15, "init_hidden": True, "threshold": 0.5 * torch.ones(15)}
    cell = snn.RSynaptic(0.55, 0.9, **options) if synaptic else snn.RLeaky(between(15), **options)
    last = snn.Synaptic(between(7), between(7), 0.3 * torch.ones(7), init_hidden=True, output=True)
    module = nn.Sequential(nn.Linear(18, 15), cell, nn.Linear(15, 7), last)
    path = tmp_path / "snn.nir"
    nir.write(path, export(module, torch.randn(1, 18), ignore_dims=[0]))
    network = read_nir(path, convention="snntorch", reset="subtract_delayed")
    spikes = torch.rand(60, 8, 18) < 0.3
    for layer in (cell, last):
        layer.reset_mem()
    module.double()
    cell.spike_grad = last.spike_grad = lambda shifted: (shifted > 0).double()  # its own returns float32
    with torch.no_grad():
        own = torch.stack([module(step)[0] for step in spikes.double()])
    run = simulate(network, spikes.numpy())
    assert (run.spikes == own.numpy()).all()
    assert all(0.01 < layer.mean() < 0.99 for layer in run.layer_spikes)
    assert np.any(getattr(network.layers[0], "recurrent", 0))


@pytest.mark.snntorch
def test_snntorch_images(tmp_path: Path) -> None:
    snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
    export = pytest.importorskip("snntorch.export_nir", reason="nirtorch is not installed").export_to_nir
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3, bias=False),
        snn.Leaky(beta=between(2, 6, 6), threshold=torch.full((2, 6, 6), 0.3), init_hidden=True),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(18, 5),
        snn.Leaky(beta=between(5), threshold=0.2 * torch.ones(5), init_hidden=True, output=True),
    )
    module[4].weight.data *= 4
    path = tmp_path / "snn.nir"
    nir.write(path, export(module, torch.randn(1, 1, 8, 8), ignore_dims=[0]))
    imported = read_nir(path, convention="snntorch", reset="subtract_delayed")
    assert same_spikes(imported, from_snntorch(module, (1, 8, 8)))


@pytest.mark.snntorch
@pytest.mark.parametrize(("alpha", "beta"), [(None, 0.0), (0.0, 0.5), (0.5, 0.0), (0.0, 0.0)])
def test_neurons_without_memory(alpha: float | None, beta: float, tmp_path: Path) -> None:
    """Their decay in the file is 1.0000000252621255, since tau = 1e-4 is rounded to float32."""
    snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
    export = pytest.importorskip("snntorch.export_nir", reason="nirtorch is not installed").export_to_nir
    torch.manual_seed(0)
    options: dict[str, Any] = {"threshold": 0.2 * torch.ones(9), "init_hidden": True, "output": True}
    betas = torch.full((9,), beta)
    if alpha is None:
        cell = snn.Leaky(beta=betas, reset_mechanism="zero", **options)
    else:
        cell = snn.Synaptic(torch.full((9,), alpha), betas, reset_mechanism="zero", reset_delay=False, **options)
    module = nn.Sequential(nn.Linear(18, 9, bias=False), cell)
    path = tmp_path / "snn.nir"
    nir.write(path, export(module, torch.randn(1, 18), ignore_dims=[0]))
    imported = read_nir(path, convention="snntorch", reset="zero")
    own = from_snntorch(module, (18,))
    assert same_spikes(imported, own)
    neurons, own_neurons = (network.layers[0].neuron for network in (imported, own))  # type: ignore[union-attr]
    for name in ("voltage_decay", "current_decay"):
        assert np.allclose(getattr(neurons, name), getattr(own_neurons, name), rtol=1e-6, atol=0)
        assert getattr(neurons, name).max() <= 1


@pytest.mark.snntorch
def test_a_beta_of_one_is_written_as_infinite_and_refused(tmp_path: Path) -> None:
    snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
    export = pytest.importorskip("snntorch.export_nir", reason="nirtorch is not installed").export_to_nir
    cell = snn.Leaky(beta=torch.ones(4), threshold=torch.ones(4), init_hidden=True, output=True)
    path = tmp_path / "snn.nir"
    nir.write(path, export(nn.Sequential(nn.Linear(3, 4), cell), torch.randn(1, 3), ignore_dims=[0]))
    with pytest.raises(ModelFileError, match=r"expected finite numbers"):
        read_nir(path, convention="snntorch", reset="subtract_delayed")


@pytest.mark.norse
@pytest.mark.parametrize(("exporter", "dt"), [({}, None), ({"dt": 1.0}, 1e-3)])
def test_norse(exporter: dict[str, float], dt: float | None, tmp_path: Path) -> None:
    norse = pytest.importorskip("norse.torch", reason="norse is not installed")
    torch.manual_seed(0)
    parameters = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(300.0))
    module = norse.SequentialState(
        nn.Linear(18, 15), norse.LIFBoxCell(parameters), nn.Linear(15, 7, bias=False), norse.LIFCell()
    )
    for layer in (module[0], module[2]):
        layer.weight.data *= 8
    path = tmp_path / "norse.nir"
    nir.write(path, norse.to_nir(module, torch.randn(2, 18), **exporter), compression=None)
    assert same_spikes(read_nir(path, convention="norse", dt=dt), from_norse(module, (18,)))
