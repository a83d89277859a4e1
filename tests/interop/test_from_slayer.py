from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import bl_neuro as bl
from bl_neuro import Network, Unsupported
from bl_neuro.backends import open_target
from bl_neuro.interop.slayer_modules import from_slayer

pytestmark = pytest.mark.slayer
Build = Callable[..., Any]
NEURON = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}


@pytest.fixture(scope="module")
def cuba(needs: Callable[[str], None]) -> Any:
    """SLAYER's CUBA blocks."""
    needs("slayer")
    from lava.lib.dl.slayer.block import cuba

    torch.manual_seed(0)
    return cuba


def dense(cuba: Any, inner: int, out: int, neuron: dict[str, Any] | None = None, **options: Any) -> Any:
    return cuba.Dense({**NEURON, **(neuron or {})}, inner, out, weight_scale=4, **options)


def outputs(blocks: Any, x: np.ndarray[Any, Any], shifted: int) -> np.ndarray[Any, Any]:
    """Spikes (T, B, ...) of blocks run by hand, with the pipeline's delay cut off."""
    values = torch.from_numpy(np.concatenate([x, np.zeros((shifted, *x.shape[1:]))]).astype(np.float32)).movedim(0, -1)
    with torch.no_grad():
        for block in blocks:
            values = block(values)
    result: np.ndarray[Any, Any] = values.movedim(-1, 0).numpy()[shifted:]
    return result


@pytest.mark.parametrize("case", ["plain", "weight_norm", "delay", "bias", "decays", "mask"])
@pytest.mark.filterwarnings("ignore:torch.nn.utils.weight_norm")
def test_it_spikes_as_the_blocks_do_and_holds_what_they_export(cuba: Any, case: str, tmp_path: Path) -> None:
    from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm

    neuron = {"bias": {"norm": MeanOnlyBatchNorm}, "decays": {"shared_param": False}}.get(case)
    # with delay_shift, biases act on later blocks before their first input comes: neither aligned nor cold
    options: dict[str, Any] = {
        "weight_norm": case == "weight_norm",
        "delay": case == "delay",
        "delay_shift": case != "bias",
    }
    first = dense(cuba, 12, 9, neuron, **options, mask=(torch.rand(9, 12) < 0.5) if case == "mask" else None)
    blocks = nn.ModuleList([first, dense(cuba, 9, 4, neuron, **options)])
    x = np.random.default_rng(1).random((30, 3, 12)) < 0.3
    outputs(blocks, x, 0)  # draws delays and decays
    for block in blocks:
        if case == "delay":
            block.delay.delay.data *= 6
        if case == "bias":
            block.neuron.norm.running_mean = 0.2 * torch.randn_like(block.neuron.norm.running_mean)
    blocks.eval()
    network = from_slayer(blocks, (12,))
    assert network.arithmetic == "loihi"
    with open_target(network, "loihi") as target:
        ours = target.run(x.astype(np.uint8)).spikes.numpy()
    assert ours.any()
    assert (ours == outputs(blocks, x, 0 if case == "bias" else 2)).all()
    with h5py.File(tmp_path / "exported.net", "w") as file:
        first.export_hdf5(file)
        layer = network.layers[0]
        assert isinstance(layer, bl.Dense)
        assert (file["weight"][()].astype(int) == layer.weight).all()
        assert file["neuron/vThMant"][()] == layer.neuron.threshold
        assert (file["neuron/iDecay"][()] == 4096 * layer.neuron.current_decay).all()
        if case == "delay":
            assert layer.delay is not None
            assert (file["delay"][()] == layer.delay[:, 0]).all()


def test_a_module_that_holds_blocks(cuba: Any) -> None:
    class Net(nn.Module):
        def __init__(self, silent: bool = False) -> None:
            super().__init__()
            conv = cuba.Conv(dict(NEURON), 2, 4, 3, stride=2, padding=1, weight_scale=4)
            self.blocks = nn.ModuleList([conv, cuba.Flatten(), dense(cuba, 64, 5)])
            self.silent = silent

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                x = block(0 * x if self.silent else x)
            return x

    network = from_slayer(Net(), (2, 8, 8))
    assert [type(layer).__name__ for layer in network.layers] == ["Conv", "Flatten", "Dense"]
    with pytest.raises(Unsupported, match=r"\d+ of \d+ bins differ"):
        from_slayer(Net(silent=True), (2, 8, 8))


