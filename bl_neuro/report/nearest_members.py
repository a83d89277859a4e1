"""Whether inversions resemble single training samples, in lines of tables."""

from __future__ import annotations

from bl_neuro.experiment.findings.models import Findings
from bl_neuro.report.words import view
from bl_neuro.rounding import fixed

ABOUT = (
    "Inversions show what a class looks like. Whether they also show who was in the training data is another question: "
    "does a training sample resemble an inversion of its class more than a sample that the target was not trained on? "
    "The AUC is the probability that it does, 0.5 if inversions say nothing of single samples. Intervals cover targets "
    "and samples."
)
COLUMNS = ("attack", "substrate", "AUC", "95%", "inversions")


def nearest_rows(results: Findings) -> list[list[str]]:
    """One row for each attack, output and group of substrates with the same AUC."""
    groups: dict[tuple[str, str, str, str, str], list[str]] = {}
    for finding in results.nearest_members:
        auc = finding.auc
        interval = "no interval"
        if auc.low is not None and auc.high is not None:
            interval = f"{fixed(auc.low, 3)} to {fixed(auc.high, 3)}"
        words = finding.sentence.split(" (")[0].rstrip(".")
        key = (finding.attack, finding.reveals, fixed(auc.value, 3), interval, words)
        groups.setdefault(key, []).append(finding.substrate)
    return [[view(key[0], key[1]), ", ".join(names), *key[2:]] for key, names in groups.items()]
