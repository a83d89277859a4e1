"""Deployment: quantization of a float network to a neuromorphic chip's integers, and the model files for it."""

from __future__ import annotations

if not __name__.startswith("bl_neuro."):
    raise ImportError("import bl_neuro.deploy, not deploy: this folder is part of the package bl_neuro")
