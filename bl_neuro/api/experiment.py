"""Experiments written in Python, with the same checks as experiment files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from bl_neuro.access import Reveals
from bl_neuro.attacks import Attack
from bl_neuro.attacks.registry import ATTACKS
from bl_neuro.errors import InputError
from bl_neuro.experiment import definition
from bl_neuro.experiment.attack_choice import attack_problems
from bl_neuro.experiment.experiment_file import experiment_from

AttackLike = str | Attack[Any] | Mapping[str, Any]
Table = Mapping[str, Any]


class Experiment(definition.Experiment):
    """What an audit runs: targets, substrates, attacks and evaluators. Equivalent to an experiment file in TOML.

        experiment = bl.Experiment(
            name="mine",
            dataset="digits",
            seeds=4,
            substrates=["snntorch", "loihi"],
            attacks=["v1", bl.BrainLeaksV2(queries=640, window=3.0)],
            evaluators=["conv"],
        )
        audit = bl.audit(experiment)

    name: name of the results and of the default folder. dataset: a name, the path of an .npz file or of a folder with
    one subfolder of images per class, or a table as in an experiment file. substrates: where targets are deployed.
    attacks: names, attack objects or tables. evaluators: kinds or tables. seeds: number of trained targets, or a list
    of their seeds. reveals: what black boxes reveal to attacks that do not state it. restarts: number of runs of each
    attack on each target. auxiliary: the attacker's public data, like `dataset`. baselines: names of
    zero-query baselines, all by default. All other arguments are those of an
    experiment file: tables, lists of tables, or values.

    Raises:
        ExperimentError: the experiment is invalid; `problems` lists all problems.
    """

    def __init__(
        self,
        *,
        name: str,
        dataset: str | Path | Table,
        substrates: Sequence[str],
        attacks: Sequence[AttackLike] = (),
        evaluators: Sequence[str | Table] = ("conv",),
        seeds: int | Sequence[int] | None = None,
        reveals: Sequence[Reveals] = ("counts",),
        restarts: int = 1,
        description: str = "",
        steps: int | None = None,
        classes: Sequence[int] | None = None,
        margin: float | None = None,
        margin_share: float = 0.2,
        skip_missing: bool = False,
        target: Table | None = None,
        twin: Table | None = None,
        options: Mapping[str, Table] | None = None,
        model: Table | None = None,
        verify: Sequence[str] | None = None,
        controls: Sequence[str | Table] = (),
        replays: Sequence[Table] = (),
        ladder: Table | None = None,
        mitigations: Sequence[Table] = (),
        endpoints: Sequence[Table] = (),
        membership: Table | None = None,
        auxiliary: str | Path | Table | None = None,
        baselines: Sequence[str] | None = None,
        secrets: Table | None = None,
    ) -> None:
        document = {
            "name": name,
            "dataset": _named(dataset),
            "substrates": _plain(substrates),
            "attacks": [_attack_table(attack, reveals) for attack in attacks],
            "evaluators": [_with_kind(evaluator) for evaluator in evaluators] if attacks else [],
            "seeds": _plain(seeds),
            "restarts": restarts,
            "description": description,
            "steps": steps,
            "classes": _plain(classes),
            "margin": margin,
            "margin_share": margin_share,
            "skip_missing": skip_missing,
            "target": _plain(target),
            "twin": _plain(twin),
            "options": _plain(options),
            "model": _plain(model),
            "verify": _plain(verify),
            "controls": [_with_kind(control) for control in controls],
            "replays": _plain(replays),
            "ladder": _plain(ladder),
            "mitigations": _plain(mitigations),
            "endpoints": _plain(endpoints),
            "membership": _plain(membership),
            "auxiliary": None if auxiliary is None else _named(auxiliary),
            "baselines": _plain(baselines),
            "secrets": _plain(secrets),
        }
        stated = {
            key: value for key, value in document.items() if value is not None and (value != [] or key == "baselines")
        }
        super().__init__(**_values(experiment_from(stated)))


def _values(experiment: definition.Experiment) -> dict[str, Any]:
    return {name: getattr(experiment, name) for name in type(experiment).model_fields}


def _named(data: str | Path | Table) -> Any:
    return _plain(data) if isinstance(data, Mapping) else {"name": str(data)}


def _plain(value: Any) -> Any:
    """`value` as in a TOML file: dictionaries, lists and plain values."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_plain(part) for part in value]
    return value


def _with_kind(part: str | Table) -> Any:
    return {"kind": part} if isinstance(part, str) else _plain(part)


def _attack_table(attack: AttackLike, reveals: Sequence[str]) -> Any:
    """A table for `[[attacks]]`. A black-box attack without `reveals` gets the default `reveals`."""
    if isinstance(attack, Attack):
        table = attack_table(attack)
    else:
        table = {"attack": attack} if isinstance(attack, str) else _plain(attack)
    if not isinstance(table, dict) or "reveals" in table or table.get("attack") not in ATTACKS:
        return table
    return table if ATTACKS.find(table["attack"]).access != "black_box" else {**table, "reveals": list(reveals)}


def attack_table(attack: Attack[Any]) -> dict[str, Any]:
    """The name, preset and settings that reproduce `attack`.

    Raises:
        InputError: an experiment file cannot express the attack: it is not registered, or has a setting that only a
            preset can set.
    """
    name = attack.name
    if name not in ATTACKS or type(attack) is not ATTACKS.find(name) or not is_dataclass(attack):
        raise InputError(f"attacks: expected one of {', '.join(ATTACKS)}, found {attack!r}")
    tables = []
    for preset, made in {None: type(attack), **{name: entry.make for name, entry in attack.presets().items()}}.items():
        base = made()
        changed = [field.name for field in fields(attack) if getattr(attack, field.name) != getattr(base, field.name)]
        settings = {field: _plain(attack.settings()[field]) for field in changed}
        if not attack_problems(name, preset, settings):
            tables.append({"attack": name, **({"preset": preset} if preset else {}), "settings": settings})
    if not tables:
        raise InputError(
            f"attacks: {attack!r} has a setting that an experiment file cannot contain; start from a preset"
        )
    return min(tables, key=lambda table: len(table["settings"]))
