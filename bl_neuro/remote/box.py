"""A black box whose target is behind an endpoint."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from bl_neuro.access import BlackBox, Gate, Reveals
from bl_neuro.backends.inputs import Accepted, is_held, real_tensor, usual_dtype
from bl_neuro.errors import BudgetExceeded, EndpointProtocolError, EndpointRefused, InputError
from bl_neuro.remote.batch_limit import CONFIGURATION, BatchLimit, configured_batch, padded
from bl_neuro.remote.connection import Connection
from bl_neuro.remote.described import BATCH_AXES, Described, Layout, Options, described
from bl_neuro.remote.inference import DTYPES, Wire, answer, answer_bytes, laid_out, max_response_bytes, request
from bl_neuro.remote.tensors import EXTENSION as PACKED
from bl_neuro.remote.tensors import PROTOCOL, Keys, packing_of

DEFAULT_MAX_BYTES = 16 * 2**20
"""Maximum bytes of one request if the endpoint does not declare a limit."""
MAX_BYTES = 64 * 2**20
"""Maximum bytes of one request, and of the answer to it, whatever the endpoint declares; see `_request_bytes`."""
HEADER_ROOM = 4096
_SESSION = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_MODEL = re.compile(r"(?P<base>https?://.+?)(?P<path>/v2/models/[^/?#\s]+(?:/versions/[^/?#\s]+)?)/?")


class RemoteBlackBox(BlackBox):
    """A `BlackBox` that queries an endpoint of the Open Inference Protocol v2; attacks use it like any other box.

    url: http(s)://host:port/v2/models/NAME. token: a bearer token. budget: number of queries, at most what the endpoint
    still allows, which is the default. An endpoint of `bl-neuro serve` needs no further arguments. For other servers
    (Triton, MLServer, KServe): reveals, the kind of output, "scores" for probabilities; input and output, tensor names
    if there are several; input_shape and classes, if the metadata does not determine them; layout, the input layout:
    "time_first" spikes (T, B, *input_shape), "batch_first" (B, T, *input_shape), or "rates", the mean of the spikes
    over time (B, *input_shape), for a model without a time axis.

    timeout_s: seconds for the complete answer to one attempt of a request. patience_s: seconds for which a request is
    repeated while the endpoint is busy or unreachable. If the endpoint supports idempotency keys, a query is charged
    once however often it is sent; otherwise a request is only repeated if it certainly did not run (no connection, or
    status 429). certificates: PEM file of the trusted authorities. session: a name under which the same queries,
    repeated after a crash, are not charged again; the limit is then `budget` alone, since only the endpoint knows what
    it has charged. The unit that is charged once is a request: queries in other batches, or split differently because
    the endpoint's limits became smaller, are charged again.

    Batches that are too large for the endpoint are split, at the limit that its metadata, its configuration (Triton's
    max_batch_size) or its refusal states. If the endpoint takes batches of one size only, the last sample of a smaller
    batch is repeated.

    Warns:
        TokenInTheClear: a token is sent over plain HTTP to another machine.

    Raises:
        InputError: the URL is invalid, or an argument is missing that the metadata does not determine.
        EndpointError: the endpoint is unreachable, refuses, or does not speak the protocol.
        BudgetExceeded: the client's budget is spent.
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
        options = Options(reveals, input, output, None if input_shape is None else tuple(input_shape), classes, layout)
        connection = Connection(parts["base"], token, timeout_s, patience_s, certificates)
        try:
            model = described(connection.get(path), options, url)
            if model.remaining == 0 and session is None:
                raise BudgetExceeded(f"{url}: this client's budget is spent")
            left = model.remaining if session is None else None
            limits = [limit for limit in (budget, left) if limit is not None]
            extensions = _extensions(connection)
            if CONFIGURATION in extensions and model.max_batch is None:
                model = replace(model, max_batch=configured_batch(connection, path))
            gate = _gate(connection, f"{path}/infer", model, extensions, session)
            self._set_up(model.reveals, min(limits, default=None), model.input_shape, model.classes, gate)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._url = url

    def _about(self) -> str:
        return f"{self._url}, {super()._about()}"

    def close(self) -> None:
        """Closes the connections. Can be called repeatedly."""
        self._connection.close()

    def __enter__(self) -> RemoteBlackBox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _extensions(connection: Connection) -> set[str]:
    """Names of the endpoint's protocol extensions; empty if it does not declare any."""
    metadata = connection.get("/v2", may_be_absent=True)
    extensions = metadata.get("extensions") if isinstance(metadata, dict) else None
    if extensions is not None and not isinstance(extensions, list):
        raise EndpointProtocolError(
            f"{connection.base}/v2: extensions: expected a list, found {type(extensions).__name__}"
        )
    return {name for name in extensions or () if isinstance(name, str)}


