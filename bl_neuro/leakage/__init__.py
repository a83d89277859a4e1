"""Measures of leakage: how inversions compare with an evaluator and with the training data. Pure array functions.

Fooling the target is not leakage: attack success (`attack_success`, `target_confidence`), which uses the target's own
answer, is reported separately from these measures.

    per_seed = []
    for target_seed in seeds:                                          # the independent units
        table = evaluator.probabilities(inversions.images)             # (K, classes)
        per_seed.append(hits(table, inversions.classes))               # (K,)
    print(seed_bootstrap(per_seed))                                    # mean and 95% interval over seeds
    print(pair_verdicts({"snntorch - loihi": (one, other)}, margin=0.05))  # differs, equivalent or inconclusive
    print(null_verdicts({"untrained": null_hits}, classes=10))         # null controls, which should score at chance

Functions with plural names (`hits`, `confidences`, ...) return one value per inversion, (K,), as the bootstrap needs;
those with singular names return the mean.
"""

from bl_neuro.leakage.advantage import advantage
from bl_neuro.leakage.attribution import Attribution, AttributionStep, attribute
from bl_neuro.leakage.bootstrap import (
    Band,
    Estimate,
    hit_band,
    hit_bootstrap,
    mean_interval,
    paired_bootstrap,
    proportion_interval,
    seed_band,
    seed_bootstrap,
)
from bl_neuro.leakage.comparison import PairVerdict, pair_verdicts
from bl_neuro.leakage.features import feature_cosines, feature_distances, nearest_feature_distances
from bl_neuro.leakage.judgement import (
    attack_accuracy,
    attack_success,
    confidence,
    confidences,
    differential_accuracy,
    held_at,
    hits,
    target_confidence,
    top_accuracy,
)
from bl_neuro.leakage.membership import Likeness, Membership, likeness, membership_check
from bl_neuro.leakage.neighbours import NearestSamples, nearest_samples
from bl_neuro.leakage.nulls import NullVerdict, holm, null_verdicts
from bl_neuro.leakage.paired import PairedTest, paired_test
from bl_neuro.leakage.power import PowerPlan, hit_spread, observed_plan, seeds_needed
from bl_neuro.leakage.resemblance import (
    pearson_selectivities,
    pearson_selectivity,
    spike_density,
    structural_similarities,
    structural_similarity,
)
from bl_neuro.leakage.sampling import SamplingSpread, Spread, sampling_spread

__all__ = [
    "Attribution",
    "AttributionStep",
    "Band",
    "Estimate",
    "Likeness",
    "Membership",
    "NearestSamples",
    "NullVerdict",
    "PairVerdict",
    "PairedTest",
    "PowerPlan",
    "SamplingSpread",
    "Spread",
    "advantage",
    "attack_accuracy",
    "attack_success",
    "attribute",
    "confidence",
    "confidences",
    "differential_accuracy",
    "feature_cosines",
    "feature_distances",
    "held_at",
    "hit_band",
    "hit_bootstrap",
    "hit_spread",
    "hits",
    "holm",
    "likeness",
    "mean_interval",
    "membership_check",
    "nearest_feature_distances",
    "nearest_samples",
    "null_verdicts",
    "observed_plan",
    "pair_verdicts",
    "paired_bootstrap",
    "paired_test",
    "pearson_selectivities",
    "pearson_selectivity",
    "proportion_interval",
    "sampling_spread",
    "seed_band",
    "seed_bootstrap",
    "seeds_needed",
    "spike_density",
    "structural_similarities",
    "structural_similarity",
    "target_confidence",
    "top_accuracy",
]
