"""`attack_membership`, `train_shadows` and `load_shadows` on the digits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.arrays import BoolArray
from bl_neuro.data import load_dataset
from bl_neuro.data.samples import Samples
from bl_neuro.errors import DataError, InputError, ModelFileError
from bl_neuro.leakage.roc import roc_curve
from bl_neuro.membership.halves import random_half
from bl_neuro.mitigations import WeightBits
from bl_neuro.testing.served import Server
from bl_neuro.training import TargetPlan

STEPS, ASKS, NETWORKS = 12, 2, 10
PLAN = TargetPlan(hidden=(48,), steps=5, proxy_epochs=40, spiking_epochs=0, noise=0.0, weight_decay=0.0)


def memorise(samples: Samples, seed: int) -> bl.Network:
    """A linear network that memorises its samples: least squares on fewer samples than pixels."""
    images = samples.images.reshape(len(samples.labels), -1)
    targets = 2 * np.eye(10)[samples.labels] - 0.5
    weight = np.linalg.lstsq(images + 1e-3 * np.random.default_rng(seed).normal(size=images.shape), targets, 1e-2)[0]
    return bl.Network((1, 8, 8), [bl.Flatten(), bl.Dense(weight.T, bl.CubaLIF(1.0, 1.0, 0.3))])


@pytest.fixture(scope="module")
def data() -> Any:
    return load_dataset("digits").subset(np.arange(100))


@pytest.fixture(scope="module")
def members(data: Any) -> BoolArray:
    return random_half(data.labels, 99)


@pytest.fixture(scope="module")
def network(data: Any, members: BoolArray) -> bl.Network:
    """The target."""
    return memorise(data.subset(np.flatnonzero(members)), 99)


@pytest.fixture(scope="module")
def folder(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of trained shadow networks."""
    out = tmp_path_factory.mktemp("shadows") / "shadows"
    bl.train_shadows(data, memorise, out=out, networks=NETWORKS)
    return out


@pytest.fixture(scope="module")
def shadows(folder: Path, needs: Callable[[str], None]) -> bl.ShadowModels:
    needs("snntorch")
    return bl.load_shadows(folder, "snntorch")


@pytest.fixture
def box(network: bl.Network) -> Any:
    with bl.open_target(network, "snntorch") as target:
        yield bl.BlackBox(target, "scores", 1000)


def attacked(box: Any, data: Any, shadows: Any, **options: Any) -> Any:
    return bl.attack_membership(box, data, STEPS, shadows, asks=ASKS, **options)


def test_members_are_found_and_every_query_is_counted(
    box: Any, data: Any, shadows: bl.ShadowModels, members: BoolArray, tmp_path: Path
) -> None:
    counted: list[tuple[int, int]] = []
    result = attacked(box, data, shadows, members=members, progress=lambda done, total: counted.append((done, total)))
    assert result.scores.shape == (100,)
    assert box.spent == result.facts.queries == ASKS * 100
    total = (1 + NETWORKS) * ASKS * 100
    assert counted[-1] == (total, total)
    assert result.auc == roc_curve(result.scores, members).auc[0] > 0.8
    assert result.auc_interval[0] < result.auc < result.auc_interval[1]
    assert result.tpr_at(0.1) > 0.2
    assert result.epsilon >= 0
    assert json.loads(result.save(tmp_path / "a.json").read_text()) == result.as_json
    with pytest.raises(InputError, match="already exists"):
        result.save(tmp_path / "a.json")
    assert result.as_json["members"] == np.flatnonzero(members).tolist()
    text = repr(result)
    assert text.startswith("Membership of 100 samples (digits) by lira: 2 plain asks about each, 200 queries")
    assert f"{result.auc:.3f}" in text
    assert result._repr_html_().count("<table>") == 2


def test_the_attacker_does_not_use_the_true_members(
    network: bl.Network, data: Any, shadows: bl.ShadowModels, members: BoolArray
) -> None:
    scores = []
    for mask in (None, members, ~members):
        with bl.open_target(network, "snntorch") as target:
            result = attacked(bl.BlackBox(target, "scores"), data, shadows, members=mask, seed=4)
        scores.append(result.scores)
    assert (scores[0] == scores[1]).all()
    assert (scores[0] == scores[2]).all()


def test_a_limit_keeps_its_false_positive_rate_on_the_shadow_networks(
    box: Any, data: Any, shadows: bl.ShadowModels
) -> None:
    result = attacked(box, data, shadows)
    calibration = result.calibration
    others = calibration.scores[~calibration.members]
    assert calibration.scores.shape == (NETWORKS, 100)
    for rate in (0.0, 0.01, 0.1, 0.5):
        limit = result.limit_at(rate)
        assert (others > limit).mean() <= rate < (others >= limit).mean()
        assert (result.members_at(rate) == (result.scores > limit)).all()
    assert result.members_at(1.0).all()
    wrong: Any
    for wrong in (2, "a"):
        with pytest.raises(InputError, match=rf"false_positive_rate: expected 0\.\.1, found {wrong!r}"):
            result.members_at(wrong)
    with pytest.raises(InputError, match="the true members are needed"):
        _ = result.auc


