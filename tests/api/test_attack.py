"""`attack_network`: what it recognises, assumes, refuses, returns and writes."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.api.attack_result import ANIMATION, SHEET
from bl_neuro.attacks import BrainLeaksV1, BrainLeaksV2, Status
from bl_neuro.data import Dataset
from bl_neuro.errors import EndpointUnavailable, InputError, UnknownSubstrate
from bl_neuro.layers import Input
from bl_neuro.testing.reference_target import ReferenceTarget, easy_images, easy_network

STEPS = 5


def attacked(attack: Any = "v1", **options: Any) -> Any:
    return bl.attack_network(easy_images(), attack, **{"steps": STEPS, **options})


def blocks() -> Dataset:
    """Images of three classes, as `easy_images` and `current_network` tell them apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = np.zeros((60, 12))
    for row, label in enumerate(labels):
        images[row, 4 * label : 4 * label + 4] = 1
    flips = rng.random(images.shape) < 0.05
    pixels = (255 * np.abs(images - flips)).astype(np.uint8).reshape(60, 1, 3, 4)
    return Dataset("blocks", "made here", pixels, labels, ("left", "middle", "right"))


def current_network() -> bl.Network:
    """Three classes, each of four inputs, that take pixels as currents from -1 to 1."""
    own, neuron = np.kron(np.eye(3), np.ones((1, 4))), bl.CubaLIF(80, 1.0, 0.125)
    layers: list[Any] = [Input(40, neuron, bias=40), bl.Dense(30 * own - 60 * (1 - own), neuron)]
    return bl.Network((12,), layers, arithmetic="loihi")


