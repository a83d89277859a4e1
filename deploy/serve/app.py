"""The endpoint: the routes of the Open Inference Protocol v2, and the checks that every request passes."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from torch import Tensor

from bl_neuro._version import __version__
from bl_neuro.deploy.serve.batcher import Batcher
from bl_neuro.deploy.serve.clients import Clients, RateLimit
from bl_neuro.deploy.serve.ledger import Charge, Ledger
from bl_neuro.deploy.serve.logs import RequestLog
from bl_neuro.deploy.serve.metrics import Metrics
from bl_neuro.deploy.serve.model import VERSION, ServedModel
from bl_neuro.deploy.serve.openapi import openapi
from bl_neuro.deploy.serve.problem import Problem, busy
from bl_neuro.deploy.serve.request import BodyReader, Query, read_query
from bl_neuro.deploy.serve.settings import LOOPBACK
from bl_neuro.errors import InputError
from bl_neuro.remote.tensors import EXTENSION as PACKED
from bl_neuro.remote.tensors import to_bytes, to_json

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

EXTENSIONS = ["binary_tensor_data", "idempotency_key", PACKED]
LARGE, LARGE_JSON = 512 * 2**10, 64 * 2**10
"""Sizes in bytes above which a body (with binary tensors, or JSON) is parsed in a thread, so that other requests do not
wait for it; for a smaller body a thread would cost more time than it saves."""
LONGEST_KEY = 128
Handler = Callable[[Request, str], Awaitable[Response]]


class Endpoint:
    """Serves `model` to `clients`; `app` is the ASGI application."""

    def __init__(self, model: ServedModel, clients: Clients, ledger: Ledger, metrics: Metrics, log: RequestLog) -> None:
        self.metrics = metrics
        self._model, self._clients, self._ledger = model, clients, ledger
        self._log = log
        self._settings = model.settings
        self._rate = RateLimit(self._settings.rate)
        self._bodies = BodyReader(self._settings.max_body, self._settings.max_bytes)
        self._description = openapi(self._settings.name, model.limits, model.settings.reveals, len(clients) > 0)
        self._batcher: Batcher | None = None
        models = (f"/v2/models/{self._settings.name}", f"/v2/models/{self._settings.name}/versions/{VERSION}")
        routes = [
            self._route("/v2", self._server),
            self._route("/v2/health/live", self._live, secure=False),
            self._route("/v2/health/ready", self._ready, secure=False),
            *(self._route(path, self._metadata) for path in models),
            *(self._route(f"{path}/ready", self._model_ready) for path in models),
            *(self._route(f"{path}/infer", self._infer, method="POST") for path in models),
            self._route("/openapi.json", self._openapi),
        ]
        unknown_route = self._answering("none", self._unknown_route, None, secure=False)
        self.app = Router(routes, redirect_slashes=False, default=unknown_route, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, app: Router) -> AsyncIterator[None]:
        model = self._model
        self._batcher = Batcher(model.box, self._ledger, self._settings, self.metrics, model.shared_calls)
        self._log.write("ready", model=self._settings.name, reveals=self._settings.reveals)
        try:
            yield
        finally:
            await self._batcher.close()
            self._log.write("ended")

    def _route(self, path: str, handler: Handler, method: str = "GET", secure: bool = True) -> Route:
        return Route(path, _Application(self._answering(path, handler, method, secure)))

    def _answering(self, path: str, handler: Handler, method: str | None, secure: bool) -> ASGIApp:
        """Handles requests of one path: logs and counts them, and turns problems into responses.

        method: the allowed method, None for any.
        """
        methods = ("GET", "HEAD") if method == "GET" else (method,)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive)
            start_time, client, code = time.monotonic(), None, None
            try:
                if method is not None and request.method not in methods:
                    raise Problem(405, "no_route", f"expected {method}")
                self._refuse_web_pages(request)
                client = self._client(request) if secure else ""
                if secure:
                    self._within_rate(client)
                response = await handler(request, client)
            except Problem as problem:
                code = problem.code
                response = _refused(problem, method)
            except Exception as error:  # noqa: BLE001 - a bug in the server: reported in the log, not to the client
                self._log.write("defect", route=path, error=type(error).__name__, message=str(error)[:200])
                response = _json({"error": "internal error", "code": "internal"}, 500)
            self.metrics.requests.labels(path, str(response.status_code)).inc()
            elapsed = time.monotonic() - start_time
            self.metrics.request_s.labels(path).observe(elapsed)
            refused = {} if code is None else {"code": code}
            facts = {"client": client, "status": response.status_code, "ms": round(1000 * elapsed, 3), **refused}
            self._log.write("request", route=path, **facts)
            await response(scope, receive, send)

        return answer

    def _refuse_web_pages(self, request: Request) -> None:
        """Refuses requests that a web page sends through a local browser, which no token would otherwise prevent."""
        if len(self._clients):
            return
        host = _host(request.headers.get("host", ""))
        if "origin" in request.headers or host not in ("", *LOOPBACK, self._settings.host):
            raise Problem(403, "web_page", "without tokens, expected no Origin header and this machine as Host")

    def _client(self, request: Request) -> str:
        client = self._clients.authenticated(request.headers.get("authorization"))
        if client is None:
            raise Problem(401, "unauthorized", "Authorization: expected Bearer and a valid token")
        return client

    def _within_rate(self, client: str) -> None:
        wait = self._rate.wait(client)
        if wait:
            raise Problem(429, "rate_limited", f"expected at most {self._settings.rate:g} requests per second", wait)

    async def _server(self, request: Request, client: str) -> Response:
        return _json({"name": "bl-neuro", "version": __version__, "extensions": EXTENSIONS})

    async def _live(self, request: Request, client: str) -> Response:
        return _json({"live": True})

    async def _ready(self, request: Request, client: str) -> Response:
        if self._batcher is None or self._batcher.ending:
            raise busy("the server is shutting down")
        if self._ledger.damage is not None:
            raise busy("the log of queries was damaged")
        return _json({"ready": True})

    async def _model_ready(self, request: Request, client: str) -> Response:
        await self._ready(request, client)
        return _json({"name": self._settings.name, "ready": True})

    async def _metadata(self, request: Request, client: str) -> Response:
        return _json(self._model.metadata(self._ledger.remaining(client)))

    async def _openapi(self, request: Request, client: str) -> Response:
        return _json(self._description)

    async def _infer(self, request: Request, client: str) -> Response:
        deadline_problem = Problem(408, "slow", "the body did not arrive in time")
        key = _key(request)
        with self._bodies.space(request, client) as reserve:
            try:
                async with timeout(self._settings.deadline_s):
                    body = await self._bodies.read(request, reserve)
                    deadline_problem = busy("the deadline passed before the answer was ready")
                    header_length = request.headers.get("inference-header-content-length")
                    if len(body) > (LARGE_JSON if header_length is None else LARGE):
                        query, spikes = await asyncio.to_thread(self._parsed, body, header_length, reserve)
                    else:
                        query, spikes = self._parsed(body, header_length, reserve)
                    del body
                    answer = await self._query(Charge(client, key, query.digest, spikes.shape[1]), spikes)
            except (TimeoutError, asyncio.TimeoutError) as error:  # the same class from Python 3.11 on
                raise deadline_problem from error
        return self._answer(query, answer)

    async def _query(self, charge: Charge, spikes: Tensor) -> Tensor:
        if self._batcher is None:
            raise busy("the server is starting")
        return await self._batcher.ask(charge, spikes)

    def _parsed(self, body: bytes, header_length: str | None, reserve: Callable[[int], None]) -> tuple[Query, Tensor]:
        query = read_query(body, header_length, self._settings.reveals, self._model.limits, reserve)
        if query.spikes:
            return query, query.values
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
        response: dict[str, Any] = {"model_name": self._settings.name, "model_version": VERSION, "outputs": [output]}
        if query.id is not None:
            response["id"] = query.id
        if not query.binary:
            if not bool(answer.isfinite().all()):
                message = "the answer contains NaN or infinity, which JSON cannot express; request binary_data"
                raise Problem(406, "not_finite", message)
            output["data"] = to_json(answer)
            return _json(response)
        raw = to_bytes(answer)
        output["parameters"] = {"binary_data_size": len(raw)}
        header = json.dumps(response, separators=(",", ":")).encode()
        return Response(
            header + raw,
            media_type="application/octet-stream",
            headers={"Inference-Header-Content-Length": str(len(header))},
        )

    async def _unknown_route(self, request: Request, client: str) -> Response:
        message = "expected a route of /openapi.json"
        if self._clients.authenticated(request.headers.get("authorization")) is not None:
            message += f"; the served model is {self._settings.name!r}, version {VERSION}"
        raise Problem(404, "no_route", message)


class _Application:
    """Wraps an ASGI application in a class, since Starlette would treat a function as a request handler."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)


def _host(header: str) -> str | None:
    """The host name in a Host header, "" if the header is empty, None if it is invalid."""
    try:
        return urlsplit(f"//{header}").hostname if header else ""
    except ValueError:
        return None


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise Problem(400, "bad_request", f"Idempotency-Key: expected at most {LONGEST_KEY} printable characters")
    return key


def _refused(problem: Problem, method: str | None) -> Response:
    headers = {} if problem.retry_after is None else {"Retry-After": str(max(1, round(problem.retry_after + 0.5)))}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.status == 405 and method is not None:
        headers["Allow"] = method
    return _json({"error": problem.message, "code": problem.code}, problem.status, headers)


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Response(body, status, headers, media_type="application/json")