def test_unsupported_blocks_are_refused_by_name(cuba: Any) -> None:
    blocks = nn.Sequential(
        cuba.Pool(dict(NEURON), 2),
        cuba.Input(dict(NEURON)),
        dense(cuba, 4, 4, {"threshold": 80}),
        dense(cuba, 4, 4, {"graded_spike": True}, delay=True),
        dense(cuba, 4, 4, {"shared_param": False}),
        cuba.Affine(dict(NEURON), 4, 4),
        cuba.Average(2),
    )
    with pytest.raises(Unsupported) as caught:
        from_slayer(blocks, (4,))
    for message in (
        "0: cuba.Pool: expected",
        "1: Input with neurons",
        "2: threshold: expected vThMant in 1..4095",
        "3: graded_spike",
        "3: delay: its delays are drawn",
        "4: shared_param=False",
        "5: Affine: expected as the last block",
        "6: cuba.Average: expected",
    ):
        assert message in str(caught.value)


def test_the_blocks_are_left_as_they_were(cuba: Any) -> None:
    block = dense(cuba, 6, 3, {"persistent_state": True})
    blocks = nn.ModuleList([block])
    with torch.no_grad():
        block(torch.ones(2, 6, 5))
    weight, voltage, random = block.synapse.weight.clone(), block.neuron.voltage_state, torch.random.get_rng_state()
    assert isinstance(from_slayer(blocks, (6,)), Network)
    assert block.delay_shift
    assert block.neuron.voltage_state is voltage
    assert torch.equal(block.synapse.weight, weight)
    assert block.synapse.weight.requires_grad
    assert torch.equal(torch.random.get_rng_state(), random)


def test_recurrent_blocks_and_an_affine_at_the_end(cuba: Any, tmp_path: Path) -> None:
    recurrent = cuba.Recurrent({**NEURON, "threshold": 2.0}, 12, 9, weight_scale=4)
    affine = cuba.Affine(dict(NEURON), 9, 4, weight_scale=4)
    blocks = nn.ModuleList([recurrent, affine])
    network = from_slayer(blocks, (12,))
    assert network.readout == "membrane"
    outputs(blocks, np.zeros((2, 1, 12)), 0)  # tells the neurons their shape
    first, last = network.layers
    assert isinstance(first, bl.Dense)
    assert isinstance(last, bl.Dense)
    assert first.recurrent is not None
    assert first.recurrent.any()
    assert last.neuron.threshold == 2**17
    with h5py.File(tmp_path / "exported.net", "w") as file:
        for index, block in enumerate(blocks):
            block.export_hdf5(file.create_group(f"layer/{index}"))
    assert bl.load(tmp_path / "exported.net").layers[0].weight.tolist() == first.weight.tolist()  # type: ignore[union-attr]
    x = np.random.default_rng(1).random((30, 3, 12)) < 0.3
    with open_target(network, "loihi") as ours, open_target(bl.load(tmp_path / "exported.net"), "loihi") as theirs:
        imported, exported = (target.run(x.astype(np.uint8), layers=True) for target in (ours, theirs))
    assert (imported.layers[0] == exported.layers[0]).all()  # type: ignore[index]
    assert imported.layers[0].any()  # type: ignore[index]
    assert (imported.membrane == exported.membrane).all()  # type: ignore[union-attr]