def _gate(connection: Connection, path: str, model: Described, extensions: set[str], session: str | None) -> Gate:
    wire, keyed, keys = _wire(model, extensions), "idempotency_key" in extensions, Keys(session)
    url, limit = connection.base + path, BatchLimit(model)

    batch_axis = 1 if model.reveals in ("membrane", "spikes") else 0

    def check(spikes: Any) -> Accepted:
        values = _checked(spikes, model)
        _need_room(model, len(values), wire)
        return Accepted(values)

    def ask(accepted: Accepted) -> Tensor:
        spikes = accepted.spikes
        parts: list[Tensor] = []
        ran = 0
        room = _room(model, len(spikes), wire)
        while ran < spikes.shape[1]:
            size = min(limit.samples(room), spikes.shape[1] - ran)
            try:
                parts.append(query_part(spikes.narrow(1, ran, size)))
            except BudgetExceeded as error:
                error.ran = ran
                raise
            except (InputError, EndpointRefused) as error:
                if not limit.learn(error, size, url):
                    raise
                continue
            ran += size
        return parts[0] if len(parts) == 1 else torch.cat(parts, batch_axis)

    def query_part(part: Tensor) -> Tensor:
        values = padded(laid_out(part, model), BATCH_AXES[model.layout], limit.fixed)
        answers = query_all(values, len(part))
        return answers.narrow(batch_axis, 0, part.shape[1])

    def query_all(values: Tensor, steps: int) -> Tensor:
        batch = values.shape[BATCH_AXES[model.layout]]
        body, headers = request(values, model, wire)

        def send(key: dict[str, str]) -> Tensor:
            response = connection.post(path, body, {**headers, **key}, keyed, max_response_bytes(model, batch, steps))
            return answer(response, model, batch, steps, url)

        if not keyed:
            return send({})
        key = keys.of(values, model.datatype)
        try:
            return send({"Idempotency-Key": key})
        except EndpointRefused as error:
            if session is None or error.code != "key_reused":
                raise
            # The same values were sent under this key in another form, which the endpoint treats as another query.
            return send({"Idempotency-Key": f"{key}-{packing_of(values) if wire == 'packed' else wire}"})

    return Gate(check, ask)


def _wire(model: Described, extensions: set[str]) -> Wire:
    """The most compact encoding that the endpoint supports."""
    if PACKED in extensions and model.datatype == "UINT8" and model.layout == "time_first":
        return "packed"
    return "binary" if "binary_tensor_data" in extensions else "json"


def _request_bytes(model: Described, steps: int, wire: Wire) -> int:
    """Bytes of one sample in a request; packed spikes count with their unpacked size, JSON with 24 bytes per value."""
    values = (1 if model.layout == "rates" else steps) * torch.Size(model.input_shape).numel()
    return values * (24 if wire == "json" else int(PROTOCOL[model.datatype][-1]))


def _room(model: Described, steps: int, wire: Wire) -> int:
    """Number of samples that fit into one request and its answer; 1 also for a sample above the endpoint's limit."""
    most = min(model.max_bytes or DEFAULT_MAX_BYTES, MAX_BYTES) - HEADER_ROOM if wire != "json" else 2**20
    return max(1, min(most // _request_bytes(model, steps, wire), MAX_BYTES // answer_bytes(model, 1, steps)))


def _need_room(model: Described, steps: int, wire: Wire) -> None:
    """Raises InputError if a request with one sample of `steps` steps, or its answer, has more than `MAX_BYTES`."""

    def largest(steps: int) -> int:
        return max(_request_bytes(model, steps, wire) + HEADER_ROOM, answer_bytes(model, 1, steps))

    if largest(steps) > MAX_BYTES:
        fitting = bisect_right(range(1, steps), MAX_BYTES, key=largest)
        raise InputError(
            f"spikes: expected samples that take at most {MAX_BYTES} bytes in a request and in its answer, found "
            f"{steps} step{'s' * (steps > 1)} with {largest(steps)} bytes; "
            + (f"at most {fitting} steps fit" if fitting else "not even one step fits")
        )


def _checked(spikes: Any, model: Described) -> Tensor:
    """`spikes` as a tensor (T, B, *input_shape): 0/1, or finite values if the model takes floats over time."""
    shape = model.input_shape
    values = real_tensor(spikes)
    if values.dim() != 2 + len(shape) or tuple(values.shape[2:]) != shape or min(values.shape[:2]) < 1:
        expected = ", ".join(map(str, ("T", "B", *shape)))
        raise InputError(f"spikes: expected shape ({expected}), found {tuple(values.shape)}")
    values = usual_dtype(values)
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
            raise InputError(f"spikes: expected values within the range of {model.datatype}, found larger ones")
    elif bool(((values != 0) & (values != 1)).any()):
        raise InputError("spikes: expected only 0 and 1, found other values")


def _check_rates(values: Tensor, model: Described) -> None:
    """Refuses rates that are fractions, if the model takes integers; a constant frame has rates 0 and 1 only."""
    if model.layout != "rates" or DTYPES[model.datatype].is_floating_point or is_held(values):
        return
    if bool((values != values[:1]).any()):
        raise InputError(f"spikes: expected a constant frame: {model.datatype} has no rates between 0 and 1")
