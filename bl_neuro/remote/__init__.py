"""Attacks on a model behind an endpoint of the Open Inference Protocol v2: bl-neuro, Triton, MLServer or KServe."""

from __future__ import annotations

from bl_neuro.remote.box import RemoteBlackBox
from bl_neuro.remote.endpoint import EndpointOptions, is_url, open_endpoint

__all__ = ["EndpointOptions", "RemoteBlackBox", "is_url", "open_endpoint"]
