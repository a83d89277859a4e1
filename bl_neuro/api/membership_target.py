"""The target of `bl-neuro membership`: a model file or an endpoint, and shadow networks with the same inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bl_neuro.access import BlackBox, Reveals
from bl_neuro.api.attack_target import AttackedModel, opened_subject
from bl_neuro.api.silent_outputs import need_spiking_outputs
from bl_neuro.backends import find_backend, open_target
from bl_neuro.data.samples import Samples
from bl_neuro.experiment.given_model import Recognised, recognise, views
from bl_neuro.experiment.material import with_input_range
from bl_neuro.membership.shadow_models import ShadowModels
from bl_neuro.network import Network
from bl_neuro.remote import EndpointOptions

QUICK = "loihi"
"""Substrate on which networks are tried that will run on a slow one."""


@dataclass(frozen=True)
class MembershipTarget:
    """A black box and shadow networks, as `attack_membership` takes them.

    recognised: how the network encodes the dataset, as inferred; None for an endpoint.
    """

    box: BlackBox
    shadows: ShadowModels | None
    encoder: str | None
    recognised: Recognised | None

    @property
    def class_map(self) -> tuple[int, ...] | None:
        """The class of each output of the box, or None if it is not known."""
        return None if self.recognised is None else self.recognised.class_map


@contextmanager
def opened_membership_target(
    model: AttackedModel,
    data: Samples,
    shadows: ShadowModels | None,
    *,
    substrate: str,
    steps: int,
    reveals: Reveals | None,
    budget: int | None,
    endpoint: EndpointOptions | None,
) -> Iterator[MembershipTarget]:
    """Opens a network on `substrate`, or an endpoint, and infers on `data` how networks encode it.

    What is inferred on the first shadow network applies to all of them. An endpoint is taken to encode samples like the
    shadow networks, and its output k to be class k.

    Raises:
        InputError: the model or the shadow networks do not fit the data. SubstrateError, EndpointError: the model
            cannot be opened.
    """
    known = None
    if shadows is not None:
        known = recognise(shadows.networks[0], data, steps, substrate=_quick(substrate))
        networks = [_with_range(network, known) for network in shadows.networks]
        shadows = replace(shadows, networks=networks, class_map=known.class_map)
    with opened_subject(model, None, reveals, budget, endpoint) as subject:
        if subject.network is None:
            yield MembershipTarget(_box(subject.box), shadows, None if known is None else known.encoder, None)
            return
        recognised = recognise(subject.network, data, steps, substrate=_quick(substrate))
        network = _with_range(subject.network, recognised)
        shown = reveals or views(network)[0]
        need_spiking_outputs(network, shown)
        with open_target(network, substrate) as target:
            yield MembershipTarget(BlackBox(target, shown, budget), shadows, recognised.encoder, recognised)


def _quick(substrate: str) -> str:
    return substrate if find_backend(substrate).differentiable else QUICK


def _with_range(network: Network, recognised: Recognised) -> Network:
    return network if recognised.input_range is None else with_input_range(network, *recognised.input_range)


def _box(box: BlackBox | None) -> BlackBox:
    if box is None:
        raise ValueError("expected a subject with a network or a box")
    return box
