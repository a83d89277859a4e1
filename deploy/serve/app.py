"""The endpoint: the routes of the Open Inference Protocol v2, and what every request passes on its way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from torch import Tensor

from bl_neuro._version import __version__
from bl_neuro.deploy.serve.batcher import Batcher
from bl_neuro.deploy.serve.body import BodyReader
from bl_neuro.deploy.serve.clients import Clients
from bl_neuro.deploy.serve.ledger import Charge, Ledger
from bl_neuro.deploy.serve.logs import RequestLog
from bl_neuro.deploy.serve.metrics import Metrics
from bl_neuro.deploy.serve.model import ServedModel
from bl_neuro.deploy.serve.openapi import openapi
from bl_neuro.deploy.serve.problem import Problem, busy
from bl_neuro.deploy.serve.rate import RateLimit
from bl_neuro.deploy.serve.request import Query, read_query
from bl_neuro.errors import InputError
from bl_neuro.remote.tensors import to_bytes, to_json

EXTENSIONS = ["binary_tensor_data", "idempotency_key"]
LARGE = 64 * 2**10
"""Bytes of a body that is read in a thread, so that nobody waits for it."""
LONGEST_KEY = 128
Handler = Callable[[Request, str], Awaitable[Response]]


class Endpoint:
    """Serves `model` to `clients`; `app` is the ASGI application."""

    def __init__(
        self, model: ServedModel, clients: Clients, ledger: Ledger, metrics: Metrics, log: RequestLog | None = None
    ) -> None:
        self.metrics = metrics
        self._model, self._clients, self._ledger = model, clients, ledger
        self._log = log or RequestLog()
        self._settings = model.settings
        self._rate = RateLimit(self._settings.rate)
        self._bodies = BodyReader(self._settings.max_body, self._settings.max_bytes)
        self._described = openapi(self._settings.name, model.box.input_shape, model.settings.reveals, len(clients) > 0)
        self._batcher: Batcher | None = None
        base = f"/v2/models/{self._settings.name}"
        routes = [
            self._route("/v2", self._server),
            self._route("/v2/health/live", self._live, secure=False),
            self._route("/v2/health/ready", self._ready, secure=False),
            self._route(base, self._metadata),
            self._route(f"{base}/ready", self._ready),
            self._route(f"{base}/infer", self._infer, method="POST"),
            self._route("/openapi.json", self._openapi, secure=False),
        ]
        self.app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: self._no_route})
        self.app.router.redirect_slashes = False

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        model = self._model
        self._batcher = Batcher(model.box, self._ledger, self._settings, self.metrics, model.together)
        self._log.write("ready", model=self._settings.name, reveals=self._settings.reveals)
        try:
            yield
        finally:
            await self._batcher.close()
            self._log.write("ended")

    def _route(self, path: str, handler: Handler, method: str = "GET", secure: bool = True) -> Route:
        """A route whose requests are logged and counted, and whose problems become answers."""

        async def answer(request: Request) -> Response:
            began, client = time.monotonic(), None
            try:
                client = self._client(request) if secure else ""
                response = await handler(request, client)
            except Problem as problem:
                response = _refused(problem)
            except Exception as error:  # noqa: BLE001 - a defect of ours: named in the log, and not to the client
                self._log.write("defect", route=path, error=type(error).__name__, said=str(error)[:200])
                response = _json({"error": "internal error", "code": "internal"}, 500)
            self.metrics.requests.labels(path, str(response.status_code)).inc()
            elapsed = round(1000 * (time.monotonic() - began), 3)
            self._log.write("request", route=path, client=client, status=response.status_code, ms=elapsed)
            return response

        return Route(path, answer, methods=[method])

    def _client(self, request: Request) -> str:
        client = self._clients.named(request.headers.get("authorization"))
        if client is None:
            raise Problem(401, "unauthorized", "Authorization: expected Bearer and a token that is known here")
        wait = self._rate.wait(client)
        if wait:
            raise Problem(429, "rate_limited", f"expected at most {self._settings.rate:g} requests a second", wait)
        return client

    async def _server(self, request: Request, client: str) -> Response:
        return _json({"name": "bl-neuro", "version": __version__, "extensions": EXTENSIONS})

    async def _live(self, request: Request, client: str) -> Response:
        return _json({"live": True})

    async def _ready(self, request: Request, client: str) -> Response:
        if self._batcher is None or self._batcher.ending:
            raise busy("the server is ending")
        return _json({"name": self._settings.name, "ready": True})

    async def _metadata(self, request: Request, client: str) -> Response:
        return _json(self._model.metadata(self._ledger.remaining(client)))

    async def _openapi(self, request: Request, client: str) -> Response:
        return _json(self._described)

    async def _infer(self, request: Request, client: str) -> Response:
        deadline = time.monotonic() + self._settings.deadline_s
        key = _key(request)
        with self._bodies.space(request):
            body = await self._bodies.read(request, deadline)
            header_length = request.headers.get("inference-header-content-length")
            if len(body) > LARGE:
                query, spikes = await asyncio.to_thread(self._read, body, header_length)
            else:
                query, spikes = self._read(body, header_length)
            del body
            if self._batcher is None:
                raise busy("the server is starting")
            charge = Charge(client, key, query.digest, spikes.shape[1])
            answer = await self._batcher.ask(charge, spikes, deadline)
        return self._answer(query, answer)

    def _read(self, body: bytes, header_length: str | None) -> tuple[Query, Tensor]:
        query = read_query(body, header_length, self._settings.reveals, self._model.limits)
        try:
            return query, self._model.accepted(query.values)
        except InputError as error:
            raise Problem(400, "bad_request", str(error)) from error

    def _answer(self, query: Query, answer: Tensor) -> Response:
        output: dict[str, Any] = {
            "name": self._settings.reveals,
            "datatype": self._model.output_datatype,
            "shape": list(answer.shape),
        }
        found: dict[str, Any] = {"model_name": self._settings.name, "model_version": "1", "outputs": [output]}
        if query.id is not None:
            found["id"] = query.id
        if not query.binary:
            output["data"] = to_json(answer)
            return _json(found)
        raw = to_bytes(answer)
        output["parameters"] = {"binary_data_size": len(raw)}
        header = json.dumps(found, separators=(",", ":")).encode()
        return Response(
            header + raw,
            media_type="application/octet-stream",
            headers={"Inference-Header-Content-Length": str(len(header))},
        )

    async def _no_route(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        self.metrics.requests.labels("none", str(status)).inc()
        self._log.write("request", route=None, client=None, status=status)
        allowed = getattr(error, "headers", None) or {}
        return _json({"error": "expected a route of /openapi.json", "code": "no_route"}, status, dict(allowed))


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise Problem(400, "bad_request", f"Idempotency-Key: expected at most {LONGEST_KEY} printable characters")
    return key


def _refused(problem: Problem) -> Response:
    headers = {} if problem.retry_after is None else {"Retry-After": str(max(1, round(problem.retry_after + 0.5)))}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _json({"error": problem.message, "code": problem.code}, problem.status, headers)


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(content, separators=(",", ":"))
    return Response(body, status, headers, media_type="application/json")
