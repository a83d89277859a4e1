"""Attacking a model through an endpoint of the Open Inference Protocol v2: ours, Triton's, MLServer's, KServe's."""

from __future__ import annotations

from bl_neuro.remote.box import RemoteBlackBox

__all__ = ["RemoteBlackBox"]
