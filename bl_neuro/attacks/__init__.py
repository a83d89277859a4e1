"""Attacks: strategies that reconstruct one input for each requested class of a target.

inversions = BrainLeaksV1()(WhiteBox(target), classes=range(10), steps=25, seed=0)     needs gradients inversions =
BrainLeaksV2()(BlackBox(target), classes=range(10), steps=25, seed=0)     needs queries only

| attack | takes | description |
|---|---|---|
| BrainLeaksV1 | WhiteBox | flips input spikes along gradients |
| BrainLeaksV2Gradient | WhiteBox | BrainLeaks v2 as its authors implemented it, with gradients |
| GradientInversion | AnnBox | gradient descent of Fredrikson et al. on a network that does not spike |
| BrainLeaksV2 | BlackBox | natural evolution strategies on spike rates, from queries only |
| CmaEs, OnePlusOneEs, RandomSearch | BlackBox | other optimisers under the same conditions, for comparison |
| Gamin | BlackBox | a generator and a surrogate of the target, trained together from its answers |
| Brep | BlackBox | moves an image away from the decision boundary, from labels alone |
| BrepPrior | AuxiliaryBox | the same among the images that a decoder of public images draws |
| GenerativePrior | AuxiliaryBox | a search among the images that a decoder of public images draws |
| TransferAttack | TransferBox | a white-box attack on a leaked copy, ranked by the answers of the deployed target |

BrainLeaksV2 searches patterns, and its `form` turns a pattern into an input: Still (a constant frame), MovingPattern
(the events of a moving picture), TimeSegments (a sequence of frames). `for_nmnist`, `for_gestures` and `for_events`
choose one.

`inversions.save(path)` writes the result, and `load_inversions(path)` reads it.
"""

from bl_neuro.attacks.ann_box import AnnBox
from bl_neuro.attacks.auxiliary_box import AuxiliaryBox
from bl_neuro.attacks.base import Attack, Preset, StopAttack, TargetView
from bl_neuro.attacks.brainleaks_v1 import BrainLeaksV1
from bl_neuro.attacks.brainleaks_v2 import BrainLeaksV2
from bl_neuro.attacks.brainleaks_v2_gradient import BrainLeaksV2Gradient
from bl_neuro.attacks.brep import Brep
from bl_neuro.attacks.brep_prior import BrepPrior
from bl_neuro.attacks.cma_es import CmaEs
from bl_neuro.attacks.course import QueryCourse
from bl_neuro.attacks.gamin import Gamin
from bl_neuro.attacks.generative_prior import GenerativePrior
from bl_neuro.attacks.gradient_inversion import GradientInversion
from bl_neuro.attacks.input_form import InputForm, Still, TimeSegments
from bl_neuro.attacks.inversions import Inversions, Status, Trace, load_inversions
from bl_neuro.attacks.moving_pattern import MovingPattern
from bl_neuro.attacks.one_plus_one import OnePlusOneEs
from bl_neuro.attacks.random_search import RandomSearch
from bl_neuro.attacks.registry import ATTACKS
from bl_neuro.attacks.transfer import TransferAttack, TransferBox

__all__ = [
    "ATTACKS",
    "AnnBox",
    "Attack",
    "AuxiliaryBox",
    "BrainLeaksV1",
    "BrainLeaksV2",
    "BrainLeaksV2Gradient",
    "Brep",
    "BrepPrior",
    "CmaEs",
    "Gamin",
    "GenerativePrior",
    "GradientInversion",
    "InputForm",
    "Inversions",
    "MovingPattern",
    "OnePlusOneEs",
    "Preset",
    "QueryCourse",
    "RandomSearch",
    "Status",
    "Still",
    "StopAttack",
    "TargetView",
    "TimeSegments",
    "Trace",
    "TransferAttack",
    "TransferBox",
    "load_inversions",
]
