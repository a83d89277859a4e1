"""Deployment: from a float network to what a neuromorphic chip holds, and to the files that carry it there."""

from __future__ import annotations

if not __name__.startswith("bl_neuro."):
    raise ImportError("import bl_neuro.deploy, not deploy: this folder is a part of the package bl_neuro")