@pytest.mark.parametrize("attack", ["lira_offline", "rmia", "rmia_offline", "threshold"])
def test_other_attacks(box: Any, data: Any, shadows: bl.ShadowModels, members: BoolArray, attack: str) -> None:
    result = attacked(box, data, shadows, attack=attack, members=members)
    assert result.auc > 0.6
    assert 0 < result.members_at(0.1).sum() < 100


def test_a_threshold_needs_no_shadow_networks(box: Any, data: Any, members: BoolArray) -> None:
    result = attacked(box, data, None, attack="threshold", members=members)
    assert result.auc > 0.6
    assert result.facts.shadows == 0
    with pytest.raises(InputError, match="shadow networks are needed to know how high"):
        result.members_at(0.1)
    assert result._repr_html_().count("<table>") == 1


@pytest.mark.parametrize("reveals", ["membrane", "spikes", "counts", "label"])
def test_every_output_is_attacked(
    network: bl.Network, data: Any, shadows: bl.ShadowModels, members: BoolArray, reveals: Any
) -> None:
    with bl.open_target(network, "snntorch") as target:
        box = bl.BlackBox(target, reveals)
        assert attacked(box, data, shadows, members=members).auc > 0.55


def test_asks_with_noise_and_dropout(box: Any, data: Any, shadows: bl.ShadowModels, members: BoolArray) -> None:
    noise, dropout = (attacked(box, data, shadows, members=members, ask=ask) for ask in ("noise", "dropout"))
    assert (noise.facts.size, dropout.facts.size) == (0.1, 0.5)
    assert min(noise.auc, dropout.auc) > 0.6
    assert (noise.scores != dropout.scores).any()
    with pytest.raises(InputError, match="size: plain asks have no size"):
        attacked(box, data, shadows, size=0.1)


def test_images_and_labels_are_samples(box: Any, data: Any, shadows: bl.ShadowModels) -> None:
    given = attacked(box, (data.images, data.labels), shadows)
    assert (given.scores == attacked(box, data, shadows).scores).all()
    flat = attacked(box, (data.images.reshape(100, 64), data.labels), shadows.subset(np.arange(100)))
    assert (flat.scores == given.scores).all()
    with pytest.raises(InputError, match=r"labels \(n,\)"):
        attacked(box, (data.images, data.images), shadows)


def test_outputs_in_another_order(network: bl.Network, data: Any, shadows: bl.ShadowModels, box: Any) -> None:
    order = np.random.default_rng(0).permutation(10)
    dense: Any = network.layers[1]
    moved = bl.Network((1, 8, 8), [bl.Flatten(), bl.Dense(dense.weight[order], dense.neuron)])
    with bl.open_target(moved, "snntorch") as target:
        result = attacked(bl.BlackBox(target, "scores"), data, shadows, class_map=order.tolist())
    np.testing.assert_allclose(result.scores, attacked(box, data, shadows).scores, atol=1e-3)
    with pytest.raises(InputError, match="class_map of the box: expected a different class for each of 10 outputs"):
        attacked(box, data, shadows, class_map=[0] * 10)
    with pytest.raises(InputError, match="found class 9; leave these samples out, or state the class of each output"):
        attacked(box, data, shadows, class_map=[*range(9), 30])


