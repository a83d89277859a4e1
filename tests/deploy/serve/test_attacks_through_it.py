"""An attack through an endpoint in another process gives bit-identical inversions."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

import bl_neuro as bl
from bl_neuro.attacks import BrainLeaksV2, Inversions
from bl_neuro.remote.tensors import datatype_of, to_bytes
from bl_neuro.testing.reference_target import easy_images
from bl_neuro.training import TargetPlan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits() -> bl.Network:
    plan = TargetPlan(hidden=(16,), steps=6, proxy_epochs=2, spiking_epochs=1)
    return bl.training.train_target(bl.data.load_dataset("digits"), plan)


def invert(box: Any, queries: int, classes: list[int]) -> Inversions:
    return BrainLeaksV2(queries=queries, warm_start=20)(box, classes=classes, steps=6, seed=3)


def same(one: Inversions, other: Inversions) -> bool:
    return (
        torch.equal(one.spikes, other.spikes)
        and one.rates is not None
        and other.rates is not None
        and torch.equal(one.rates, other.rates)
        and one.queries == other.queries
        and one.status == other.status
    )


def test_served_from_loihi(digits: bl.Network, start: Any) -> None:
    server = start(digits, "--backend", "loihi")
    with bl.open_target(digits, "loihi") as target:
        here = bl.BlackBox(target)
        at_home = invert(here, 120, list(range(10)))
    with server.box() as box:
        inversions = invert(box, 120, list(range(10)))
        assert box.spent == here.spent > 1000
    assert same(inversions, at_home)


@pytest.mark.slow
@pytest.mark.lava
def test_served_from_lava(digits: bl.Network, start: Any, needs: Callable[[str], None]) -> None:
    needs("lava")
    server = start(digits, "--backend", "lava", "--deadline", "120")
    with bl.open_target(digits, "lava", runtimes=1) as target:
        at_home = invert(bl.BlackBox(target), 20, [0, 7])
    with server.box(patience_s=120.0, timeout_s=120.0) as box:
        assert same(invert(box, 20, [0, 7]), at_home)


@pytest.mark.parametrize("reveals", ["membrane", "scores", "spikes", "counts", "label"])
def test_the_endpoint_reveals_exactly_what_is_configured(reveals: Any, start: Any) -> None:
    network = easy_images()
    server = start(network, "--reveals", reveals)
    spikes = torch.rand(5, 4, *network.input_shape, generator=torch.Generator().manual_seed(1)) < 0.5
    with bl.open_target(network, "loihi") as target:
        expected = bl.BlackBox(target, reveals).query(spikes)
    with server.box() as box:
        assert box.reveals == reveals
        actual = box.query(spikes)
    assert actual.dtype == expected.dtype
    assert torch.equal(actual, expected)
    left(server, reveals, spikes, expected)


def left(server: Any, reveals: str, spikes: torch.Tensor, expected: torch.Tensor) -> None:
    """Every byte and header of the answers, in JSON and in binary, is the one output's."""
    values = expected.transpose(0, 1) if reveals in ("membrane", "spikes") else expected
    given = {
        "name": "spikes",
        "datatype": "UINT8",
        "shape": list(spikes.shape),
        "data": spikes.int().flatten().tolist(),
    }
    output: dict[str, Any] = {"name": reveals, "datatype": datatype_of(values), "shape": list(values.shape)}
    common = {"date", "content-length", "content-type"}
    shown, headers = posted(server, {"inputs": [given]})
    assert json.loads(shown) == {
        "model_name": "model", "model_version": "1", "outputs": [{**output, "data": values.flatten().tolist()}],
    }  # fmt: skip
    assert headers.keys() == common
    raw = to_bytes(values)
    shown, headers = posted(server, {"inputs": [given], "parameters": {"binary_data_output": True}})
    length = int(headers["inference-header-content-length"])
    output["parameters"] = {"binary_data_size": len(raw)}
    assert json.loads(shown[:length]) == {"model_name": "model", "model_version": "1", "outputs": [output]}
    assert shown[length:] == raw
    assert headers.keys() == common | {"inference-header-content-length"}


def posted(server: Any, body: Any) -> tuple[bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(server.root.removeprefix("http://"), timeout=30)
    connection.request("POST", "/v2/models/model/infer", json.dumps(body))
    response = connection.getresponse()
    assert response.status == 200
    content = response.read(), {name.lower(): value for name, value in response.getheaders()}
    connection.close()
    return content


def test_partial_inversions_are_kept_when_the_endpoint_goes_away(digits: bl.Network, start: Any) -> None:
    server = start(digits)
    box = server.box(patience_s=0.5)

    def ends_the_server(done: int, total: int) -> None:
        if done == 3:
            server.kill()

    with pytest.raises(bl.EndpointUnavailable) as lost:
        BrainLeaksV2(queries=120, warm_start=20)(box, classes=[0, 1], steps=6, seed=3, progress=ends_the_server)
    inversions = lost.value.inversions
    assert inversions.status == "stopped"
    assert inversions.queries == box.spent > 20
    assert len(inversions.trace.queries) == 3


def test_a_budget_spent_by_another_client_ends_the_attack_with_partial_results(digits: bl.Network, start: Any) -> None:
    server = start(digits, "--budget", "150")
    box, other = server.box(), server.box()

    def spends(done: int, total: int) -> None:
        if done == 2:
            other.query(torch.ones(6, 90, *digits.input_shape))

    attack = bl.attacks.RandomSearch(queries=48, warm_start=20, jitter=0)
    with pytest.raises(bl.BudgetExceeded, match="this query costs") as refused:
        attack(box, classes=[0, 1], steps=6, seed=3, progress=spends)
    assert refused.value.inversions.queries == box.spent == 52
