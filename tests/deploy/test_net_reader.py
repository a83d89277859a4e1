"""Reading `.net` files: the network has the values of the file; files that netx would misread are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.deploy.net_reader import read_net
from bl_neuro.errors import DelaysShortened, InputError, KernelSizeIgnored, ModelFileError
from bl_neuro.testing.handmade_net import Block, conv, current, dense, image, neuron, write

DENSE_REC: Block = {"weight_rec": [[0, 1], [-2, 3]], "type": "dense_rec"}


def read(folder: Path, *blocks: Block, layers: int | None = None) -> bl.Network:
    return read_net(write(folder / "model.net", *blocks), layers)


def test_a_dense_network(tmp_path: Path) -> None:
    network = read(tmp_path, dense(bias=[3.9, -3.9]), dense(shape=[4], weight=[2.7, -2.7] * 4, neuron__type="LOIHI"))
    assert (network.arithmetic, network.readout, network.input_kind) == ("loihi", "spikes", "spikes")
    assert network.input_shape == (3,)
    first, second = network.layers
    assert isinstance(first, bl.Dense)
    assert isinstance(second, bl.Dense)
    assert first.weight.tolist() == [[1, -2, 3], [4, 5, -6]]
    assert first.neuron.bias.tolist() == [3, -3], "netx rounds toward zero"
    assert second.weight.tolist() == [[2, -2]] * 4, "and reads a vector row by row"
    assert first.neuron.threshold == 80
    assert first.neuron.current_decay * 4096 == 1024
    assert first.neuron.voltage_decay * 4096 == 123


def test_without_a_neuron_group_it_never_fires(tmp_path: Path) -> None:
    bare = {key: value for key, value in dense(bias=[1, 2]).items() if not key.startswith("neuron")}
    network = read(tmp_path, bare)
    (layer,) = network.layers
    assert isinstance(layer, bl.Dense)
    assert network.readout == "membrane"
    assert layer.neuron.threshold == 2**17
    assert layer.neuron.current_decay == 0
    assert layer.neuron.voltage_decay == 1
    assert layer.neuron.bias.tolist() == [1, 2]


@pytest.mark.parametrize(("threshold", "readout"), [(2**17, "membrane"), (131071, "membrane"), (131070, "spikes")])
def test_a_threshold_out_of_reach_reads_out_the_membrane(tmp_path: Path, threshold: int, readout: str) -> None:
    assert read(tmp_path, dense(neuron__vThMant=threshold)).readout == readout


@pytest.mark.parametrize(
    ("weight_shape", "delay", "expected"),
    [
        ((3, 3), [1, 2, 3], [[1, 1, 1], [2, 2, 2], [3, 3, 3]]),
        ((3, 2), [1, 2, 3], [[1, 1], [2, 2], [3, 3]]),
        ((2, 3), [1, 2, 62], [[1, 2, 62], [1, 2, 62]]),
        ((2, 2), 5, [[5, 5], [5, 5]]),
        ((2, 2), [[0, 1], [2, 3]], [[0, 1], [2, 3]]),
    ],
)
def test_delays(tmp_path: Path, weight_shape: tuple[int, int], delay: Any, expected: Any) -> None:
    """A vector is over the rows where it fits them, also in a square matrix."""
    weight = np.arange(1, 1 + np.prod(weight_shape)).reshape(weight_shape)
    (layer,) = read(tmp_path, dense(weight=weight, shape=weight_shape[:1], delay=np.float32(delay))).layers
    assert isinstance(layer, bl.Dense)
    assert layer.delay is not None
    assert np.broadcast_to(layer.delay, weight_shape).tolist() == expected


def test_recurrent_synapses(tmp_path: Path) -> None:
    (layer,) = read(tmp_path, dense(**DENSE_REC)).layers
    assert isinstance(layer, bl.Dense)
    assert layer.recurrent is not None
    assert layer.recurrent.tolist() == [[0, 1], [-2, 3]]


def test_images_are_channels_first_and_their_neurons_width_first(tmp_path: Path) -> None:
    decay, bias = np.arange(24).reshape(4, 3, 2), np.arange(24).reshape(4, 3, 2)[::-1]
    network = read(
        tmp_path,
        image(),
        conv(neuron__iDecay=decay, bias=bias, neuron__vDecay=[7, 8]),
        {"type": "flatten"},
        dense(weight=np.ones((2, 24))),
    )
    first = network.layers[0]
    assert isinstance(first, bl.Conv)
    assert network.input_shape == (1, 4, 5)
    assert network.shapes == ((2, 3, 4), (24,), (2,))
    assert (first.neuron.current_decay * 4096).tolist() == decay.transpose(2, 1, 0).tolist()
    assert first.neuron.bias.tolist() == bias.transpose(2, 1, 0).tolist()
    assert (first.neuron.voltage_decay * 4096).tolist() == [7, 8]
    assert first.weight.tolist() == (np.arange(8).reshape(2, 1, 2, 2) - 3).tolist()


def test_geometry_is_height_then_width(tmp_path: Path) -> None:
    block = conv(shape=[2, 3, 3], stride=[2, 1], padding=[1, 0], dilation=[1, 2], weight=np.ones((2, 1, 2, 2, 1)))
    layer = read(tmp_path, image(), block).layers[0]
    assert isinstance(layer, bl.Conv)
    assert (layer.stride, layer.padding, layer.dilation) == ((2, 1), (1, 0), (1, 2))


@pytest.mark.parametrize(
    ("weight", "bias", "expected"), [([40.9], -7.9, (40, -7)), (None, None, (64, 0)), (-3, [2], (-3, 2))]
)
def test_input_neurons(tmp_path: Path, weight: Any, bias: Any, expected: tuple[float, float]) -> None:
    network = read(tmp_path, current(weight=weight, bias=bias), dense())
    layer = network.layers[0]
    assert isinstance(layer, bl.Input)
    assert network.input_kind == "current"
    assert (layer.weight.item(), layer.bias.item()) == expected
    assert not layer.neuron.bias.any()


def test_an_image_into_a_first_dense_layer_is_flattened(tmp_path: Path) -> None:
    for blocks in ((image(shape=[1, 1, 3]), {"type": "flatten"}, dense()), (image(shape=[1, 1, 3]), dense())):
        network = read(tmp_path, *blocks)
        assert network.input_shape == (1, 1, 3)
        assert [type(layer) for layer in network.layers] == [bl.Flatten, bl.Dense]


def test_only_the_first_blocks(tmp_path: Path) -> None:
    blocks = (dense(), dense(weight=np.ones((2, 2))), {"type": "average", "shape": [1]})
    assert len(read(tmp_path, *blocks, layers=2).layers) == 2
    assert len(bl.load(tmp_path / "model.net", layers=1).layers) == 1
    with pytest.raises(ModelFileError, match=r"block 2 \(average\): block 'average': netx does not implement it"):
        read(tmp_path, *blocks)
    with pytest.raises(ModelFileError, match="layer: expected 4 blocks, as requested, found 3"):
        read(tmp_path, *blocks, layers=4)


@pytest.mark.parametrize("layers", [0, -1, 1.5, "2", True])
def test_layers_is_a_count(tmp_path: Path, layers: Any) -> None:
    with pytest.raises(InputError, match="layers: expected a whole number of at least 1"):
        read(tmp_path, dense(), layers=layers)


REFUSED: dict[str, tuple[list[Block], str]] = {
    "resonate and fire": ([dense(neuron__type="RF")], r"block 0 \(dense\): neuron: type 'RF': resonate-and-fire"),
    "resonators": ([dense(neuron__type="RF_PHASE")], "neuron: type 'RF_PHASE': resonate-and-fire"),
    "other neurons": ([dense(neuron__type="ALIF")], "neuron: type 'ALIF': netx does not implement it"),
    "graded spikes": ([dense(neuron__gradedSpike=True)], "neuron: gradedSpike: expected 0, found 1; graded spikes"),
    "message bits": ([dense(neuron__messageBits=8)], "neuron: messageBits: expected 0, found 8; graded spikes"),
    "refractory": ([dense(neuron__refDelay=3)], "neuron: refDelay: expected 1, found 3; netx ignores it"),
    "weight exponent": ([dense(neuron__wgtExp=-1)], "neuron: wgtExp: expected 0, found -1; netx ignores it"),
    "unknown neuron key": ([dense(neuron__noise=1)], "neuron: noise: unknown key"),
    "unknown key": ([dense(pruning=1)], r"block 0 \(dense\): pruning: unknown key"),
    "complex": ([dense(type="dense_comp")], r"block 'dense_comp': complex weights"),
    "pool": ([image(), {"type": "pool"}], r"block 1 \(pool\): block 'pool': netx does not implement it"),
    "convT": ([image(), {"type": "convT"}], "block 'convT': netx does not implement it"),
    "unpool": ([image(), {"type": "unpool"}], "block 'unpool': netx does not implement it"),
    "concat": ([image(), {"type": "concat"}], "block 'concat': netx does not implement it"),
    "unknown block": ([{"type": "attention"}], "block 'attention': unknown; expected one of input, flatten, dense"),
    "no type": ([dense(type=None) | {"x": 1}], "block 0: type: missing"),
    "no weight": ([dense(weight=None)], "weight: missing"),
    "no shape": ([dense(shape=None)], "shape: missing"),
    "no decay": ([dense(neuron__iDecay=None)], "neuron: iDecay: missing"),
    "all zero": ([dense(weight=np.zeros((2, 3)))], "weight: every value is zero, on which netx fails"),
    "zero once rounded": ([dense(weight=np.full((2, 3), 0.9))], "weight: every value is zero"),
    "exciting beyond a byte": ([dense(weight=np.full((2, 3), 256))], "encoding turns values of 256..256 into zeros"),
    "inhibiting beyond": ([dense(weight=np.full((2, 3), -257))], "encoding turns values of -257..-257 into zeros"),
    "inhibition of a power of two": ([dense(weight=np.full((2, 3), -128))], "turns values of -128..-128 into zeros"),
    "huge weights": ([dense(weight=np.full((2, 3), 2e6))], "weight: expected values in -1048576..1048576"),
    "not finite": ([dense(weight=np.full((2, 3), np.nan))], "weight: expected finite numbers, found NaN"),
    "decay": ([dense(neuron__vDecay=4097)], "neuron: vDecay: expected values in 0..4096, found 4097"),
    "negative decay": ([dense(neuron__iDecay=-1)], "neuron: iDecay: expected values in 0..4096, found -1"),
    "half a decay": ([dense(neuron__iDecay=0.5)], "neuron: iDecay: expected whole numbers, found 0.5"),
    "threshold": ([dense(neuron__vThMant=2**25)], "neuron: vThMant: expected values in 0..33554431"),
    "thresholds": ([dense(neuron__vThMant=[1, 1])], r"neuron: vThMant: expected one number, found shape \(2,\)"),
    "bias": ([dense(bias=[40000, 0])], "bias: expected values in -32768..32767, found 0..40000"),
    "bias shape": ([dense(bias=[1, 2, 3])], r"bias: expected one value, or shape \(2,\), found \(3,\)"),
    "decays of others": ([dense(neuron__iDecay=[1, 2, 3])], r"iDecay: expected one value, or shape \(2,\)"),
    "conv bias": ([image(), conv(bias=3)], r"bias: expected 2 values, one per channel, found a scalar, on which netx"),
    "conv without neurons": ([image(), {k: v for k, v in conv().items() if "/" not in k}], "neuron: missing; only a"),
    "conv without input": ([conv()], "the file does not declare the shape of the input image"),
    "conv delay": ([image(), conv(delay=1)], r"block 1 \(conv\): delay: netx ignores it in a convolution; expected 0"),
    "conv output": ([image(), conv(shape=[2, 4, 3])], r"shape: expected \(2, 3, 4\), found \(2, 4, 3\)"),
    "stride beyond 8 bits": ([image(), conv(stride=[128, 1])], "stride: expected values in 1..127"),
    "groups": ([image(), conv(groups=3)], "groups: expected a divisor of 2"),
    "a negative delay": ([dense(delay=-1)], "delay: expected values in 0..1048576, found -1..-1"),
    "half a step": ([dense(delay=[0.5, 1.0])], "delay: expected whole numbers, found 0.5"),
    "delays that fit nothing": ([dense(delay=[1, 2, 3, 4])], "delay: expected a scalar, 2 or 3 values or"),
    "delayed recurrence": (
        [dense(**DENSE_REC, delay=1)],
        "delay: netx, Lava's reader of .net files, ignores the weight exponent",
    ),
    "recurrence of others": ([dense(type="dense_rec", weight_rec=np.ones((2, 3)))], "weight_rec: expected a square"),
    "features": ([dense(inFeatures=4)], "inFeatures: expected 3, to match the weights, found 4"),
    "rows": ([dense(shape=[5])], r"weight: expected shape \(out, in\) with 5 rows, found \(2, 3\)"),
    "not chained": ([dense(), dense()], r"block 1 \(dense\): Dense expects an input of shape \(3,\), found \(2,\)"),
    "input of several weights": ([current(weight=[1, 2, 3])], r"weight: expected one number, found shape \(3,\)"),
    "drive without neurons": ([image(weight=3), conv()], "weight: has no effect without a neuron group"),
    "a later input": ([dense(), current()], r"block 1 \(input\): an input block can only be the first block"),
    "an image unflattened": (
        [image(), conv(), dense(weight=np.ones((2, 24)))],
        "netx needs a flatten block in between",
    ),
    "a vector flattened": ([dense(), {"type": "flatten"}], "expected an image as input, found shape"),
    "only an input": ([image()], "expected at least one layer with neurons"),
    "a flat image": ([image(shape=[4, 5]), conv()], r"shape: expected \(features,\) or \(channels, height, width\)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_files_that_netx_would_misread_are_refused(tmp_path: Path, what: str) -> None:
    blocks, message = REFUSED[what]
    with pytest.raises(ModelFileError, match=message):
        read(tmp_path, *blocks)


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    blocks = (
        dense(neuron__type="RF", weight=np.zeros((2, 3))),
        dense(weight=np.ones((4, 2)), shape=[4], neuron__vDecay=9999, bias=[np.inf] * 4),
        {"type": "average"},
    )
    with pytest.raises(ModelFileError) as caught:
        read(tmp_path, *blocks)
    problems = caught.value.problems
    assert [problem.split(":")[0] for problem in problems] == ["block 0 (dense)"] * 2 + ["block 1 (dense)"] * 2 + [
        "block 2 (average)"
    ]
    assert all(problem in str(caught.value) for problem in problems)


def test_neuron_keys_of_training_are_ignored(tmp_path: Path) -> None:
    plain = read(tmp_path, dense())
    noted = neuron(scaleRho=1.0, tauRho=0.5, theta=1600, wgtExp=0)
    assert read(tmp_path, dense(**noted)) == plain


def test_an_input_shape_that_the_file_does_not_state_can_be_given(tmp_path: Path) -> None:
    """What Lava-DL exports without an input block; netx, too, is then given the shape."""
    bare = write(tmp_path / "bare.net", conv())
    stated = write(tmp_path / "stated.net", image(), conv())
    assert bl.load(bare, input_shape=(1, 4, 5)) == bl.load(stated)
    assert bl.load(stated, input_shape=[1, 4, 5]) == bl.load(stated), "the same shape may be said twice"
    with pytest.raises(ModelFileError, match=r"give input_shape=\(channels, height, width\), or --input-shape"):
        bl.load(bare)
    with pytest.raises(ModelFileError, match=r"expected \(1, 5, 4\), the given input_shape, found \(1, 4, 5\)"):
        bl.load(stated, input_shape=(1, 5, 4))
    with pytest.raises(ModelFileError, match="expects 1 input channels"):
        bl.load(bare, input_shape=(2, 4, 5))
    with pytest.raises(InputError, match="input_shape: expected"):
        bl.load(bare, input_shape=(4, 5))


def test_a_dense_first_block_takes_a_given_image_flat(tmp_path: Path) -> None:
    network = bl.load(write(tmp_path / "dense.net", dense()), input_shape=(1, 1, 3))
    assert [type(layer) for layer in network.layers] == [bl.Flatten, bl.Dense]
    assert network.input_shape == (1, 1, 3)


@pytest.mark.parametrize("stated", [2**17 + 1, 262143, 2**25 - 1])
def test_thresholds_beyond_any_voltage_never_fire(tmp_path: Path, stated: int) -> None:
    """`block.cuba.Affine` exports 262143, and Lava runs it as it does 131072."""
    network = read(tmp_path, dense(neuron__vThMant=stated))
    assert network == read(tmp_path, dense(neuron__vThMant=2**17))
    assert network.readout == "membrane"


def test_a_delay_of_0_in_a_convolution_changes_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, image(), conv(delay=[0, 0])) == read(tmp_path, image(), conv())


def test_delays_too_long_for_loihi_are_shortened_as_by_netx(tmp_path: Path) -> None:
    with pytest.warns(DelaysShortened, match=r"block 0 \(dense\): delay: netx shortens delays above 62 .* up to 64"):
        network = read(tmp_path, dense(delay=[3, 64]))
    assert network == read(tmp_path, dense(delay=[3, 62]))


def test_another_kernel_size_than_that_of_the_weights_is_ignored_as_by_netx(tmp_path: Path) -> None:
    with pytest.warns(KernelSizeIgnored, match=r"block 1 \(conv\): kernelSize: expected \(2, 2\), .* found \(3, 3\)"):
        network = read(tmp_path, image(), conv(kernelSize=[3, 3]))
    assert network == read(tmp_path, image(), conv())


def test_shared_problems_are_reported_once(tmp_path: Path) -> None:
    resonating = dense(neuron__type="RF", weight=[[1, 2], [3, 4]])
    with pytest.raises(ModelFileError) as caught:
        read(tmp_path, *[resonating] * 5)
    assert len(caught.value.problems) == 5
    assert str(caught.value).count("resonate-and-fire") == 1
    assert "block 0 (dense), block 1 (dense), block 2 (dense) and 2 more: neuron: type 'RF'" in str(caught.value)


def test_control_characters_of_a_file_are_escaped(tmp_path: Path) -> None:
    evil = "\x1b[31mEVIL\x1b]0;pwn\x07"
    with pytest.raises(ModelFileError) as caught:
        read(tmp_path, dense(neuron__type=evil[:20], **{f"key{evil}": 1, "right\u202eleft": 1}))
    message = "".join([str(caught.value), *caught.value.problems])
    assert message.isprintable()
    assert "\\x1b[31mEVIL" in message
