"""What can and cannot be concluded from an audit, depending on what was run."""

from __future__ import annotations

from math import prod

from bl_neuro.experiment.findings.models import AccuracyRange, Findings
from bl_neuro.experiment.findings.secrets_models import SecretsFinding
from bl_neuro.mitigations.registry import installed_mitigation
from bl_neuro.report.words import LEVEL, chance_label, limits_queries, listed, many, margin_lines, percent

SMALL = 16 * 16
"""Number of pixels up to which images count as small."""
UNRECOGNISED = (
    "A network that does not classify a dataset was not trained on it, or takes its inputs or numbers its outputs in "
    "another way: what attacks get from it says little of what it could give away."
)
TRUST = "These results are as trustworthy as their folder: digests reveal damaged files, not forged ones."
PROTOTYPES = (
    "Inversion brings out class prototypes, what a network holds to be typical of a class, and barely anything of "
    "individual members of the training data (nearest-sample membership AUC .51 on digits)."
)
ENOUGH_TARGETS = 12
"""Minimum number of target seeds to detect a difference of 5 to 10 points."""


def conclusions(results: Findings) -> list[str]:
    """What the results support, one or two sentences each."""
    targets = "this one model" if results.of_given_model else "these targets"
    judged = ", as these evaluators see it" if results.evaluators else ""
    supported = [
        f"What these attacks, at these costs, got out of {targets}{judged}. A better attack or a larger budget may get "
        "more: these are lower bounds on what can be taken.",
        "What the attacker needed for it: the access, the view and the queries of each row.",
    ]
    if any(not row.own for row in results.rows):
        supported.append(
            "How much of it the null controls do not explain: the distance between a row and its control, not between "
            "a row and zero."
        )
    return supported


def limits(results: Findings) -> list[str]:
    """What the results do not show, one or two sentences each."""
    return [
        *_of_membership(results),
        *([PROTOTYPES] if results.rows else []),
        *(["This audit does not test membership."] if results.membership is None else []),
        "Figures are lower bounds: a better attack or a larger budget may get more. A low figure proves nothing.",
        "A low figure does not mean safety: it means that these attacks did not succeed at these costs.",
        *(["Target success is not leakage: a target that is fooled has not given away data."] if results.rows else []),
        *accuracy_warnings(results),
        *_of_evaluators(results),
        *_of_secrets(results),
        *_of_targets(results),
        *_of_checkpoints(results),
        *_of_endpoints(results),
        *_of_what_was_not_run(results),
        *_of_mitigations(results),
        *_of_replays(results),
        *_of_margin(results),
        *_of_pictures(results),
    ]


def _of_margin(results: Findings) -> list[str]:
    if not results.rows:
        return []
    stated = "; ".join(margin_lines(results))
    return [
        *([f"Differences of attack accuracy within the margin are taken not to matter: {stated}."] if stated else []),
        f"A smaller margin needs more {results.unit}s.",
    ]


def _of_membership(results: Findings) -> list[str]:
    if results.membership is None:
        return []
    pairs = dict.fromkeys((replay.substrate, replay.of) for replay in results.membership.replays)
    return [
        "Membership is measured on networks that the audit trained on random halves of a pool; a network trained on "
        "more data, or for longer, may give away less or more.",
        "Targets and shadow networks are trained alike, on samples of one source, and get the same asks: the strongest "
        "attacker. Every network is the target once and a shadow network otherwise.",
        *(
            f"{substrate} answered a part of the queries. That it would answer the others as {of} rests on both "
            "computing the same."
            for substrate, of in pairs
        ),
    ]


def accuracy_warnings(results: Findings) -> list[str]:
    """A warning for each substrate on which the targets barely classify the dataset; see `_barely_classifies`."""
    chance = results.dataset.chance
    measured = {row.substrate: row.target_accuracy for row in results.own_rows if row.target_accuracy is not None}
    who = "this model is" if results.of_given_model else "the targets are"
    return [
        f"Warning: on {substrate} {who} right in only {percent(accuracy.value, 1)} of the samples of "
        f"{results.dataset.name} (guessing: {chance_label(chance)}). {UNRECOGNISED}"
        for substrate, accuracy in measured.items()
        if _barely_classifies(accuracy, chance)
    ]


def _barely_classifies(accuracy: AccuracyRange, chance: float) -> bool:
    """Whether an accuracy is below the middle between chance and 1, or not above chance by a binomial test at 5%."""
    if accuracy.value < (1.0 + chance) / 2:
        return True
    if accuracy.samples is None:
        return False
    from scipy.stats import binom

    return float(binom.sf(round(accuracy.value * accuracy.samples) - 1, accuracy.samples, chance)) >= LEVEL


def overlap_sentence(results: Findings) -> str:
    """How much of the target's training data the evaluators share."""
    if results.overlap is not None:
        return results.overlap.sentence
    if results.training_data_known:
        return "The evaluators were trained on samples that the targets were not trained on."
    return "The training data of the model is not known, and so it is not known how much of it the evaluators share."


def _of_checkpoints(results: Findings) -> list[str]:
    count = len(results.made.restarted)
    if not count:
        return []
    trainings = "One training" if count == 1 else f"{count} trainings"
    return [f"{trainings} started anew because of a damaged checkpoint: {'; '.join(results.made.restarted)}."]


