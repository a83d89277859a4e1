"""bl-neuro measures how much of its training data a spiking network leaks, on different substrates.

Public names are loaded on first use, so importing bl_neuro is fast and needs no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bl_neuro._version import __version__
from bl_neuro.errors import (
    AccessError,
    BlNeuroError,
    BudgetExceeded,
    DataError,
    EndpointError,
    EndpointProtocolError,
    EndpointRefused,
    EndpointUnavailable,
    ExperimentError,
    InputError,
    LogDamaged,
    MissingDependency,
    ModelFileError,
    NetworkError,
    NotDifferentiable,
    NotRevealed,
    PluginError,
    ReportError,
    SubstrateError,
    SubstrateFailed,
    TargetClosed,
    UnknownSubstrate,
    Unsupported,
)
from bl_neuro.interrupts import interrupts_held

if TYPE_CHECKING:
    from bl_neuro import attacks
    from bl_neuro.access import BlackBox, WhiteBox
    from bl_neuro.api.attack import attack_network
    from bl_neuro.api.audit import audit, audit_model, load_audit, plan_audit_model
    from bl_neuro.api.compare import compare
    from bl_neuro.api.doctor import doctor
    from bl_neuro.api.experiment import Experiment
    from bl_neuro.api.export import export
    from bl_neuro.api.inspect import inspect
    from bl_neuro.api.membership import attack_membership, train_shadows
    from bl_neuro.api.plan import plan_audit
    from bl_neuro.api.train import train
    from bl_neuro.api.verify import verify
    from bl_neuro.attacks import (
        BrainLeaksV1,
        BrainLeaksV2,
        BrainLeaksV2Gradient,
        CmaEs,
        GradientInversion,
        OnePlusOneEs,
        RandomSearch,
        TransferAttack,
    )
    from bl_neuro.backends import available_substrates, open_target
    from bl_neuro.interop import from_norse, from_slayer, from_snntorch, from_state_dict
    from bl_neuro.layers import AveragePool, Conv, Dense, Flatten, Input, SumPool
    from bl_neuro.membership.shadow_files import load_shadows
    from bl_neuro.membership.shadow_models import ShadowModels
    from bl_neuro.model_file import load, save
    from bl_neuro.network import Network
    from bl_neuro.neuron import CubaLIF
    from bl_neuro.remote import RemoteBlackBox
    from bl_neuro.sigma_delta import Delta, Sigma, SigmaDelta

_LAZY = {
    "AveragePool": "bl_neuro.layers",
    "BlackBox": "bl_neuro.access",
    "BrainLeaksV1": "bl_neuro.attacks",
    "BrainLeaksV2": "bl_neuro.attacks",
    "BrainLeaksV2Gradient": "bl_neuro.attacks",
    "CmaEs": "bl_neuro.attacks",
    "Conv": "bl_neuro.layers",
    "CubaLIF": "bl_neuro.neuron",
    "Delta": "bl_neuro.sigma_delta",
    "Dense": "bl_neuro.layers",
    "Experiment": "bl_neuro.api.experiment",
    "Flatten": "bl_neuro.layers",
    "GradientInversion": "bl_neuro.attacks",
    "Input": "bl_neuro.layers",
    "Network": "bl_neuro.network",
    "OnePlusOneEs": "bl_neuro.attacks",
    "RandomSearch": "bl_neuro.attacks",
    "RemoteBlackBox": "bl_neuro.remote",
    "ShadowModels": "bl_neuro.membership.shadow_models",
    "Sigma": "bl_neuro.sigma_delta",
    "SigmaDelta": "bl_neuro.sigma_delta",
    "SumPool": "bl_neuro.layers",
    "TransferAttack": "bl_neuro.attacks",
    "WhiteBox": "bl_neuro.access",
    "audit": "bl_neuro.api.audit",
    "audit_model": "bl_neuro.api.audit",
    "attack_membership": "bl_neuro.api.membership",
    "attack_network": "bl_neuro.api.attack",
    "available_substrates": "bl_neuro.backends",
    "compare": "bl_neuro.api.compare",
    "doctor": "bl_neuro.api.doctor",
    "export": "bl_neuro.api.export",
    "from_norse": "bl_neuro.interop",
    "from_slayer": "bl_neuro.interop",
    "from_snntorch": "bl_neuro.interop",
    "from_state_dict": "bl_neuro.interop",
    "inspect": "bl_neuro.api.inspect",
    "load": "bl_neuro.model_file",
    "load_audit": "bl_neuro.api.audit",
    "load_shadows": "bl_neuro.membership.shadow_files",
    "open_target": "bl_neuro.backends",
    "plan_audit": "bl_neuro.api.plan",
    "plan_audit_model": "bl_neuro.api.audit",
    "save": "bl_neuro.model_file",
    "train": "bl_neuro.api.train",
    "train_shadows": "bl_neuro.api.membership",
    "verify": "bl_neuro.api.verify",
}
_LAZY_MODULES = ("attacks", "data", "drawing", "leakage", "mitigations", "reference", "report", "testing", "training")

__all__ = [
    "AccessError",
    "AveragePool",
    "BlNeuroError",
    "BlackBox",
    "BrainLeaksV1",
    "BrainLeaksV2",
    "BrainLeaksV2Gradient",
    "BudgetExceeded",
    "CmaEs",
    "Conv",
    "CubaLIF",
    "DataError",
    "Delta",
    "Dense",
    "EndpointError",
    "EndpointProtocolError",
    "EndpointRefused",
    "EndpointUnavailable",
    "Experiment",
    "ExperimentError",
    "Flatten",
    "GradientInversion",
    "Input",
    "InputError",
    "LogDamaged",
    "MissingDependency",
    "ModelFileError",
    "Network",
    "NetworkError",
    "NotDifferentiable",
    "NotRevealed",
    "OnePlusOneEs",
    "PluginError",
    "RandomSearch",
    "RemoteBlackBox",
    "ReportError",
    "ShadowModels",
    "Sigma",
    "SigmaDelta",
    "SubstrateError",
    "SubstrateFailed",
    "SumPool",
    "TargetClosed",
    "TransferAttack",
    "UnknownSubstrate",
    "Unsupported",
    "WhiteBox",
    "__version__",
    "attack_membership",
    "attack_network",
    "attacks",
    "audit",
    "audit_model",
    "available_substrates",
    "compare",
    "doctor",
    "export",
    "from_norse",
    "from_slayer",
    "from_snntorch",
    "from_state_dict",
    "inspect",
    "load",
    "load_audit",
    "load_shadows",
    "open_target",
    "plan_audit",
    "plan_audit_model",
    "save",
    "train",
    "train_shadows",
    "verify",
]


def __getattr__(name: str) -> Any:
    with interrupts_held():
        if name in _LAZY:
            return getattr(importlib.import_module(_LAZY[name]), name)
        if name in _LAZY_MODULES:
            return importlib.import_module(f"bl_neuro.{name}")
    raise AttributeError(f"module 'bl_neuro' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_MODULES})
