"""What a reader of an audit may and may not conclude, as far as it depends on what was run."""

from __future__ import annotations

from bl_neuro.experiment.findings.models import AuditResults
from bl_neuro.report.effects import CAP
from bl_neuro.report.overlap import overlap_sentence
from bl_neuro.report.views import OWN
from bl_neuro.report.words import listed, many, margin_points

SMALL = 16 * 16
"""Pixels up to which pictures are small."""


def limits(results: AuditResults) -> list[str]:
    """A sentence or two each."""
    found = [
        "These attacks bring out class prototypes, what a network holds to be typical of a class, and not members of "
        "the training data; nothing here tests membership.",
        "Figures are lower bounds: a better attack or a larger budget may get more. A low figure proves nothing.",
        "An evaluator’s word is not the truth. Substrates are compared only under the same evaluator, and a verdict "
        "that evaluators do not share is weak.",
    ]
    if len(results.evaluators) == 1:
        found.append("One evaluator judged: the same inversions can score far apart under another one.")
    seeds = len(results.seeds)
    if any(row.target == "given" for row in results.rows):
        found.append(overlap_sentence(results))
        found.append("One given model was attacked: nothing here says how another training of it would come out.")
    elif seeds < 12:
        found.append(
            f"{many(seeds, 'target seed')} {'is' if seeds == 1 else 'are'} few: targets are the independent unit, "
            "and 12 or more are needed to see a difference of 5 to 10 points."
        )
    for endpoint in results.experiment.get("endpoints") or ():
        found.append(
            f"{endpoint['name']} is the endpoint {endpoint['url']}: what runs behind it, and that it was the same "
            "throughout, is its operator’s word."
        )
    if not any(row.target not in OWN for row in results.rows):
        found.append("No null control was run: what evaluators credit to networks with nothing to leak is not known.")
    if not results.ladder:
        found.append("No ladder was run: where substrates differ, this does not say which step of deployment does it.")
    if results.mitigations == []:
        found.append("No mitigation was measured.")
    found += _of_mitigations(results)
    for name, reason in results.not_run.items():
        found.append(f"{name} was left out, so nothing here is about it: {reason}.")
    for name, other in results.stands_for.items():
        checked = sum(each.substrate == name for each in results.replays)
        found.append(
            f"{name} was replayed in {many(checked, 'attack')}, all identical to {other}, whose figures stand for it; "
            "what was not replayed rests on both computing the same."
        )
    found.append(
        f"A difference within {margin_points(results.margin)} is taken not to matter; whoever cares about less "
        "needs a smaller margin and more target seeds."
    )
    pixels = 1
    for side in results.dataset.shape[1:]:
        pixels *= side
    if pixels <= SMALL:
        shape = "×".join(map(str, results.dataset.shape[1:]))
        found.append(f"Pictures of {shape} pixels have few details to hide: larger data may behave otherwise.")
    return found


def _of_mitigations(results: AuditResults) -> list[str]:
    found = []
    if any(each.mitigation in ("noise", "input_dropout") for each in results.mitigations):
        found.append(
            "Noise, and which input spikes are left out, is drawn anew in every answer: an attacker who asks the same "
            "input again averages it away at the price of queries; the attacks here do not, so what is removed is an "
            "upper bound."
        )
    capped = {(each.substrate, each.attack, each.reveals) for each in results.mitigations if each.mitigation == CAP}
    if capped:
        own = [row for row in results.rows if row.target in OWN and row.budget_per_class is not None]
        budgets = sorted(
            {
                round((row.budget_per_class or 0) * len(results.dataset.inverted))
                for row in own
                if (row.substrate, row.attack, row.reveals) in capped
            }
        )
        budget = f"a budget of {listed([f'{each:,}' for each in budgets])} queries" if budgets else "these budgets"
        found.append(
            f"Query caps are measured against {budget} for all classes together; honest users are capped too, and a "
            "second account has a cap of its own."
        )
    return found