def test_returns_the_inversions_and_how_target_and_evaluator_classify_them(tmp_path: Path) -> None:
    result = attacked(classes=[2, 0, 2], seed=3, out=tmp_path)
    assert result.inversions.classes.tolist() == [2, 0, 2]
    assert result.answers == (2, 0, 2)
    assert result.verdicts is None
    assert result.images.shape == (3, *easy_images().input_shape)
    assert result.facts.reveals == "gradient"
    assert repr(result).startswith("<AttackResult: v1 on loihi, ")
    assert "the target names the class of 3 of 3 inversions" in repr(result)
    facts = json.loads((tmp_path / "attack.json").read_text())
    assert facts == result.as_json
    assert [row["target_answers"] for row in facts["inversions"]] == [2, 0, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attack.json", SHEET, "inversions.safetensors"]


def test_an_attack_object_runs_with_its_own_settings() -> None:
    attack = BrainLeaksV2(queries=12, warm_start=16, population=4)
    result = attacked(attack, budget=1000)
    assert result.facts.settings == attack.settings()
    assert (result.facts.budget, result.facts.queries) == (1000, 16 + 3 * 12)
    with pytest.raises(InputError, match="an attack object already contains its settings"):
        attacked(BrainLeaksV1(), settings={"blur": 1.0})


def test_a_budget_is_shared_between_classes_unless_settings_override_it() -> None:
    assert attacked("v2", budget=100).facts.settings["queries"] == 16
    kept = attacked("v2", budget=100, settings={"queries": 4}).facts
    assert (kept.settings["queries"], kept.settings["warm_start"], kept.queries) == (4, 50, 62)


def test_a_black_box_is_attacked_and_not_queried_afterwards() -> None:
    box = bl.BlackBox(ReferenceTarget(easy_network()), "label", 60)
    result = bl.attack_network(box, "v2", steps=STEPS, budget=60)
    assert (result.answers, result.facts.reveals) == (None, "label")
    assert box.spent == result.inversions.queries <= 60
    with pytest.raises(InputError, match="needs the network, but an endpoint only answers queries"):
        bl.attack_network(box, "v1", steps=STEPS)
    with pytest.raises(InputError, match="needs the network"):
        bl.attack_network(box, "transfer", steps=STEPS)
    with pytest.raises(InputError, match="reveals: this BlackBox reveals label, found 'counts'"):
        bl.attack_network(box, "v2", steps=STEPS, reveals="counts")
    with pytest.raises(InputError, match=r"substrate: a BlackBox already runs .*; leave substrate='lava' out"):
        bl.attack_network(box, "v2", steps=STEPS, substrate="lava")


def test_a_lost_connection_keeps_the_partial_inversions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = bl.BlackBox(ReferenceTarget(easy_network()))
    query = bl.BlackBox.query

    def failing(self: bl.BlackBox, spikes: Any) -> Any:
        if self.spent >= 40:
            raise EndpointUnavailable("gone")
        return query(self, spikes)

    monkeypatch.setattr(bl.BlackBox, "query", failing)
    settings = {"warm_start": 16, "population": 4}
    result = bl.attack_network(box, "v2", steps=STEPS, settings=settings, out=tmp_path)
    assert isinstance(result.error, EndpointUnavailable)
    assert result.inversions.status is Status.STOPPED
    assert "ended by EndpointUnavailable: gone" in repr(result)
    assert json.loads((tmp_path / "attack.json").read_text())["queries"] == result.inversions.queries >= 40


@pytest.mark.slow
def test_inputs_are_recognised_on_a_dataset() -> None:
    network = current_network()
    silent = bl.attack_network(network, "v1", steps=STEPS)
    assert silent.assumptions[0].startswith("pixels 0 and 1 are the input currents 0 and 1 (the file")
    result = bl.attack_network(network, "v1", steps=STEPS, dataset=blocks())
    assert result.facts.input_range == [-1.0, 1.0]
    assert result.facts.recognised is not None
    assert result.facts.recognised.accuracy >= 0.85
    assert result.class_names == ("left", "middle", "right")
    assert result.answers == (0, 1, 2)
    assert [row["class_name"] for row in result.rows] == ["left", "middle", "right"]
    assert result.image_shape == (1, 3, 4)
    assert result.facts.settings["image_shape"] == (3, 4)
    assert (result.facts.recognition or "").startswith("On blocks the network is right in ")
    stated = bl.attack_network(network, "v1", steps=STEPS, input_range=(-1, 1))
    assert stated.answers == (0, 1, 2)
    assert stated.assumptions == ["pixels 0 and 1 are the input currents -1 and 1"]


def test_outputs_in_another_order_are_named_by_their_classes() -> None:
    own = np.kron(np.eye(3), np.ones((1, 4)))[[2, 0, 1]]
    network = bl.Network((12,), [bl.Dense(own - 0.5 * (1 - own), bl.CubaLIF())])
    result = bl.attack_network(network, "v1", steps=STEPS, dataset=blocks(), classes=[0, 2])
    assert result.classes == (0, 2)
    assert result.inversions.classes.tolist() == [1, 0]
    assert result.answers == (0, 2)
    lit = result.images[0].reshape(12)
    assert lit[:4].mean() > lit[4:].mean()


def test_a_network_of_another_dataset_is_reported() -> None:
    deaf = bl.Network((12,), [bl.Dense(np.ones((3, 12)) * [[1], [-1], [-1]], bl.CubaLIF())])
    result = bl.attack_network(deaf, "v1", steps=STEPS, dataset=blocks())
    assert "it does not seem to be trained on this dataset" in (result.facts.recognition or "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attack": "v2", "reveals": "weights"}, "reveals: expected one of membrane"),
        ({"attack": "v1", "reveals": "counts"}, "reveals: attack v1 uses gradients"),
        ({"attack": "v2", "budget": 0}, "budget: expected at least 1 query"),
        ({"attack": "v1", "twin": "norse"}, "twin: attack v1 does not use a copy"),
        ({"attack": "v2", "auxiliary": "mnist"}, "auxiliary: attack v2 does not use images of the attacker"),
        ({"attack": "brep_prior"}, "attack brep_prior: expected images of the attacker"),
        ({"attack": "brep_prior", "auxiliary": ""}, "auxiliary: expected the name of a dataset"),
        ({"attack": "brep_prior", "auxiliary": np.ones((4, 4))}, "auxiliary images: expected at least two images"),
        ({"classes": [3]}, r"classes: expected whole numbers in 0\.\.2, found 3"),
        ({"settings": {"blurr": 1.0}}, "settings: expected settings of attack v1 .*, found blurr"),
        ({"input_range": (0.0, 1.0)}, "input_range: only for networks with current inputs"),
        ({"input_range": (0.0, 1.0, 2.0)}, "input_range: expected two values"),
    ],
)
def test_meaningless_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        attacked(**options)


