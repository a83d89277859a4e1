"""Leaves out the substrates of an experiment whose framework is not installed, for `skip_missing = true`."""

from __future__ import annotations

from collections.abc import Container, Sequence

from bl_neuro.attacks import ATTACKS
from bl_neuro.backends import available_substrates, find_backend, missing_reason
from bl_neuro.errors import ExperimentError
from bl_neuro.experiment.definition import AttackPart, Experiment
from bl_neuro.experiment.secrets_part import SecretAttackPart, SecretsPart

LEAST_VERIFIED = 2
"""Minimum number of substrates in a verification."""


def missing_substrates(experiment: Experiment) -> dict[str, str]:
    """The substrates of `experiment` that cannot run on this machine, each with the reason."""
    secrets = experiment.secrets
    attacks = [*experiment.attacks, *(secrets.attacks if secrets else ())]
    names = dict.fromkeys(
        (
            *experiment.substrates,
            *(replay.substrate for replay in experiment.replays),
            *(replay.substrate for replay in (secrets.replays if secrets else ())),
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
    if not substrates or (experiment.attacks and not attacks):
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


def _needs_twin(attack: AttackPart | SecretAttackPart) -> bool:
    """Whether the attack uses a copy of the network, which runs on the substrate `twin`, stated or not."""
    return "twin" in ATTACKS.find(attack.attack).needs


def _left(names: Sequence[str] | None, missing: Container[str]) -> list[str] | None:
    return None if names is None else [name for name in names if name not in missing]