def test_a_part_of_the_samples(box: Any, data: Any, shadows: bl.ShadowModels, members: BoolArray) -> None:
    part = np.arange(0, 100, 2)
    result = attacked(box, data.subset(part), shadows.subset(part), members=members[part])
    assert result.facts.queries == ASKS * 50
    assert result.auc > 0.7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shadows": None}, "shadows: attack lira compares the model with shadow networks"),
        ({"attack": "knn"}, "attack: expected one of lira, "),
        ({"asks": 0}, r"asks: expected 1\.\.1000"),
        ({"asks": 11}, r"budget: expected at least 1,100 remaining queries \(11 asks about 100 samples\), found 1,000"),
        ({"ask": "loud"}, "ask: expected one of plain, noise, dropout"),
        ({"ask": "noise", "size": 1.5}, "size: expected between 0 and 1 for noise"),
        ({"steps": 0}, r"steps: expected 1\.\.65536"),
        ({"members": np.ones(100, bool)}, "members: expected members and non-members"),
        ({"members": np.ones(99, bool)}, r"members: expected booleans \(100,\)"),
        ({"samples": 3}, r"samples: expected a dataset or \(images, labels\)"),
        ({"box": 3}, "box: expected a BlackBox, found int"),
        ({"shadows": 3}, "shadows: expected ShadowModels, found int"),
        ({"attack": ["lira"]}, "attack: expected one of lira, "),
        ({"seed": -1}, "seed: expected a whole number of at least 0, found -1"),
        ({"seed": None}, "seed: expected a whole number of at least 0, found None"),
        ({"class_map": "abc"}, r"class_map: expected classes in 0\.\.9999"),
        ({"class_map": [0.5] * 10}, r"class_map: expected classes in 0\.\.9999"),
        ({"samples": ([[1, 2], [3]], [0, 1])}, "samples: expected arrays of images and labels"),
        ({"samples": (np.zeros((2, 1, 8, 8)), [0, 10**9])}, r"samples: expected labels in 0\.\.9999, found 1000000000"),
        ({"ask": "noise", "size": "loud"}, "size: expected between 0 and 1 for noise, found 'loud'"),
    ],
)
def test_wrong_arguments_cost_no_query(
    change: dict[str, Any], message: str, box: Any, data: Any, shadows: bl.ShadowModels
) -> None:
    options = {"box": box, "samples": data, "steps": STEPS, "shadows": shadows, **change}
    with pytest.raises(InputError, match=message):
        bl.attack_membership(**options)
    assert box.spent == 0


def test_shadow_networks_of_other_samples(box: Any, data: Any, shadows: bl.ShadowModels) -> None:
    with pytest.raises(InputError, match="some of these 99 samples, found 100"):
        attacked(box, data.subset(np.arange(99)), shadows)
    with pytest.raises(InputError, match="found others or another order"):
        attacked(box, data.subset(np.arange(100)[::-1]), shadows)
    narrow = bl.ShadowModels([bl.Network((3,), [bl.Dense(np.eye(3), bl.CubaLIF())])], np.ones((1, 100), dtype=bool))
    with pytest.raises(InputError, match=r"expected networks with inputs \(1, 8, 8\) and 10 outputs"):
        attacked(box, data, narrow)
    for index in ([100], [0.5]):
        with pytest.raises(InputError, match="index: expected indices of some of 100 samples"):
            shadows.subset(np.array(index))
    with pytest.raises(InputError, match="mitigation: expected a Mitigation or None, found str"):
        shadows.on("snntorch", "rounding")  # type: ignore[arg-type]
    two = bl.ShadowModels(shadows.networks[:2], shadows.members[:2], "snntorch")
    with pytest.raises(InputError, match="expected at least 2 networks on both sides of a sample"):
        attacked(box, data, two)
    assert box.spent == 0


def test_a_budget_of_exactly_all_asks_suffices(network: bl.Network, data: Any, shadows: bl.ShadowModels) -> None:
    with bl.open_target(network, "snntorch") as target:
        box = bl.BlackBox(target, "scores", ASKS * 100)
        attacked(box, data, shadows)
        assert box.remaining == 0


def test_a_mitigation_is_applied_to_the_shadow_networks(
    data: Any, shadows: bl.ShadowModels, network: bl.Network
) -> None:
    coarse = WeightBits(bits=2)
    with bl.open_target(coarse.network(network), "snntorch") as target:
        box = bl.BlackBox(target, "scores")
        plain = attacked(box, data, shadows)
        informed = attacked(box, data, shadows.on("snntorch", coarse))
    assert (plain.scores != informed.scores).any()
    assert "with weight_bits" in repr(shadows.on("snntorch", coarse))


def test_training_is_resumed_without_training_anything_twice(data: Any, tmp_path: Path) -> None:
    calls: list[int] = []

    def train(samples: Samples, seed: int) -> bl.Network:
        if len(calls) == 5:
            calls.append(-1)
            raise KeyboardInterrupt
        calls.append(seed)
        return memorise(samples, seed)

    with pytest.raises(KeyboardInterrupt):
        bl.train_shadows(data, train, out=tmp_path, networks=8)
    with pytest.raises(DataError, match=r"shadow-005\.safetensors: expected the model file that shadows\.json names"):
        bl.load_shadows(tmp_path)
    steps: list[tuple[int, int]] = []
    shadows = bl.train_shadows(
        data, train, out=tmp_path, networks=8, progress=lambda *done_total: steps.append(done_total)
    )
    assert len(calls) == 9
    assert len(set(calls)) == 9
    assert steps[-1] == (8, 8)
    more = bl.train_shadows(data, train, out=tmp_path, networks=10)
    assert len(calls) == 11
    assert (more.members[:8] == shadows.members).all()
    assert [network.fingerprint for network in more.networks[:8]] == [
        network.fingerprint for network in shadows.networks
    ]
    assert len(bl.train_shadows(data, train, out=tmp_path, networks=8)) == 8
    loaded = bl.load_shadows(tmp_path)
    assert (loaded.members == more.members).all()
    assert len(calls) == 11
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", *[".safetensors"] * 10]


