"""A black box against third-party servers: busy, unreachable, wrong, or of another layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

pytest.importorskip("urllib3", reason="urllib3 is not installed (the serve extra)")

import bl_neuro as bl
from bl_neuro.remote.connection import Connection


def test_a_plain_model_is_asked_in_rates(open_box: Any) -> None:
    box = open_box(budget=10)
    spikes = torch.zeros(4, 2, 12)
    spikes[:2, 0, :4] = 1
    assert (box.input_shape, box.classes, box.reveals) == ((12,), 3, "scores")
    assert box.query(spikes).tolist() == [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert box.spent == 2
    with pytest.raises(bl.InputError, match="only 0 and 1"):
        box.query(spikes / 2)
    with pytest.raises(bl.BudgetExceeded):
        box.query(torch.zeros(4, 9, 12))
    assert box.spent == 2


def test_a_forward_mode_derivative_is_refused(open_box: Any) -> None:
    box, spikes = open_box(), torch.ones(1, 1, 12)
    with forward_ad.dual_level(), pytest.raises(bl.InputError, match="forward-mode derivative"):
        box.query(forward_ad.make_dual(spikes, spikes))
    assert box.spent == 0


@pytest.mark.parametrize(
    "spikes",
    [
        torch.ones(1, 1, 12).to_sparse(),
        torch.ones(1, 1, 12, device="meta"),
        torch.ones(1, 1, 12, dtype=torch.complex64),
        torch.quantize_per_tensor(torch.ones(1, 1, 12), 1.0, 0, torch.quint8),
        torch.nested.nested_tensor([torch.ones(1, 12)]),
    ],
)
def test_tensors_without_real_values_are_refused(spikes: torch.Tensor, open_box: Any) -> None:
    box = open_box()
    with pytest.raises(bl.InputError, match=r"spikes: expected (a tensor|bool)"):
        box.query(spikes)
    assert box.spent == 0


@pytest.mark.parametrize(
    "spikes",
    [np.ones((1, 1, 12), np.uint16), np.ones((1, 1, 12))[..., ::-1], torch.ones(1, 1, 12).to(torch.float8_e4m3fn)],
)
def test_arrays_that_a_local_box_accepts_are_accepted(spikes: Any, open_box: Any) -> None:
    assert open_box().query(spikes).tolist() == [[4.0, 4.0, 4.0]]


def test_attacks_accept_a_remote_box(open_box: Any) -> None:
    box = open_box()
    attack = bl.attacks.BrainLeaksV2(queries=60)
    assert attack(box, classes=range(3), steps=4).queries == box.spent


def test_a_busy_endpoint_is_retried(foreign: Any, open_box: Any) -> None:
    foreign.extensions = ["idempotency_key"]
    box = open_box()
    foreign.replies = [(503, {"error": "busy"}, {}), (429, {"error": "slowly"}, {"Retry-After": "0"})]
    assert box.query(torch.ones(1, 1, 12)).tolist() == [[4.0, 4.0, 4.0]]
    assert box.spent == 1
    impatient = open_box(patience_s=0.01)
    foreign.replies = [(503, {"error": "busy"}, {})]
    with pytest.raises(bl.EndpointUnavailable, match="busy"):
        impatient.query(torch.ones(1, 1, 12))


@pytest.mark.parametrize("status", [408, 502, 503, 504])
def test_without_keys_only_requests_that_did_not_run_are_retried(status: int, foreign: Any, open_box: Any) -> None:
    """A proxy answers 503 after its server ran the query and hung up."""
    box = open_box()
    foreign.replies = [(429, {"error": "slowly"}, {}), (status, {"error": "upstream was reset"}, {})]
    with pytest.raises(bl.EndpointUnavailable, match="upstream was reset; the query may have been answered"):
        box.query(torch.ones(1, 1, 12))
    assert len(foreign.keys) == 2


def test_answers_before_the_end_of_the_budget_are_counted(foreign: Any, open_box: Any) -> None:
    foreign.metadata = {**foreign.metadata, "platform": "bl_neuro", "parameters": {"max_batch": 2}}
    box = open_box(budget=10)
    assert box.query(torch.ones(1, 5, 12)).shape == (5, 3)
    foreign.replies = ["answered", "answered", (403, {"error": "none is left", "code": "budget_exceeded"}, {})]
    with pytest.raises(bl.BudgetExceeded, match="none is left") as raised:
        box.query(torch.ones(1, 5, 12))
    assert raised.value.ran == 4
    assert (box.spent, box.remaining) == (9, 1)


def test_a_server_without_metadata_has_no_extensions(foreign: Any, open_box: Any) -> None:
    foreign.says_what_it_is = False
    assert open_box().query(torch.ones(1, 1, 12)).tolist() == [[4.0, 4.0, 4.0]]
    assert foreign.keys == [None]


def test_a_key_that_the_endpoint_took_for_another_form(foreign: Any, open_box: Any) -> None:
    foreign.extensions = ["idempotency_key"]
    used: Any = (409, {"error": "used for another query", "code": "key_reused"}, {})
    box = open_box(session="cell")
    foreign.replies = [used]
    assert box.query(torch.ones(1, 1, 12)).tolist() == [[4.0, 4.0, 4.0]]
    assert foreign.keys[1] == f"{foreign.keys[0]}-json"
    foreign.replies = [used, used]
    with pytest.raises(bl.EndpointRefused, match="used for another"):
        box.query(torch.ones(1, 1, 12))
    foreign.replies = [used]
    with pytest.raises(bl.EndpointRefused, match="used for another"):
        open_box().query(torch.ones(1, 1, 12))


@pytest.mark.parametrize("datatype", ["UINT16", "UINT32", "UINT64", "FP16", "FP64", "BOOL"])
@pytest.mark.parametrize("extensions", [[], ["binary_tensor_data"]])
@pytest.mark.slow
def test_datatypes_of_a_model(datatype: str, extensions: list[str], foreign: Any, open_box: Any) -> None:
    foreign.extensions = extensions
    foreign.metadata = {**foreign.metadata, "inputs": [{"name": "images", "datatype": datatype, "shape": [-1, 12]}]}
    box = open_box()
    frame = torch.zeros(1, 2, 12)
    frame[0, 0, :4] = frame[0, 1, 4:7] = 1
    for spikes in (frame, frame.expand(4, 2, 12), frame.bool(), frame.expand(4, 2, 12).contiguous().byte()):
        assert box.query(spikes).tolist() == [[4.0, 0.0, 0.0], [0.0, 3.0, 0.0]]
    halves = torch.cat([frame, 0 * frame])
    if datatype.startswith("FP"):
        assert box.query(halves).tolist() == [[2.0, 0.0, 0.0], [0.0, 1.5, 0.0]]
        return
    spent = box.spent
    with pytest.raises(bl.InputError, match=f"{datatype} has no rates"):
        box.query(halves)
    assert box.spent == spent


def test_floats_that_a_datatype_does_not_hold(foreign: Any, open_box: Any) -> None:
    foreign.metadata = {**foreign.metadata, "inputs": [{"name": "images", "datatype": "FP16", "shape": [-1, -1, 12]}]}
    box = open_box(layout="time_first")
    with pytest.raises(bl.InputError, match="within the range of FP16"):
        box.query(torch.full((2, 1, 12), -1e5))
    assert (box.spent, foreign.keys) == (0, [])


def test_a_box_that_cannot_be_made_closes_its_connection(
    foreign: Any, open_box: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Connection] = []
    monkeypatch.setattr(Connection, "close", lambda connection: closed.append(connection))
    with pytest.raises(bl.InputError, match="give reveals"):
        open_box(reveals=None)
    foreign.extensions = 7
    with pytest.raises(bl.EndpointProtocolError):
        open_box()
    foreign.extensions = []
    with pytest.raises(bl.InputError, match="budget"):
        open_box(budget=0)
    assert len(closed) == 3


def test_a_lost_answer_is_asked_again_under_its_key_or_not_at_all(foreign: Any, open_box: Any) -> None:
    foreign.extensions = ["idempotency_key"]
    keyed = open_box()
    foreign.replies = [None, None]
    keyed.query(torch.ones(1, 1, 12))
    assert len(foreign.keys) == 3
    assert len(set(foreign.keys)) == 1
    assert foreign.keys[0]
    foreign.extensions = []
    plain = open_box()
    foreign.replies = [None]
    with pytest.raises(bl.EndpointUnavailable, match="may have been answered"):
        plain.query(torch.ones(1, 1, 12))
    assert len(foreign.keys) == 4


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "", bl.InputError),
        (401, "", bl.EndpointRefused),
        (404, "", bl.EndpointRefused),
        (403, "budget_exceeded", bl.BudgetExceeded),
        (500, "", bl.EndpointUnavailable),
        (302, "", bl.EndpointRefused),
    ],
)
def test_every_refusal_is_typed(status: int, code: str, error: type[Exception], foreign: Any, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [(status, {"error": "said \x1b[31m so", "code": code}, {"Location": "http://127.0.0.1:1/"})]
    with pytest.raises(error, match=r"said  \[31m so") as raised:
        box.query(torch.ones(1, 1, 12))
    assert "\x1b" not in str(raised.value)
    assert box.spent == (0 if code else 1)


@pytest.mark.parametrize(
    "output",
    [
        {"name": "other", "datatype": "FP64", "shape": [1, 3], "data": [0, 0, 0]},
        {"name": "scores", "datatype": "FP64", "shape": [1, 4], "data": [0, 0, 0, 0]},
        {"name": "scores", "datatype": "FP64", "shape": [3, 1], "data": [0, 0, 0]},
        {"name": "scores", "datatype": "FP64", "shape": [1, 3], "data": [0, 0]},
        {"name": "scores", "datatype": "BYTES", "shape": [1, 3], "data": [0, 0, 0]},
        {"name": "scores", "datatype": "FP64", "shape": [1, 3], "parameters": {"binary_data_size": 10**12}},
        {"name": "scores", "datatype": "FP64", "shape": [1, 3], "data": [0, float("nan"), 0]},
        {"name": "scores"},
        7,
    ],
)
def test_invalid_answers_are_refused(output: Any, foreign: Any, open_box: Any) -> None:
    box = open_box()
    foreign.replies = [(200, {"outputs": [output]}, {})]
    with pytest.raises(bl.EndpointProtocolError):
        box.query(torch.ones(1, 1, 12))


def test_open_choices_must_be_stated(foreign: Any, open_box: Any) -> None:
    with pytest.raises(bl.InputError, match="give reveals"):
        open_box(reveals=None)
    foreign.metadata = {"name": "plain", "inputs": [], "outputs": []}
    with pytest.raises(bl.InputError, match="give the name of one of its inputs"):
        open_box()
    with pytest.raises(bl.InputError, match="the shape of one frame does not follow"):
        open_box(input="images", output="scores", classes=3)
    box = open_box(input="images", output="scores", classes=3, input_shape=(12,))
    assert box.query(torch.ones(1, 1, 12)).shape == (1, 3)


@pytest.mark.parametrize(
    "url", ["", "file:///v2/models/x", "http://host/", "http://a:b@host/v2/models/x", "http://host/v2/models/x?y=1"]
)
def test_invalid_urls_are_refused(url: str) -> None:
    with pytest.raises(bl.InputError, match="url: expected"):
        bl.RemoteBlackBox(url)


def test_an_unreachable_endpoint_is_a_typed_error() -> None:
    with pytest.raises(bl.EndpointUnavailable, match="cannot be reached"):
        bl.RemoteBlackBox("http://127.0.0.1:9/v2/models/x", patience_s=0.01)
