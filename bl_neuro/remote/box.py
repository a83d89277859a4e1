"""A black box whose target is behind an endpoint, anywhere."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from bl_neuro.access import BlackBox, Gate, Reveals
from bl_neuro.backends.base import is_held
from bl_neuro.errors import BudgetExceeded, EndpointProtocolError, EndpointRefused, InputError
from bl_neuro.remote.connection import Connection
from bl_neuro.remote.described import Described, Layout, Wishes, described
from bl_neuro.remote.inference import DTYPES, Wire, answer, laid_out, most_bytes, request
from bl_neuro.remote.tensors import EXTENSION as PACKED
from bl_neuro.remote.tensors import PROTOCOL, Keys, packing_of

MOST_BYTES = 16 * 2**20
"""Of one request, where an endpoint does not say how much it takes."""
HEADER_ROOM = 4096
_SESSION = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_MODEL = re.compile(r"(?P<base>https?://.+?)(?P<path>/v2/models/[^/?#\s]+(?:/versions/[^/?#\s]+)?)/?")


class RemoteBlackBox(BlackBox):
    """A `BlackBox` that asks an endpoint of the Open Inference Protocol v2, and so is attacked like any other.

    url: http(s)://host:port/v2/models/NAME. token: a bearer token. budget: queries, at most what the endpoint leaves,
    which is also what None means. Of an endpoint of `bl-neuro serve` nothing else need be said. Of another one
    (Triton, MLServer, KServe): reveals, what its output is, "scores" for probabilities; input and output, their names,
    where there are several; input_shape and classes, where its metadata leaves them open; layout, what it takes:
    "time_first" spikes (T, B, *input_shape), "batch_first" (B, T, *input_shape), or "rates", the mean of the spikes
    over time (B, *input_shape), as a model that knows no time does.

    timeout_s: for the answer to one try of a request, to its last byte. patience_s: how long one is tried for while the
    endpoint is busy or away. A query is charged once, however often it is sent, where the endpoint knows idempotency
    keys; where it does not, only what surely did not run is sent again (no connection was made, or 429). session: a
    name under which the same queries, asked once more after a crash, are not charged again; the budget is then what
    `budget` says, and the endpoint alone knows what it leaves. What is charged once is a request: queries that are then
    put together in other batches, or split otherwise because the endpoint takes smaller ones now, cost again; they are
    not refused.

    Warns:
        TokenInTheClear: a token is to go over plain HTTP to another machine.

    Raises:
        InputError: the URL, or what the metadata leaves open. EndpointError: it cannot be reached, refuses, or speaks
        another protocol. BudgetExceeded: nothing is left to spend.
    """

    __slots__ = ("_connection", "_url")

    def __init__(
        self,
        url: str,
        token: str | None = None,
        reveals: Reveals | None = None,
        budget: int | None = None,
        *,
        input: str | None = None,
        output: str | None = None,
        input_shape: tuple[int, ...] | None = None,
        classes: int | None = None,
        layout: Layout | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 60.0,
        certificates: str | None = None,
        session: str | None = None,
    ) -> None:
        parts = _MODEL.fullmatch(url)
        if parts is None:
            raise InputError(f"url: expected http(s)://host:port/v2/models/NAME, found {url!r}")
        path = parts["path"]
        if session is not None and not _SESSION.fullmatch(session):
            raise InputError(f"session: expected 1 to 100 letters, digits, '.', '_' and '-', found {session!r}")
        wishes = Wishes(reveals, input, output, None if input_shape is None else tuple(input_shape), classes, layout)
        connection = Connection(parts["base"], token, timeout_s, patience_s, certificates)
        try:
            model = described(connection.get(path), wishes, url)
            if model.remaining == 0 and session is None:
                raise BudgetExceeded(f"{url}: nothing is left of this client's budget")
            left = model.remaining if session is None else None
            limits = [each for each in (budget, left) if each is not None]
            gate = _gate(connection, f"{path}/infer", model, _extensions(connection), session)
            self._set_up(model.reveals, min(limits, default=None), model.input_shape, model.classes, gate)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._url = url

    def _about(self) -> str:
        return f"{self._url}, {super()._about()}"

    def close(self) -> None:
        """Closes the connections. Safe to call twice."""
        self._connection.close()

    def __enter__(self) -> RemoteBlackBox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _extensions(connection: Connection) -> set[str]:
    """What it takes beyond the protocol; nothing where it does not say what it is."""
    found = connection.get("/v2", may_be_absent=True)
    listed = found.get("extensions") if isinstance(found, dict) else None
    if listed is not None and not isinstance(listed, list):
        raise EndpointProtocolError(f"{connection.base}/v2: expected a list of extensions")
    return {each for each in listed or () if isinstance(each, str)}


def _gate(connection: Connection, path: str, model: Described, extensions: set[str], session: str | None) -> Gate:
    wire, keyed, keys = _wire(model, extensions), "idempotency_key" in extensions, Keys(session)
    where = connection.base + path

    def check(spikes: Any) -> Tensor:
        return _checked(spikes, model)

    def ask(spikes: Tensor) -> Tensor:
        parts: list[Tensor] = []
        ran = 0
        for part in spikes.split(_at_once(model, len(spikes), wire), dim=1):
            try:
                parts.append(one(part))
            except BudgetExceeded as error:
                error.ran = ran
                raise
            ran += part.shape[1]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1 if model.reveals in ("membrane", "spikes") else 0)

    def one(spikes: Tensor) -> Tensor:
        values, batch, steps = laid_out(spikes, model), spikes.shape[1], len(spikes)
        body, headers = request(values, model, wire)

        def asked(key: dict[str, str]) -> Tensor:
            found = connection.post(path, body, {**headers, **key}, keyed, most_bytes(model, batch, steps))
            return answer(found, model, batch, steps, where)

        if not keyed:
            return asked({})
        key = keys.of(values, model.datatype)
        try:
            return asked({"Idempotency-Key": key})
        except EndpointRefused as error:
            if session is None or error.code != "key_reused":
                raise
            # The same values were sent under it in another form, which to this endpoint is another query.
            return asked({"Idempotency-Key": f"{key}-{packing_of(values) if wire == 'packed' else wire}"})

    return Gate(check, ask)


def _wire(model: Described, extensions: set[str]) -> Wire:
    """The smallest form that the endpoint takes."""
    if PACKED in extensions and model.datatype == "UINT8" and model.layout == "time_first":
        return "packed"
    return "binary" if "binary_tensor_data" in extensions else "json"


def _at_once(model: Described, steps: int, wire: Wire) -> int:
    """Samples of one request; bits are bounded by what they are unpacked."""
    values = (1 if model.layout == "rates" else steps) * torch.Size(model.input_shape).numel()
    each = values * int(PROTOCOL[model.datatype][-1]) if wire != "json" else 24 * values
    room = (model.max_bytes or MOST_BYTES) - HEADER_ROOM if wire != "json" else min(MOST_BYTES, 2**20)
    return max(1, min(room // each, model.max_batch or 2**31))


def _checked(spikes: Any, model: Described) -> Tensor:
    """`spikes` as a tensor (T, B, *input_shape): 0/1, or finite values where the model takes floats over time."""
    shape = model.input_shape
    try:
        values = spikes if isinstance(spikes, Tensor) else torch.as_tensor(spikes)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"spikes: expected a tensor or an array, found {type(spikes).__name__}") from error
    if values.dim() != 2 + len(shape) or tuple(values.shape[2:]) != shape or min(values.shape[:2]) < 1:
        expected = ", ".join(map(str, ("T", "B", *shape)))
        raise InputError(f"spikes: expected shape ({expected}), found {tuple(values.shape)}")
    _check_values(values[:1] if is_held(values) else values, model)
    _check_rates(values, model)
    return values.detach()


def _check_values(values: Tensor, model: Described) -> None:
    if values.dtype == torch.bool or (values.dtype == torch.uint8 and bool(values.max() <= 1)):
        return  # the common cases, in one pass
    if not bool(values.isfinite().all()):
        raise InputError("spikes: expected finite values, found NaN or infinity")
    over_time, dtype = model.layout != "rates", DTYPES[model.datatype]
    if over_time and dtype.is_floating_point:
        largest = torch.finfo(dtype).max
        if bool(values.amax() > largest) or bool(values.amin() < -largest):
            raise InputError(f"spikes: expected values that {model.datatype} holds, found larger ones")
    elif bool(((values != 0) & (values != 1)).any()):
        raise InputError("spikes: expected only 0 and 1, found other values")


def _check_rates(values: Tensor, model: Described) -> None:
    """Rates are fractions, except of what stays as it is."""
    if model.layout != "rates" or DTYPES[model.datatype].is_floating_point or is_held(values):
        return
    if bool((values != values[:1]).any()):
        raise InputError(f"spikes: expected a frame that is held: {model.datatype} has no rates between 0 and 1")
