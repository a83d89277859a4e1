"""Prometheus metrics of a running server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The metrics of one server, in a registry of their own. They name clients, but contain no tokens or inputs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "bl_neuro_requests_total", "Requests answered, by route and status.", ["route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.request_s = Histogram(
            "bl_neuro_request_seconds", "Seconds from a request's head to its answer, by route.", ["route"],
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0), registry=self.registry,
        )  # fmt: skip
        self.queries = Counter(
            "bl_neuro_queries_total", "Samples charged, by client.", ["client"], registry=self.registry
        )
        self.batch = Histogram(
            "bl_neuro_batch_requests", "Requests in one call of the substrate.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128), registry=self.registry,
        )  # fmt: skip
        self.run_s = Histogram(
            "bl_neuro_run_seconds", "Seconds of one call of the substrate.",
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0), registry=self.registry,
        )  # fmt: skip
        self.failures = Counter("bl_neuro_failures_total", "Failed calls of the substrate.", registry=self.registry)
        self.waiting = Gauge("bl_neuro_waiting_samples", "Samples that wait for the substrate.", registry=self.registry)