def test_a_voltage_that_is_not_ours_is_seen(cuba: Any) -> None:
    class Louder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([dense(cuba, 12, 9), cuba.Affine(dict(NEURON), 9, 4, weight_scale=4)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.blocks[1](1.1 * self.blocks[0](x))
            return result

    with pytest.raises(Unsupported, match=r"bins differ, first at layer with neurons number 1"):
        from_slayer(Louder(), (12,))


def test_an_empty_model_is_refused(cuba: Any) -> None:
    with pytest.raises(bl.InputError):
        from_slayer(nn.ModuleList([]), (12,))


class Shown(nn.Module):
    """A module that shows its blocks under a second name."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    @property
    def blocks(self) -> nn.Module:
        return self.layers


NORMS: dict[str, Any] = {
    "weight_norm": torch.nn.utils.weight_norm,
    "spectral_norm": torch.nn.utils.spectral_norm,
    "parametrised weight_norm": torch.nn.utils.parametrizations.weight_norm,
    "pruned": lambda synapse: torch.nn.utils.prune.random_unstructured(synapse, "weight", amount=0.4),
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("kind", NORMS)
def test_weights_that_torch_computes_are_those_of_the_forward_pass(cuba: Any, kind: str, checked: bool) -> None:
    def blocks(seed: int, mask: Any = None) -> nn.Sequential:
        torch.manual_seed(seed)
        made = nn.Sequential(dense(cuba, 6, 8, mask=mask), dense(cuba, 8, 3))
        NORMS[kind](made[0].synapse)
        return made

    module = blocks(1)
    module.load_state_dict(blocks(2).state_dict())  # the attribute `weight` is outdated until the module runs
    layer = from_slayer(module, (6,), checked=checked).layers[0]
    assert isinstance(layer, bl.Dense)
    synapse = module.eval()[0].synapse
    synapse(torch.zeros(1, 6, 1))
    expected = synapse.pre_hook_fx(synapse.weight, descale=True).detach().numpy().reshape(8, 6)
    np.testing.assert_array_equal(layer.weight, expected)
    masked = blocks(1, torch.eye(8, 6) == 0)
    for masked_module in (masked, Shown(masked)):
        with pytest.raises(Unsupported, match="0: mask with weight_norm or other computed weights"):
            from_slayer(masked_module, (6,), checked=checked)


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("place", ["", "1", "1.synapse"])
def test_hooks_of_containers_blocks_and_synapses_are_refused(cuba: Any, place: str, checked: bool) -> None:
    module = nn.Sequential(dense(cuba, 6, 4), dense(cuba, 4, 3))
    module.get_submodule(place).register_forward_pre_hook(lambda _, x: (3 * x[0],))
    with pytest.raises(Unsupported, match=f"{place or 'module'}: .* has a forward pre-hook"):
        from_slayer(module, (6,), checked=checked)


def test_containers_with_a_call_of_their_own_are_no_plain_containers(cuba: Any) -> None:
    class Louder(nn.Sequential):
        def __call__(self, x: torch.Tensor) -> Any:
            return super().__call__(3 * x)

    class Running(nn.ModuleList):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for block in self:
                x = block(0 * x)
            return x

    blocks = [dense(cuba, 6, 4), dense(cuba, 4, 3)]
    with pytest.raises(Unsupported, match="Louder overrides __call__, so the order"):
        from_slayer(Louder(*blocks), (6,))
    with pytest.raises(Unsupported, match="Running has a custom forward, so the order"):
        from_slayer(Running(blocks), (6,))
    with pytest.raises(Unsupported, match="bins differ"):
        from_slayer(Running(blocks), (6,), order=["0", "1"])
    assert from_slayer(nn.Sequential(nn.Sequential(blocks[0]), blocks[1]), (6,)) == from_slayer(
        nn.ModuleList(blocks), (6,)
    )


def test_a_block_used_twice_is_named(cuba: Any) -> None:
    block = dense(cuba, 4, 4)
    with pytest.raises(Unsupported, match="1: the same object as 0"):
        from_slayer(nn.Sequential(block, block), (4,))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("neuron", None, "0: neuron: expected SLAYER's Neuron, found NoneType"),
        ("synapse", None, "0: synapse: expected SLAYER's Dense or Conv, found NoneType"),
        ("delay", 3, "0: delay: expected SLAYER's Delay or None, found int"),
        ("mask", torch.ones(5, 5, 1, 1, 1), "0: mask: expected one value per weight, found shape .5, 5, 1, 1, 1."),
        ("pre_hook_fx", lambda weight, descale: 1 / 0, "0: pre_hook_fx: .* it failed .ZeroDivisionError"),
        ("pre_hook_fx", lambda weight: weight, "0: pre_hook_fx: .* argument descale=True"),
        ("pre_hook_fx", lambda weight, descale: None, "0: result of pre_hook_fx: expected real numbers"),
        ("pre_hook_fx", lambda weight, descale: weight[0], "0: pre_hook_fx: expected a result of shape"),
    ],
)
def test_blocks_with_other_parts_are_refused(cuba: Any, part: str, value: Any, message: str) -> None:
    block = dense(cuba, 6, 4)
    setattr(block.synapse if part == "pre_hook_fx" else block, part, value)
    with pytest.raises(Unsupported, match=message):
        from_slayer(nn.Sequential(block), (6,))
