"""All kinds of parts that other packages can add, and the names of their parts.

A part of bl-neuro itself is one row in `KINDS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from bl_neuro.registry import Registry


class Kind(NamedTuple):
    """One kind of parts: its registry as "module:REGISTRY", the entry-point group of other packages, our own parts."""

    registry: str
    group: str
    ours: Mapping[str, str]


KINDS: dict[str, Kind] = {
    "substrates": Kind(
        "bl_neuro.backends.registry:BACKENDS",
        "bl_neuro.backends",
        {
            "snntorch": "bl_neuro.backends._snntorch:SnnTorchBackend",
            "norse": "bl_neuro.backends._norse:NorseBackend",
            "slayer": "bl_neuro.backends._slayer:SlayerBackend",
            "loihi": "bl_neuro.backends.loihi.backend:LoihiBackend",
            "lava": "bl_neuro.backends.lava.backend:LavaBackend",
        },
    ),
    "attacks": Kind(
        "bl_neuro.attacks.registry:ATTACKS",
        "bl_neuro.attacks",
        {
            "v1": "bl_neuro.attacks.brainleaks_v1:BrainLeaksV1",
            "v2_gradient": "bl_neuro.attacks.brainleaks_v2_gradient:BrainLeaksV2Gradient",
            "v2": "bl_neuro.attacks.brainleaks_v2:BrainLeaksV2",
            "cma_es": "bl_neuro.attacks.cma_es:CmaEs",
            "one_plus_one": "bl_neuro.attacks.one_plus_one:OnePlusOneEs",
            "random": "bl_neuro.attacks.random_search:RandomSearch",
            "brep": "bl_neuro.attacks.brep:Brep",
            "brep_prior": "bl_neuro.attacks.brep_prior:BrepPrior",
            "generative_prior": "bl_neuro.attacks.generative_prior:GenerativePrior",
            "gamin": "bl_neuro.attacks.gamin:Gamin",
            "transfer": "bl_neuro.attacks.transfer:TransferAttack",
            "ann": "bl_neuro.attacks.gradient_inversion:GradientInversion",
        },
    ),
    "evaluators": Kind(
        "bl_neuro.training.registry:EVALUATORS",
        "bl_neuro.evaluators",
        {
            "conv": "bl_neuro.training.conv_evaluator:ConvEvaluator",
            "spiking": "bl_neuro.training.spiking_evaluator:SpikingEvaluator",
            "authors": "bl_neuro.training.authors_evaluator:AuthorsEvaluator",
            "svm": "bl_neuro.training.svm_evaluator:SvmEvaluator",
            "forest": "bl_neuro.training.forest_evaluator:ForestEvaluator",
            "neighbours": "bl_neuro.training.neighbours_evaluator:NeighboursEvaluator",
        },
    ),
    "mitigations": Kind(
        "bl_neuro.mitigations.registry:MITIGATIONS",
        "bl_neuro.mitigations",
        {
            "reveal": "bl_neuro.mitigations.reveal:RevealLess",
            "rounding": "bl_neuro.mitigations.rounding:Rounding",
            "noise": "bl_neuro.mitigations.noise:OutputNoise",
            "query_cap": "bl_neuro.mitigations.query_cap:QueryCap",
            "input_dropout": "bl_neuro.mitigations.input_dropout:InputDropout",
            "weight_bits": "bl_neuro.mitigations.weight_bits:WeightBits",
        },
    ),
    "baselines": Kind(
        "bl_neuro.leakage.baseline_registry:BASELINES",
        "bl_neuro.baselines",
        {
            "fonts": "bl_neuro.leakage.baseline_fonts:PrintedFonts",
            "auxiliary_mean": "bl_neuro.leakage.baseline_auxiliary:AuxiliaryMean",
            "auxiliary_sample": "bl_neuro.leakage.baseline_auxiliary:AuxiliarySample",
        },
    ),
    "datasets": Kind(
        "bl_neuro.data.registry:DATASETS",
        "bl_neuro.datasets",
        {
            "digits": "bl_neuro.data.digits:Digits",
            "mnist": "bl_neuro.data.mnist:Mnist",
            "att_faces": "bl_neuro.data.att_faces:AttFaces",
            "nmnist": "bl_neuro.data.nmnist:NMnist",
            "dvs_gesture": "bl_neuro.data.dvs_gesture:DvsGesture",
            "npz": "bl_neuro.data.npz:NpzFile",
            "folder": "bl_neuro.data.folder:ImageFolder",
        },
    ),
}
"""The kinds by what they are called, "substrates" first."""
BY_PATH = ("npz", "folder")
"""Our own datasets that are chosen by the path of a file or folder, not by name."""


def registries() -> dict[str, Registry[Any]]:
    """All registries by the kind of their parts. Does not import any part."""
    places = {plural: kind.registry.partition(":") for plural, kind in KINDS.items()}
    return {plural: getattr(importlib.import_module(module), name) for plural, (module, _, name) in places.items()}


def part_names(plural: str) -> tuple[str, ...]:
    """Names of all parts of a kind that are chosen by name, those of other packages last. Imports nothing for them."""
    kind = KINDS[plural]
    return tuple(name for name in Registry(plural, kind.group, "", kind.ours).names if name not in BY_PATH)