def test_halves_are_independent(shadows: bl.ShadowModels, data: Any) -> None:
    for label in range(10):
        own = shadows.members[:, data.labels == label]
        assert (own.sum(axis=1) == own.shape[1] // 2).all()
    assert len({row.tobytes() for row in shadows.members}) == NETWORKS
    assert shadows.members.sum(axis=0).std() > 1  # balanced halves have 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed differ"),
        ({"train": PLAN}, "training differ"),
        ({"samples": load_dataset("digits").subset(np.arange(1, 101))}, "digest differ"),
        ({"samples": load_dataset("digits").subset(np.arange(50))}, "samples, digest differ"),
        ({"networks": 7}, r"networks: expected 8\.\.4096 shadow networks, found 7"),
        ({"samples": load_dataset("digits").subset(np.arange(1))}, "samples: expected a class of at least 2 samples"),
        ({"networks": 10**9}, r"networks: expected 8\.\.4096 shadow networks, found 1000000000"),
        ({"seed": -1}, "seed: expected a whole number of at least 0"),
        ({"substrate": "cloud"}, "cloud"),
    ],
)
def test_a_folder_of_another_training_is_kept(change: dict[str, Any], message: str, folder: Path, data: Any) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    options = {"samples": data, "train": memorise, "out": folder, "networks": NETWORKS, **change}
    with pytest.raises(InputError, match=message):
        bl.train_shadows(**options)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_function_that_returns_no_network(data: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train: expected a function that returns a Network, found NoneType"):
        bl.train_shadows(data, lambda samples, seed: None, out=tmp_path)  # type: ignore[arg-type,return-value]
    narrow = bl.Network((3,), [bl.Dense(np.eye(3), bl.CubaLIF())])
    with pytest.raises(InputError, match=r"train: expected networks with inputs of shape \(1, 8, 8\)"):
        bl.train_shadows(data, lambda samples, seed: narrow, out=tmp_path)
    calls: list[int] = []

    def growing(samples: Samples, seed: int) -> bl.Network:
        calls.append(seed)
        return bl.Network((1, 8, 8), [bl.Flatten(), bl.Dense(np.ones((len(calls), 64)), bl.CubaLIF())])

    with pytest.raises(InputError, match="train: expected networks with 1 outputs, as the first has, found 2"):
        bl.train_shadows(data, growing, out=tmp_path / "growing")
    assert len(calls) == 2
    with pytest.raises(InputError, match=r"train: expected a plan or a function \(samples, seed\) -> Network"):
        bl.train_shadows(data, 3, out=tmp_path / "new")  # type: ignore[arg-type]


def test_a_damaged_model_file(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "shadow-003.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelFileError, match="shadow-003"):
        bl.load_shadows(tmp_path / "copy")


@pytest.mark.slow
def test_an_endpoint_is_attacked_like_a_local_box(
    network: bl.Network, data: Any, shadows: bl.ShadowModels, tmp_path: Path
) -> None:
    pytest.importorskip("starlette", reason="the server needs bl-neuro[serve]")
    bl.save(network, tmp_path / "target.safetensors")
    server = Server(tmp_path / "target.safetensors", "--backend", "loihi", "--reveals", "counts", "--budget", "250")
    try:
        on_chip = shadows.on("loihi")
        with bl.open_target(network, "loihi") as target:
            local = attacked(bl.BlackBox(target, "counts"), data, on_chip)
        with server.box() as box:
            result = attacked(box, data, on_chip)
            assert box.remaining == 50
            with pytest.raises(InputError, match=r"expected at least 200 remaining queries .*, found 50"):
                attacked(box, data, on_chip)
    finally:
        server.end()
    assert (result.scores == local.scores).all()


@pytest.mark.lava
@pytest.mark.slow
def test_real_lava(network: bl.Network, data: Any, shadows: bl.ShadowModels, needs: Callable[[str], None]) -> None:
    needs("lava")
    part = np.arange(6)
    own = shadows.subset(part).on("loihi")
    results = []
    for substrate in ("lava", "loihi"):
        with bl.open_target(network, substrate) as target:
            box = bl.BlackBox(target, "counts", 6)
            results.append(bl.attack_membership(box, data.subset(part), STEPS, own, "lira_offline", asks=1))
            assert box.remaining == 0
    assert (results[0].scores == results[1].scores).all()
