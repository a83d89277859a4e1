"""Inputs for comparisons of substrates: generated, and read from untrusted files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.deploy.parity import generated, read_inputs
from bl_neuro.deploy.parity.inputs import DENSITIES, checked_stimulus
from bl_neuro.strangers import budget

FLAT = bl.Network((30,), [bl.Dense(np.ones((2, 30)), bl.CubaLIF())])
IMAGE = bl.Network((2, 5, 3), [bl.Flatten(), bl.Dense(np.ones((2, 30)), bl.CubaLIF())])
CURRENT = bl.Network((30,), [bl.Input(2.0, bl.CubaLIF(threshold=6.0)), bl.Dense(np.ones((2, 30)), bl.CubaLIF())])
SPIKES = (np.arange(2 * 3 * 30) % 3 == 0).reshape(2, 3, 30).astype(np.uint8)


@pytest.mark.parametrize("network", [FLAT, IMAGE], ids=["flat", "image"])
def test_generated_spikes_are_what_their_names_say(network: bl.Network) -> None:
    stimuli = {stimulus.name: stimulus.values for stimulus in generated(network, steps=20, batch=6, seed=1)}
    assert len(stimuli) == len(DENSITIES) + 4
    for values in stimuli.values():
        assert values.dtype == np.uint8
        assert (values.shape[0], values.shape[2:]) == (20, network.input_shape)
        assert set(np.unique(values)) <= {0, 1}
    for density in DENSITIES:
        assert stimuli[f"random {density:g}"].mean() == pytest.approx(density, abs=0.03)
    assert stimuli["random 0"].shape[1] == stimuli["random 1"].shape[1] == 1
    assert stimuli["single spikes"].reshape(20, 6, -1).sum(axis=(0, 2)).tolist() == [1] * 6
    held = stimuli["held frames"]
    assert held.any()
    assert (held == held[:1]).all()
    bursts = stimuli["bursts"].reshape(20, 6, -1).sum(axis=2)
    assert bursts[:4].all()
    assert not bursts[4:10].any()
    assert bursts[10:14].all()
    over_time, over_inputs = (stimuli["density gradient"][:, sample].reshape(20, -1) for sample in (0, 1))
    assert over_time[15:].mean() > 0.75 > 0.25 > over_time[:5].mean()
    assert over_inputs[:, 24:].mean() > 0.75 > 0.25 > over_inputs[:, :6].mean()


def test_currents_go_around_the_threshold() -> None:
    stimuli = {stimulus.name: stimulus.values for stimulus in generated(CURRENT, steps=20, batch=4, seed=1)}
    assert all(np.isfinite(values).all() for values in stimuli.values())
    assert not stimuli["silence"].any()
    assert stimuli["random, strength 2"].std() == pytest.approx(2 * 3.0, rel=0.1)  # 3 x 2.0 reaches the threshold 6
    assert stimuli["ramp"].min() < 0 < 3 < stimuli["ramp"].max()
    assert set(np.unique(stimuli["single pulses"])) == {0.0, 3.0}
    assert (stimuli["held frames"] >= 0).all()


def test_the_seed_decides() -> None:
    first, again, other = (generated(FLAT, seed=seed) for seed in (4, 4, 5))
    assert all(np.array_equal(a.values, b.values) for a, b in zip(first, again))
    assert not np.array_equal(first[2].values, other[2].values)


def test_one_step_and_one_sample_are_enough() -> None:
    assert all(stimulus.values.shape[:2] == (1, 1) for stimulus in generated(IMAGE, steps=1, batch=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: expected a whole number in 1..65536, found 0"),
        ({"steps": 1.5}, "steps: expected"),
        ({"steps": 2**20}, "steps: expected"),
        ({"batch": 0}, "batch: expected a whole number of at least 1"),
        ({"seed": -1}, "seed: expected a whole number of at least 0"),
        ({"steps": 2**16, "batch": 1000}, "steps x batch: expected at most"),
    ],
)
def test_impossible_stimuli_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(bl.InputError, match=message):
        generated(FLAT, **options)


def test_delays_lengthen_what_is_generated() -> None:
    """Otherwise spikes hardly reach the later layers, and parity would be claimed for untested layers."""
    layers = [
        bl.Dense(np.ones((4, 30)), bl.CubaLIF(), delay=[[3]]),
        bl.Dense(np.ones((5, 4)), bl.CubaLIF(), delay=np.arange(20).reshape(5, 4)),
        bl.Dense(np.ones((2, 5)), bl.CubaLIF()),
    ]
    assert {len(stimulus.values) for stimulus in generated(bl.Network((30,), layers))} == {20 + 3 + 19}
    assert {len(stimulus.values) for stimulus in generated(FLAT)} == {20}
    assert {len(stimulus.values) for stimulus in generated(bl.Network((30,), layers), steps=7)} == {7}


def test_given_spikes_are_kept_small_and_currents_exact() -> None:
    assert checked_stimulus(SPIKES.astype(bool), FLAT).values.dtype == np.uint8
    x = np.full((2, 3, 30), 1 / 3)
    assert np.array_equal(checked_stimulus(x, CURRENT).values, x)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float32, np.float64, ">i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files_are_read(dtype: Any, order: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array(SPIKES, dtype, order=order))
    values = read_inputs(tmp_path / "x.npy")
    assert np.array_equal(values, SPIKES)
    assert values.flags.c_contiguous


@pytest.mark.parametrize("names", [["anything"], ["labels", "spikes"], ["labels", "input"]])
def test_npz_files_are_read(names: list[str], tmp_path: Path) -> None:
    arrays = {name: SPIKES if name != "labels" else np.arange(3) for name in names}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    assert np.array_equal(read_inputs(tmp_path / "x.npz"), SPIKES)


def _bytes(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


GOOD = _bytes(SPIKES)
BAD = {
    "empty": (b"", "not a readable NumPy file"),
    "text": (b"spikes, please", "not a readable NumPy file"),
    "half": (GOOD[:-20], "damaged: 160 bytes of values do not make"),
    "more than it says": (GOOD + b"\0", "damaged"),
    "objects": (_bytes(np.array([{}, None])), "expected an array of bool, integers or floats, found object"),
    "words": (_bytes(np.array(["a"])), "found <U1"),
    "complex": (_bytes(np.ones(3) * 1j), "found complex128"),
    "a huge shape": (GOOD.replace(b"(2, 3, 30)", b"(2, 3, 3 * 10**9)"), "not a readable NumPy file|damaged"),
    "code for a header": (GOOD.replace(b"(2, 3, 30)", b"exit(3)   "), "not a readable NumPy file"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_refused(what: str, tmp_path: Path) -> None:
    content, message = BAD[what]
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(bl.InputError, match=message):
        read_inputs(tmp_path / "x.npy")


def test_bad_archives_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "two.npz", a=SPIKES, b=SPIKES)
    with zipfile.ZipFile(tmp_path / "none.npz", "w"):
        pass
    for name, message in (("text", "not a readable"), ("two", "found 2 arrays"), ("none", "found 0 arrays")):
        with pytest.raises(bl.InputError, match=message):
            read_inputs(tmp_path / f"{name}.npz")


@pytest.mark.parametrize("seed", range(40))
def test_a_bit_flipped_in_a_packed_archive_is_refused_or_harmless(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, spikes=SPIKES)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    try:
        values = read_inputs(path)
    except bl.InputError:
        return
    assert np.array_equal(values, SPIKES)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_packed_as_numpy_does_not_are_refused(packing: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", packing) as archive:
        archive.writestr("spikes.npy", GOOD)
    with pytest.raises(bl.InputError, match="compressed by a method that NumPy does not use"):
        read_inputs(tmp_path / "x.npz")


def test_the_unpacked_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "SLACK_BYTES", 1000)
    monkeypatch.setattr(budget, "GROWTH", 0)
    zeros = np.zeros((100, 100), np.uint8)
    np.save(tmp_path / "x.npy", zeros)
    np.savez_compressed(tmp_path / "x.npz", zeros)
    for path in tmp_path.iterdir():
        with pytest.raises(bl.InputError, match="expected at most 1000 bytes of values"):
            read_inputs(path)


def test_paths_that_are_not_files_are_refused(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "found a folder"), (tmp_path / "none.npy", "found nothing")):
        with pytest.raises(bl.InputError, match=message):
            read_inputs(path)
    (tmp_path / "x.csv").write_text("1,2")
    with pytest.raises(bl.InputError, match=r"ending in \.npy or \.npz"):
        read_inputs(tmp_path / "x.csv")
