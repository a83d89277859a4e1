"""Batches are split at the limit of an endpoint: as it declares, or as its refusals say."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("urllib3", reason="urllib3 is not installed (the serve extra)")

import bl_neuro as bl
from bl_neuro.remote.box import _room
from bl_neuro.remote.described import Described

SPIKES = (torch.rand(2, 20, 12, generator=torch.Generator().manual_seed(0)) < 0.5).float()
SCORES = SPIKES.mean(0).reshape(20, 3, 4).sum(2)
TRITON = "[request id: <id_unknown>] inference request batch-size must be <= {most} for 'plain'"


def images(*shape: int) -> list[dict[str, Any]]:
    return [{"name": "images", "datatype": "FP32", "shape": list(shape)}]


def test_the_configuration_of_triton(foreign: Any, open_box: Any) -> None:
    foreign.extensions = ["model_configuration"]
    foreign.configuration = (200, {"max_batch_size": 8}, {})
    box = open_box()
    assert torch.equal(box.query(SPIKES).float(), SCORES)
    assert (foreign.batches, box.spent) == ([8, 8, 4], 20)


@pytest.mark.parametrize(
    "configuration",
    [(404, {}, {}), (400, {"error": "no"}, {}), (200, {"max_batch_size": 0}, {}), (200, [7], {}), (302, {}, {})],
)
def test_a_configuration_without_a_limit(configuration: Any, foreign: Any, open_box: Any) -> None:
    foreign.extensions = ["model_configuration"]
    foreign.configuration = configuration
    assert torch.equal(open_box().query(SPIKES).float(), SCORES)
    assert foreign.batches == [20]


@pytest.mark.parametrize(
    ("message", "batches"),
    [
        (TRITON, [20, 6, 6, 6, 2]),
        ("the batch is too large", [20, 10, 5, 5, 5, 5]),
        ("batch 20 is too large for v2 of this model", [20, 10, 5, 5, 5, 5]),
    ],
)
@pytest.mark.slow
def test_a_limit_is_learned_from_the_refusal(message: str, batches: list[int], foreign: Any, open_box: Any) -> None:
    foreign.refusal = lambda batch: message.format(most=6) if batch > 6 else None
    box = open_box()
    assert torch.equal(box.query(SPIKES).float(), SCORES)
    assert (foreign.batches, box.spent) == (batches, 20)
    foreign.batches.clear()
    box.query(SPIKES)  # the limit is remembered
    assert max(foreign.batches) <= 6


def test_a_body_that_is_too_large_for_a_proxy_is_split(foreign: Any, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [(413, {"error": "Request Entity Too Large"}, {})]
    assert torch.equal(box.query(SPIKES).float(), SCORES)
    assert foreign.batches == [10, 10]


@pytest.mark.parametrize("body", [b"<html><h1>413 Request Entity Too Large</h1></html>", b""])
def test_a_proxy_may_refuse_a_body_without_json(body: bytes, foreign: Any, open_box: Any) -> None:
    def refuse(handler: Any) -> None:
        handler.send_response(413)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Connection", "close")  # as the server closes it, and as proxies do
        handler.end_headers()
        handler.wfile.write(body)

    box = open_box()
    foreign.replies = [refuse, refuse]
    assert torch.equal(box.query(SPIKES).float(), SCORES)
    assert foreign.batches == [5, 5, 5, 5]


@pytest.mark.parametrize("fixed", [1, 8, 32])
@pytest.mark.slow
def test_a_fixed_first_axis(fixed: int, foreign: Any, open_box: Any) -> None:
    foreign.metadata = {**foreign.metadata, "inputs": images(fixed, 12)}
    foreign.refusal = lambda batch: None if batch == fixed else "unexpected shape for input 'images'"
    box = open_box()
    assert torch.equal(box.query(SPIKES).float(), SCORES)
    assert set(foreign.batches) == {fixed}
    assert box.spent == 20


def test_a_fixed_axis_is_learned_from_the_refusal(foreign: Any, open_box: Any) -> None:
    message = "Got invalid dimensions for input: images for the following indices index: 0 Got: {} Expected: 8"
    foreign.refusal = lambda batch: None if batch == 8 else message.format(batch)
    assert torch.equal(open_box().query(SPIKES).float(), SCORES)
    assert foreign.batches == [20, 8, 8, 8]


@pytest.mark.slow
def test_an_attack_runs_through_a_small_batch(foreign: Any, open_box: Any) -> None:
    foreign.refusal = lambda batch: TRITON.format(most=4) if batch > 4 else None
    attack = bl.attacks.BrainLeaksV2(queries=60)
    here, there = attack(open_box(), classes=range(3), steps=4, seed=0), open_box()
    foreign.refusal = lambda batch: None
    assert torch.equal(here.spikes, attack(there, classes=range(3), steps=4, seed=0).spikes)


@pytest.mark.parametrize("message", ["the batch is wrong", "batch-size must be <= 1", "index: 0 Got: 1 Expected: {}"])
def test_an_endpoint_that_refuses_every_batch_ends(message: str, foreign: Any, open_box: Any) -> None:
    foreign.refusal = lambda batch: message.format(batch + 1)
    with pytest.raises(bl.InputError, match="400: "):
        open_box().query(SPIKES)
    assert len(foreign.batches) <= 6


def test_another_refusal_is_not_about_the_batch(foreign: Any, open_box: Any) -> None:
    foreign.refusal = lambda batch: "no input of this name"
    with pytest.raises(bl.InputError, match="no input of this name"):
        open_box().query(SPIKES)
    assert foreign.batches == [20]


def test_a_fixed_batch_that_fits_into_no_request(foreign: Any, open_box: Any) -> None:
    foreign.metadata = {**foreign.metadata, "inputs": images(2**30, 12)}
    with pytest.raises(bl.EndpointProtocolError, match="batches of exactly 1073741824 samples"):
        open_box().query(SPIKES)


PACKED = ["binary_tensor_data", "packed_spikes"]


def declared(batch: int, **parameters: Any) -> dict[str, Any]:
    """The metadata of an endpoint that claims to be of this project. batch: the only one, or -1 for any."""
    return {
        "name": "plain",
        "platform": "bl_neuro",
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, batch, 12]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
        "parameters": {"reveals": "scores", "layout": "time_first", "classes": 3, "max_bytes": 10**15, **parameters},
    }


def test_an_endpoint_cannot_raise_the_size_of_a_request(foreign: Any, open_box: Any) -> None:
    foreign.metadata, foreign.extensions = declared(30_000_000), PACKED
    with pytest.raises(bl.EndpointProtocolError, match=r"batches of exactly 30000000 samples, of which \d+ fit"):
        open_box(layout=None).query(SPIKES)
    foreign.metadata = declared(-1)
    foreign.replies = [(400, {"error": "index: 1 Got: 20 Expected: 30000000"}, {})]
    with pytest.raises(bl.EndpointProtocolError, match=r"batches of exactly 30000000 samples, of which \d+ fit"):
        open_box(layout=None).query(SPIKES)


@pytest.mark.parametrize(("reveals", "steps", "samples"), [("label", 1, 2**21), ("counts", 1, 512), ("spikes", 4, 128)])
def test_a_request_is_as_small_as_its_answer_requires(reveals: Any, steps: int, samples: int) -> None:
    model = Described(reveals, "images", "UINT8", "scores", (1,), 4096, "time_first", None, None, 10**15)
    assert _room(model, steps, "packed") == samples


@pytest.mark.parametrize(
    ("reveals", "layout", "extensions", "fitting"),
    [
        ("counts", "time_first", PACKED, (2**26 - 4096) // 12),
        ("counts", "time_first", [], (2**26 - 4096) // (24 * 12)),
        ("membrane", "rates", PACKED, 2**26 // (32 * 3)),
    ],
)
def test_a_sample_that_fits_into_no_request_is_refused(
    reveals: Any, layout: Any, extensions: list[str], fitting: int, foreign: Any, open_box: Any
) -> None:
    foreign.metadata, foreign.extensions = declared(-1, reveals=reveals, layout=layout), extensions
    box = open_box(reveals=reveals, layout=layout, input_shape=(12,))
    with pytest.raises(bl.InputError, match=f"found {fitting + 1} steps with .* at most {fitting} steps fit"):
        box.query(torch.zeros(1, 1, 12).expand(fitting + 1, 1, 12))
    assert (box.spent, foreign.batches) == (0, [])


def test_an_input_of_which_one_step_fits_into_no_request_is_refused(foreign: Any, open_box: Any) -> None:
    foreign.metadata = declared(-1, reveals="counts", layout="time_first")
    with pytest.raises(bl.InputError, match=r"found 1 step with .* bytes; not even one step fits"):
        open_box(reveals="counts", layout="time_first", input_shape=(2**22,), classes=3).query(torch.zeros(1, 1, 2**22))


def test_a_sample_above_the_limit_of_the_endpoint_is_sent_alone(foreign: Any, open_box: Any) -> None:
    foreign.metadata = {**foreign.metadata, "platform": "bl_neuro", "parameters": {"max_bytes": 1}}
    foreign.extensions = ["binary_tensor_data"]
    assert torch.equal(open_box().query(SPIKES[:, :2]).float(), SCORES[:2])
    assert foreign.batches == [1, 1]


def test_a_fixed_batch_repeats_rates_and_not_their_spikes(
    foreign: Any, open_box: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def cat(parts: list[torch.Tensor], dim: int) -> torch.Tensor:
        sizes.append(sum(part.numel() for part in parts))
        return concatenated(parts, dim)

    concatenated = torch.cat
    monkeypatch.setattr("torch.cat", cat)
    foreign.metadata = {**foreign.metadata, "inputs": images(32, 12)}
    assert torch.equal(open_box().query(SPIKES).float(), SCORES)
    assert sizes == [32 * 12]