OF_CLASSES = (
    "A planted secret is what a whole class shares: that attacks recover it shows that inversions carry information "
    "from the training data, not that they show one sample."
)
OF_CANARIES = (
    "Canaries are unlike all other training samples, and the attacker knows all candidates: what is recovered of them "
    "is not what is recovered of real samples, of which nobody has a list."
)
OF_TWINS = (
    "Spiking targets and ANN twins are trained by their own plans, to similar accuracies at best: their comparison is "
    "one of recipes, not of spiking as such."
)


LEAST_READ = 0.1
"""Share of the range from guessing to 1 below which a reader of secrets hardly reads them."""


def _of_reader(secrets: SecretsFinding) -> list[str]:
    if secrets.ceiling is None or secrets.ceiling - secrets.chance >= LEAST_READ * (1 - secrets.chance):
        return []
    return [
        f"The reader hardly reads these secrets even from test images ({percent(secrets.ceiling)}, guessing "
        f"{percent(secrets.chance)}), so it would not see that an attack recovers them. Plant another kind of secret."
    ]


def _of_secrets(results: Findings) -> list[str]:
    if results.secrets is None:
        return []
    return [
        OF_CANARIES if results.secrets.kind == "canary" else OF_CLASSES,
        *([OF_TWINS] if results.secrets.twins else []),
        *_of_reader(results.secrets),
    ]


def _of_evaluators(results: Findings) -> list[str]:
    if not results.evaluators:
        return []
    texts = [
        "An evaluator’s judgement is not the truth. Substrates are compared only under the same evaluator, and a "
        "verdict that evaluators do not share is weak."
    ]
    if len(results.evaluators) == 1:
        texts.append(
            f"One evaluator, {results.judge}, judged: the same inversions can score far apart under another one."
        )
    if len(results.seeds) < 2:
        return texts
    if results.redrawn:
        texts.append(
            "Every target seed drew its samples from the same dataset, so they overlap: intervals do not cover what "
            "another dataset would give."
        )
    elif results.redrawn is False:
        texts.append(
            "One split of the data and one training of each evaluator serve all targets, so intervals do not cover "
            "what other samples or another training of the judge would give."
        )
    return texts


def _of_targets(results: Findings) -> list[str]:
    if results.of_given_model:
        return [
            overlap_sentence(results),
            "One given model was attacked: nothing here says how another training of it would come out.",
        ]
    seeds = len(results.seeds)
    if seeds >= ENOUGH_TARGETS or not (results.rows or results.secrets):
        return []
    return [
        f"{many(seeds, 'target seed')} {'is' if seeds == 1 else 'are'} few: targets are the independent unit, and "
        f"{ENOUGH_TARGETS} or more are needed to see a difference of 5 to 10 points."
    ]


def _of_endpoints(results: Findings) -> list[str]:
    return [
        f"{endpoint.name} is the endpoint {endpoint.url}: what runs behind it, and that it was the same "
        "throughout, is its operator’s statement."
        for endpoint in results.endpoints
    ]


def _of_what_was_not_run(results: Findings) -> list[str]:
    texts = [f"{name} was left out, so nothing here is about it: {reason}." for name, reason in results.not_run.items()]
    if results.rows and all(row.own for row in results.rows):
        texts.append("No null control was run: what evaluators credit to networks with nothing to leak is not known.")
    if results.own_rows and not results.baselines:
        texts.append("No attacker who asks nothing was measured: how much of this needs no query is not known.")
    if not results.rows:
        return texts
    if not results.ladder:
        texts.append("No ladder was run: where substrates differ, this does not say which step of deployment does it.")
    if not results.mitigations:
        texts.append("No mitigation was measured.")
    return texts


def _of_mitigations(results: Findings) -> list[str]:
    texts = []
    if any(installed_mitigation(finding.mitigation).averages_out for finding in results.mitigations):
        texts.append(
            "Noise, and which input spikes are left out, is drawn anew in every answer: an attacker who asks the same "
            "input again averages it away at the price of queries; the attacks here do not, so what is removed is an "
            "upper bound."
        )
    capped = {
        (tried.substrate, tried.attack, tried.reveals)
        for tried in results.mitigations
        if limits_queries(tried.mitigation)
    }
    if capped:
        budgets = sorted(
            {
                round(row.budget_per_class * len(results.dataset.inverted))
                for row in results.own_rows
                if row.budget_per_class is not None and row.name[1:] in capped
            }
        )
        budget = f"a budget of {listed([f'{count:,}' for count in budgets])} queries" if budgets else "these budgets"
        texts.append(
            f"Query caps are measured against {budget} for all classes together; honest users are capped too, and a "
            "second account has a cap of its own."
        )
    return texts


def _of_replays(results: Findings) -> list[str]:
    texts = []
    for name, other in results.stands_for.items():
        count = sum(replay.substrate == name for replay in results.replays)
        texts.append(
            f"{name} was replayed in {many(count, 'attack')}, {'identical' if count == 1 else 'all identical'} to "
            f"{other}, whose figures stand for it; what was not replayed rests on both computing the same."
        )
    return texts


def _of_pictures(results: Findings) -> list[str]:
    if prod(results.dataset.shape[1:]) > SMALL:
        return []
    shape = "×".join(map(str, results.dataset.shape[1:]))
    return [f"Pictures of {shape} pixels have few details to hide: larger data may behave otherwise."]