def test_the_images_of_the_attacker_take_the_shape_of_the_inputs(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((9, 2, 6, 8))
    np.savez(tmp_path / "public.npz", images=images, labels=np.arange(9) % 3)
    small = {"queries": 4, "warm_start": 6, "points": 3, "training_steps": 2}
    for auxiliary, named in ((images, "an array"), (tmp_path / "public.npz", "public")):
        result = attacked("brep_prior", settings=small, auxiliary=auxiliary)
        assert result.facts.auxiliary is not None
        assert named in result.facts.auxiliary.name
        assert len(result.facts.auxiliary.digest) == 64
        assert result.facts.reveals == "label"
        assert result.facts.assumptions == ["the inputs resemble 9 images that the attacker has"]
    assert attacked("v1").facts.auxiliary is None


@pytest.mark.parametrize("options", [{"substrate": ""}, {"attack": "transfer", "twin": ""}])
def test_an_empty_name_is_not_the_default(options: dict[str, Any]) -> None:
    with pytest.raises(UnknownSubstrate, match=r"substrate: expected one of .*, found ''"):
        attacked(**options)


def test_targets_that_cannot_be_attacked_are_refused() -> None:
    with pytest.raises(InputError, match="model: expected a Network, a model file, the URL of an endpoint or a Black"):
        bl.attack_network(3, "v1")  # type: ignore[arg-type]
    one = bl.Network((4,), [bl.Dense(np.ones((1, 4)), bl.CubaLIF())])
    with pytest.raises(InputError, match="this network has 1 output, and an attack needs at least two classes"):
        bl.attack_network(one, "v1")


def test_events_move(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(3, 32))
    network = bl.Network((2, 4, 4), [bl.Flatten(), bl.Dense(weight, bl.CubaLIF())])
    result = bl.attack_network(network, "v1", steps=STEPS, out=tmp_path)
    assert (tmp_path / ANIMATION).read_bytes().startswith(b"GIF89a")
    assert result.of_events
    bl.attack_network(easy_images(), "v1", steps=STEPS, out=tmp_path, force=True)
    assert not (tmp_path / ANIMATION).exists()
    assert attacked("v1", preset="events").of_events


def test_a_folder_that_holds_an_attack_is_kept(tmp_path: Path) -> None:
    result = attacked(out=tmp_path)
    with pytest.raises(InputError, match=r"attack\.json: already exists; choose another name"):
        result.save(tmp_path)
    assert result.save(tmp_path, force=True) == tmp_path
    assert result.save(tmp_path / "copy") == tmp_path / "copy"


@pytest.mark.lava
@pytest.mark.data
def test_lava_dl_s_own_mnist_network_is_inverted(needs: Any) -> None:
    """It takes pixels from -1 to 1, which its file does not say."""
    needs("lava")
    files = [file for file in distribution("lava-dl").files or [] if file.name == "mnist.net"]
    if not files:
        pytest.skip("lava-dl is installed without its tests")
    network = bl.load(Path(str(files[0].locate())))
    try:
        result = bl.attack_network(network, "v1", dataset="mnist")
    except bl.DataError as error:
        pytest.skip(str(error))
    assert sum(answer == label for answer, label in zip(result.answers or (), result.classes)) >= 9


def test_queries_are_counted_in_whole_words() -> None:
    result = attacked("v2", reveals="label", budget=128)
    queries = result.inversions.queries
    assert result.spent == f"{queries} queries in total, {queries / 3:.0f} per class"
    assert f", {result.spent}, " in repr(result)
    for count, words in ((128, "128 queries in total, 43 per class"), (1, "1 query in total, 0 per class")):
        assert replace(result, inversions=replace(result.inversions, queries=count)).spent == words
    alone = replace(result, classes=(0,), inversions=replace(result.inversions.select(0), queries=1))
    assert alone.spent == "1 query"
