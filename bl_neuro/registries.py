"""All registries that other packages can add parts to."""

from __future__ import annotations

import importlib
from typing import Any

from bl_neuro.registry import Registry

PLACES = {
    "substrates": "bl_neuro.backends.registry:BACKENDS",
    "attacks": "bl_neuro.attacks.registry:ATTACKS",
    "evaluators": "bl_neuro.training.registry:EVALUATORS",
    "mitigations": "bl_neuro.mitigations.registry:MITIGATIONS",
    "datasets": "bl_neuro.data.registry:DATASETS",
}
"""The registries as "module:REGISTRY", by what they hold."""


def registries() -> dict[str, Registry[Any]]:
    """All registries by the kind of their parts, "substrates" first. Does not import any part."""
    places = {plural: place.partition(":") for plural, place in PLACES.items()}
    return {plural: getattr(importlib.import_module(module), name) for plural, (module, _, name) in places.items()}
