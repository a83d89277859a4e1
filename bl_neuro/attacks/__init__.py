"""Attacks: frozen strategies that turn an attacker's view of a target into inversions, one a class asked for.

inversions = BrainLeaksV1()(WhiteBox(target), classes=range(10), steps=25, seed=0)     needs gradients
inversions = BrainLeaksV2()(BlackBox(target), classes=range(10), steps=25, seed=0)     needs queries only
"""

from bl_neuro.attacks.ann_box import AnnBox
from bl_neuro.attacks.base import Attack
from bl_neuro.attacks.brainleaks_v1 import BrainLeaksV1
from bl_neuro.attacks.brainleaks_v2 import BrainLeaksV2
from bl_neuro.attacks.brainleaks_v2_gradient import BrainLeaksV2Gradient
from bl_neuro.attacks.gradient_inversion import GradientInversion
from bl_neuro.attacks.inversions import Inversions, Status, Trace

__all__ = [
    "AnnBox",
    "Attack",
    "BrainLeaksV1",
    "BrainLeaksV2",
    "BrainLeaksV2Gradient",
    "GradientInversion",
    "Inversions",
    "Status",
    "Trace",
]
