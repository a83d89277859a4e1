"""Leaves out the substrates of an experiment whose framework is not installed, for `skip_missing = true`."""

from __future__ import annotations

from collections.abc import Container, Sequence

from bl_neuro.attacks import ATTACKS
from bl_neuro.backends import available_substrates, find_backend, missing_reason
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.definition import AttackPart, Experiment
from bl_neuro.experiment.membership_part import MembershipPart
from bl_neuro.experiment.secrets_part import SecretAttackPart, SecretsPart

LEAST_VERIFIED = 2
"""Minimum number of substrates in a verification."""


def missing_substrates(experiment: Experiment) -> dict[str, str]:
    """The substrates of `experiment` that cannot run on this machine, each with the reason."""
    secrets, membership = experiment.secrets, experiment.membership
    attacks = [*experiment.attacks, *(secrets.attacks if secrets else ())]
    names = dict.fromkeys(
        (
            *experiment.substrates,
            *(replay.substrate for replay in experiment.replays),
            *(replay.substrate for replay in (secrets.replays if secrets else ())),
            *(replay.substrate for replay in (membership.replays if membership else ())),
            *(experiment.verify or ()),
            *(attack.twin for attack in attacks if _needs_twin(attack)),
        )
    )
    reasons = {name: missing_reason(find_backend(name)) for name in names if name in available_substrates()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def without_substrates(experiment: Experiment, missing: Container[str]) -> Experiment:
    """`experiment` without all parts that need one of the substrates in `missing`.

    Raises:
        ExperimentError: nothing is left to run.
    """
    attacks = [
        attack.model_copy(update={"substrates": _left(attack.substrates, missing)})
        for attack in experiment.attacks
        if _left(attack.substrates, missing) != [] and not (_needs_twin(attack) and attack.twin in missing)
    ]
    controls = [
        control.model_copy(update={"substrates": _left(control.substrates, missing)})
        for control in experiment.controls
        if _left(control.substrates, missing) != []
    ]
    substrates = _left(experiment.substrates, missing) or []
    membership = None if experiment.membership is None else _membership_left(experiment.membership, missing)
    gone = experiment.membership is not None and membership is None
    if not substrates or (experiment.attacks and not attacks) or (gone and not attacks and experiment.secrets is None):
        raise ExperimentError(
            f"{experiment.name}: none of its substrates ({', '.join(experiment.substrates)}) is installed; "
            "run bl-neuro doctor for details"
        )
    ladder, verify = experiment.ladder, _left(experiment.verify, missing)
    return experiment.model_copy(
        update={
            "substrates": substrates,
            "attacks": attacks,
            "controls": controls,
            "replays": [
                part for part in experiment.replays if part.substrate not in missing and part.of not in missing
            ],
            "verify": verify if verify is not None and len(verify) >= LEAST_VERIFIED else None,
            "ladder": None if ladder is None or ladder.real in missing or ladder.loihi in missing else ladder,
            "mitigations": [part for part in experiment.mitigations if part.substrate not in missing],
            "secrets": None if experiment.secrets is None else _secrets_left(experiment.secrets, missing),
            "membership": membership,
        }
    )


def _secrets_left(part: SecretsPart, missing: Container[str]) -> SecretsPart:
    attacks = [
        attack.model_copy(update={"substrates": _left(attack.substrates, missing)})
        for attack in part.attacks
        if _left(attack.substrates, missing) != [] and not (_needs_twin(attack) and attack.twin in missing)
    ]
    replays = [replay for replay in part.replays if replay.substrate not in missing and replay.of not in missing]
    return part.model_copy(update={"attacks": attacks, "replays": replays})


def _membership_left(part: MembershipPart, missing: Container[str]) -> MembershipPart | None:
    """What is left of `[membership]`; None if none of its substrates or asks is."""
    substrates = _left(part.substrates, missing)
    asks = [ask.model_copy(update={"substrates": _left(ask.substrates, missing)}) for ask in part.asks]
    asks = [ask for ask in asks if ask.substrates != []]
    if substrates == [] or (part.asks and not asks):
        return None
    mitigations = [one for one in part.mitigations if one.substrate not in missing]
    replays = [one for one in part.replays if one.substrate not in missing and one.of not in missing]
    changed = {"substrates": substrates, "asks": asks, "mitigations": mitigations, "replays": replays}
    return part.model_copy(update=changed)


def _needs_twin(attack: AttackPart | SecretAttackPart) -> bool:
    """Whether the attack uses a copy of the network, which runs on the substrate `twin`, stated or not."""
    return "twin" in ATTACKS.find(attack.attack).needs


def _left(names: Sequence[str] | None, missing: Container[str]) -> list[str] | None:
    return None if names is None else [name for name in names if name not in missing]
