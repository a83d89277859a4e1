"""The target of `attack_network`: a network on a substrate, or a black box, possibly behind an endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.access import BlackBox, Reveals, WhiteBox, response_classes
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import AnnBox, Attack, Inversions
from bl_neuro.backends import Target, open_target
from bl_neuro.errors import InputError, NotRevealed
from bl_neuro.experiment.auxiliary_data import Auxiliary
from bl_neuro.model_file import load
from bl_neuro.network import Network
from bl_neuro.remote import EndpointOptions, RemoteBlackBox, is_url, open_endpoint

SUBSTRATE = "loihi"
"""Default substrate of a network."""
AttackedModel = Network | BlackBox | str | Path


@dataclass(frozen=True)
class Subject:
    """A network, or a black box if the network is not known. name: its path or URL, None for an object."""

    network: Network | None
    box: BlackBox | None
    name: str | None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input."""
        return self._view.input_shape

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self._view.classes

    @property
    def _view(self) -> Network | BlackBox:
        view = self.network if self.network is not None else self.box
        if view is None:
            raise InputError("model: expected a network or a black box, found None")
        return view


@contextmanager
def opened_subject(
    model: AttackedModel,
    substrate: str | None,
    reveals: Reveals | None,
    budget: int | None,
    endpoint: EndpointOptions | None,
) -> Iterator[Subject]:
    """Loads a model file, connects to a URL, or takes an object as it is. Closes the endpoint at the end.

    Raises:
        InputError: an argument that does not apply to this kind of model.
    """
    if substrate is not None and (isinstance(model, BlackBox) or is_url(model)):
        kind = "a BlackBox" if isinstance(model, BlackBox) else "an endpoint"
        raise InputError(f"substrate: {kind} already runs its network somewhere; leave substrate={substrate!r} out")
    if endpoint is not None and not is_url(model):
        raise InputError("endpoint: these options apply to the URL of an endpoint; leave them out")
    if isinstance(model, Network):
        yield Subject(model, None, None)
    elif isinstance(model, BlackBox):
        if reveals not in (None, model.reveals):
            raise InputError(f"reveals: this BlackBox reveals {model.reveals}, found {reveals!r}; leave it out")
        yield Subject(None, model, None)
    elif isinstance(model, str) and is_url(model):
        with open_endpoint(model, reveals, budget, endpoint, RemoteBlackBox) as box:
            yield Subject(None, box, model)
    elif isinstance(model, (str, Path)):
        yield Subject(load(model), None, str(model))
    else:
        raise InputError(
            f"model: expected a Network, a model file, the URL of an endpoint or a BlackBox, "
            f"found {type(model).__name__}"
        )


class OpenedTarget:
    """Creates the boxes of a subject; see `TargetView`. Opens substrates when needed; `stack` closes them.

    substrate: substrate that runs the network. reveals, budget: of the black box. twin: substrate of the attacker's
    copy. auxiliary: images of the attacker.
    """

    def __init__(
        self,
        subject: Subject,
        attack: Attack[Any],
        stack: ExitStack,
        *,
        substrate: str,
        reveals: Reveals,
        budget: int | None,
        twin: str,
        auxiliary: Auxiliary | None = None,
    ) -> None:
        self._subject, self._attack, self._stack = subject, attack, stack
        self._substrate, self._reveals, self._budget, self._twin = substrate, reveals, budget, twin
        self._auxiliary = auxiliary
        self._target: Target | None = None

    def white_box(self) -> WhiteBox:
        """See `TargetView.white_box`."""
        return WhiteBox(self._opened())

    def black_box(self) -> BlackBox:
        """See `TargetView.black_box`."""
        return self._subject.box or BlackBox(self._opened(), self._reveals, self._budget)

    def twin(self) -> WhiteBox:
        """See `TargetView.twin`."""
        return WhiteBox(self._stack.enter_context(open_target(self._network(), self._twin)))

    def auxiliary_images(self) -> FloatArray:
        """See `TargetView.auxiliary_images`."""
        if self._auxiliary is None:
            raise InputError(
                f"attack {self._attack.name}: expected images of the attacker, such as a public data set of the same "
                "kind; name one as auxiliary (--auxiliary), or choose an attack without them, such as v2"
            )
        return self._auxiliary.images.astype(np.float64)

    def ann_box(self) -> AnnBox:
        """See `TargetView.ann_box`."""
        raise InputError(
            f"attack {self._attack.name}: expected a bl_neuro.attacks.AnnBox of a network that does not spike, "
            "but this network spikes. Choose another attack for spiking networks"
        )

    def answers(self, inversions: Inversions) -> list[int | None] | None:
        """The output that the target assigns to each inversion, None if no output spikes.

        None instead of the list if the target reveals no label, or if it is an endpoint, which would charge for these
        queries.
        """
        if self._subject.network is None:
            return None
        target = self._opened()
        try:
            outputs = response_classes(target.run(inversions.spikes), target.network.readout).tolist()
        except NotRevealed:
            return None
        return [None if output < 0 else output for output in outputs]

    def _opened(self) -> Target:
        if self._target is None:
            self._target = self._stack.enter_context(open_target(self._network(), self._substrate))
        return self._target

    def _network(self) -> Network:
        if self._subject.network is None:
            raise InputError(
                f"attack {self._attack.name}: this attack needs the network, but an endpoint only answers "
                "queries; choose a black-box attack without a twin, such as v2"
            )
        return self._subject.network
