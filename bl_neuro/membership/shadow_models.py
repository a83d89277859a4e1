"""Shadow networks of a membership attacker, with the samples that each was trained on and where they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bl_neuro.access import BlackBox
from bl_neuro.arrays import BoolArray
from bl_neuro.backends import find_backend, open_target
from bl_neuro.data.encoders import Encoder
from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError
from bl_neuro.leakage.membership_attacks import Answers
from bl_neuro.membership.asks import Ask, ask_about
from bl_neuro.membership.outputs import as_outputs
from bl_neuro.mitigations.base import Mitigation
from bl_neuro.network import Network
from bl_neuro.reveals import Reveals
from bl_neuro.seeding import derived_seed


@dataclass(frozen=True, eq=False, repr=False)
class ShadowModels:
    """Networks that an attacker trained on known samples, to learn how networks answer about members and others.

    networks: N networks with the same inputs and outputs as the target. members (N, n): True for the samples that a
    network was trained on, drawn independently for each network. substrate: where they run, which should be that of the
    target; a substrate with identical spikes serves as well, such as "loihi" for a target on "lava". mitigation: the
    defence of the target's deployment, if the attacker knows it. class_map: the class of each output; by default,
    output k is class k. digest: identifies the n samples, or None.

    Raises:
        InputError: no network, networks of different shapes, or members that do not fit. UnknownSubstrate: no substrate
            has that name.
    """

    networks: Sequence[Network]
    members: BoolArray
    substrate: str = "loihi"
    mitigation: Mitigation | None = None
    class_map: Sequence[int] | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        find_backend(self.substrate)
        networks, members = tuple(self.networks), np.asarray(self.members)
        if not networks or not all(isinstance(network, Network) for network in networks):
            raise InputError(f"networks: expected one or more networks, found {[type(n).__name__ for n in networks]}")
        shapes = {(network.input_shape, network.classes, network.input_kind) for network in networks}
        if len(shapes) > 1:
            raise InputError(f"networks: expected the same inputs and outputs in all of them, found {sorted(shapes)}")
        if members.dtype != bool or members.ndim != 2 or len(members) != len(networks) or not members.size:
            raise InputError(
                f"members: expected booleans (networks, samples) of {len(networks)} networks, found {members.dtype} "
                f"of {members.shape}"
            )
        object.__setattr__(self, "networks", networks)
        object.__setattr__(self, "members", members)

    def __len__(self) -> int:
        return len(self.networks)

    def __repr__(self) -> str:
        defence = "" if self.mitigation is None else f" with {self.mitigation.label}"
        return f"<ShadowModels: {len(self)} networks on {self.substrate}{defence}, {self.samples} samples>"

    @property
    def samples(self) -> int:
        """The number of samples n."""
        return self.members.shape[1]

    @property
    def encoder(self) -> str:
        """How images become inputs of these networks, unless stated otherwise: "rate", or "direct" for currents."""
        return "direct" if self.networks[0].input_kind == "current" else "rate"

    def on(self, substrate: str, mitigation: Mitigation | None = None) -> ShadowModels:
        """The same networks on a substrate, with or without a mitigation."""
        if mitigation is not None and not isinstance(mitigation, Mitigation):
            raise InputError(f"mitigation: expected a Mitigation or None, found {type(mitigation).__name__}")
        return replace(self, substrate=substrate, mitigation=mitigation)

    def subset(self, index: npt.NDArray[np.integer[Any]]) -> ShadowModels:
        """The same networks, to attack only the samples at `index`."""
        try:
            chosen = self.members[:, np.asarray(index)]
        except IndexError as error:
            raise InputError(f"index: expected indices of some of {self.samples:,} samples ({error})") from error
        return replace(self, members=chosen, digest=None)

    def answers(
        self,
        samples: Samples,
        ask: Ask,
        steps: int,
        reveals: Reveals,
        seed: int,
        encoder: str | Encoder | None = None,
        asked: Callable[[int], None] | None = None,
    ) -> Answers:
        """What every network answers about the samples through a black box; see `ask_about`.

        Raises:
            SubstrateError, AccessError: the substrate cannot run a network or does not reveal this output.
        """
        relabelled = as_outputs(samples, self.class_map, self.networks[0].classes, "shadows")
        tables = []
        for number, network in enumerate(self.networks):
            deployed, in_box = self._deployed(network)
            with open_target(deployed, self.substrate) as target:
                box = BlackBox(target, reveals, None, in_box, derived_seed(seed, "shadow box", number))
                tables.append(ask_about(box, relabelled, ask, steps, seed, encoder, asked))
        return Answers(
            np.stack([table.statistics for table in tables]),
            np.stack([table.probabilities for table in tables]),
            self.members,
        )

    def _deployed(self, network: Network) -> tuple[Network, Mitigation | None]:
        """The network as it is deployed, and the mitigation of its black box."""
        mitigation = self.mitigation
        if mitigation is None:
            return network, None
        deployed = mitigation.network(network) if mitigation.changes("network") else network
        return deployed, mitigation if mitigation.changes("inputs", "output", "reveals") else None
