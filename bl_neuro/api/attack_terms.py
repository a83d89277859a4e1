"""The settings, output and budget of the attack that `attack_network` runs; rejects what does not fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bl_neuro.access import REVEALS, Reveals
from bl_neuro.api.attack_target import Subject
from bl_neuro.api.silent_outputs import need_spiking_outputs
from bl_neuro.attacks import ATTACKS, Attack, Preset
from bl_neuro.attacks.budget import fit_to_budget
from bl_neuro.attacks.settings import changed, setting_value
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.experiment.attack_choice import make_attack, seeing_images, setting_path, setting_paths
from bl_neuro.experiment.given_model import views

TWIN = "snntorch"
"""Default substrate of the attacker's copy."""


@dataclass(frozen=True)
class AttackTerms:
    """An attack with the output that it sees and its budget. named: whether it was chosen by name.

    preset, settings: what the attack was built from. For the other fields see `attack_network`.
    """

    attack: Attack[Any]
    named: bool
    preset: Preset | None
    settings: dict[str, Any]
    reveals: Reveals | None
    budget: int | None
    twin: str | None

    @property
    def asks(self) -> bool:
        """Whether the attack queries a black box."""
        return self.attack.access == "black_box"

    @property
    def twin_substrate(self) -> str | None:
        """Substrate of the attacker's copy; None for an attack without one."""
        stated = TWIN if self.twin is None else self.twin
        return stated if "twin" in self.attack.needs else None

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """Height and width of a flat input, if the settings contain them."""
        path = setting_path(self.attack, "image_shape")
        if path is None:
            return None
        sides: tuple[int, int] | None = setting_value(self.attack, path)
        return sides

    def fitted(self, subject: Subject, data: Samples | None, classes: int) -> Attack[Any]:
        """The attack for this number of inversions of `subject`, adapted to its budget and to the shape of its images.

        Raises:
            InputError: the budget is too small, or a setting applies only to images and the inputs are not images.
        """
        self._check_images(subject.input_shape)
        attack = self.attack
        if self.named:
            limit = self._limit(subject, classes)
            attack = attack if limit is None else fit_to_budget(attack, limit, classes, self.settings)
        if data is not None and self.named:
            attack = seeing_images(attack, subject.input_shape, tuple(data.input_shape))
        return attack

    def shown(self, subject: Subject) -> Reveals:
        """The output that a black box reveals: the requested one, or one of the network that the attack can use."""
        if subject.box is not None:
            return subject.box.reveals
        if subject.network is None or not self.asks:
            return "counts"
        usual = [view for view in (*views(subject.network), *REVEALS) if view in self.attack.reveals]
        reveals = self.reveals or usual[0]
        need_spiking_outputs(subject.network, reveals)
        return reveals

    def size_assumption(self, image_shape: tuple[int, int, int]) -> list[str]:
        """The assumption that a preset for images of another size fits these images, if it applies."""
        size = None if self.preset is None else self.preset.image_size
        if size is None or size == image_shape[1:]:
            return []
        return [f"what suits images of {size[0]} x {size[1]} pixels suits these of {image_shape[1]} x {image_shape[2]}"]

    def _limit(self, subject: Subject, classes: int) -> int | None:
        """The number of queries to distribute, or None if the settings determine it."""
        left = None if subject.box is None else subject.box.budget
        planned = self.attack.planned_queries(classes)
        if self.budget is None and (left is None or (planned is not None and planned <= left)):
            return None
        return min(limit for limit in (self.budget, left) if limit is not None)

    def _check_images(self, input_shape: tuple[int, ...]) -> None:
        if len(input_shape) == 3 and self._given("image_shape"):
            raise InputError(f"image_shape: inputs of shape {input_shape} are already images; leave it out")
        if len(input_shape) == 3 or self.image_shape is not None:
            return
        for name in ("window", "blur"):
            if self._given(name):
                raise InputError(
                    f"{name}: inputs of shape {input_shape} are not images; give their height and width as image_shape"
                )

    def _given(self, name: str) -> bool:
        path = setting_path(self.attack, name)
        return path is not None and bool(self.settings.get(path))


def attack_terms(
    attack: str | Attack[Any],
    preset: str | None,
    settings: Mapping[str, Any] | None,
    reveals: Reveals | None,
    budget: int | None,
    twin: str | None,
    auxiliary: object = None,
) -> AttackTerms:
    """The terms of an attack, checked as far as possible without the network.

    Raises:
        InputError: a name, setting or argument is unknown or does not apply to this attack.
    """
    if isinstance(attack, Attack):
        if preset is not None or settings:
            raise InputError("preset, settings: an attack object already contains its settings; leave them out")
        terms = AttackTerms(attack, False, None, {}, reveals, budget, twin)
    else:
        kind = ATTACKS.find(attack)
        chosen = None if preset is None else _preset(kind, attack, preset)
        made = make_attack(attack) if chosen is None else chosen.make()
        given = dict(settings or {})
        unknown = [path for path in given if path not in setting_paths(made)]
        if unknown:
            known = ", ".join(setting_paths(made)) or "none"
            raise InputError(f"settings: expected settings of attack {attack} ({known}), found {', '.join(unknown)}")
        terms = AttackTerms(changed(made, given), True, chosen, given, reveals, budget, twin)
    _check(terms)
    if auxiliary is not None and "auxiliary" not in terms.attack.needs:
        raise InputError(f"auxiliary: attack {terms.attack.name} does not use images of the attacker; leave it out")
    return terms


def _preset(kind: type[Attack[Any]], attack: str, name: str) -> Preset:
    """The preset of this name, with or without the prefix "for_"."""
    presets = kind.presets()
    for known in (name, f"for_{name}"):
        if known in presets:
            return presets[known]
    short = ", ".join(known.removeprefix("for_") for known in presets)
    raise InputError(
        f"preset: expected a preset of attack {attack} ({short}), found {name!r}"
        if presets
        else f"preset: attack {attack} has no presets; leave it out"
    )


def _check(terms: AttackTerms) -> None:
    attack = terms.attack
    if terms.reveals is not None and terms.reveals not in REVEALS:
        raise InputError(f"reveals: expected one of {', '.join(REVEALS)}, found {terms.reveals!r}")
    if terms.budget is not None and terms.budget < 1:
        raise InputError(f"budget: expected at least 1 query, found {terms.budget}")
    for name, value in (("reveals", terms.reveals), ("budget", terms.budget)):
        if not terms.asks and value is not None:
            raise InputError(f"{name}: attack {attack.name} uses gradients instead of queries; leave it out")
    if terms.reveals is not None and terms.reveals not in attack.reveals:
        usable = ", ".join(attack.reveals)
        raise InputError(f"reveals: expected what attack {attack.name} can use ({usable}), found {terms.reveals!r}")
    if terms.twin is not None and "twin" not in attack.needs:
        raise InputError(f"twin: attack {attack.name} does not use a copy of the network; leave it out")
