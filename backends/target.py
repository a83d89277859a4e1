"""A network opened on a substrate, the `Target`, and its answer to a batch of inputs, the `Response`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bl_neuro.backends.declaration import Declaration, Start
from bl_neuro.backends.inputs import Accepted, as_float, checked_input
from bl_neuro.errors import InputError, PluginError, TargetClosed, Unsupported
from bl_neuro.isolation import isolated, isolated_in_grad_mode
from bl_neuro.network import Network

CHUNK_VALUES = 2**25
"""Maximum number of values (T x B x widest layer) of one pass without gradients; larger batches are split."""


@dataclass(frozen=True, repr=False)
class Response:
    """The output of a target for a batch. Entry t belongs to input step t; pipeline delays are removed.

    spikes: (T, B, *output_shape), 0 or 1. membrane: same shape, the membrane potential before the reset divided by the
    threshold, or None if the substrate does not reveal it. layers: spikes of every spiking layer, (T, B, *layer_shape),
    if requested. states: current u and voltage v (after the reset) of every spiking layer after the last step, integers
    (B, *layer_shape), if requested from a backend with `shows_states`.

    A sigma-delta network has graded messages, whole numbers in float64, in place of all spikes, and as membrane its
    output values in the units of its input. The states of a layer are those of sigma, act and residue that it has.
    """

    spikes: Tensor
    membrane: Tensor | None
    layers: list[Tensor] | None = None
    states: list[tuple[Tensor, ...]] | None = None

    def __repr__(self) -> str:
        shown = "" if self.membrane is None else ", membrane"
        return f"<Response: spikes{shown} {tuple(self.spikes.shape)}>"


class Target(ABC):
    """A network opened on a substrate, ready to run. Use it as a context manager: some substrates start processes.

    `backend` is the backend that opened it and declares what the substrate can do. `samples` is the number of samples
    run since it was opened, not counting repetitions and padding.
    """

    takes_floats: ClassVar[bool] = True
    """False if `_run` takes spikes of any dtype, so that they are not converted."""

    def __init__(self, network: Network, backend: type[Declaration]) -> None:
        self.network = network
        self.backend = backend
        self.samples = 0
        self._closed = False

    @property
    def substrate(self) -> str:
        """The name of the substrate."""
        return self.backend.name

    @property
    def differentiable(self) -> bool:
        """Whether gradients flow through the responses; see `Declaration.differentiable`."""
        return self.backend.differentiable

    @property
    def reveals_membrane(self) -> bool:
        """Whether responses contain the membrane potential; see `Declaration.reveals_membrane`."""
        return self.backend.reveals_membrane

    @abstractmethod
    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        """Runs checked spikes (T, B, *input_shape), converted to float unless the class accepts other types."""

    def _close(self) -> None:  # noqa: B027 - most substrates hold nothing
        """Releases the resources of the target. Called once."""

    @isolated_in_grad_mode
    def run(self, x: Any, layers: bool = False, start: Start = "aligned") -> Response:
        """Runs spikes `x` (T, B, *input_shape) of 0 and 1: a tensor or NumPy array of bool, integers or floats.

        An input that this target has accepted is not checked again; one that another target accepted is.

        A network with input kind "current" takes real values instead. State never carries over from one run to the
        next.

        layers: also return the spikes of every layer. start: "aligned" starts every layer when its first input arrives;
        "cold" starts all layers together, so that biases act from the first step, as in a fresh Lava run. The two
        differ only for networks with biases.

        Raises:
            InputError: wrong shape, dtype or values. TargetClosed: the target is closed. SubstrateFailed: the substrate
                crashed.
        """
        accepted = self._accepted(x, start)
        if accepted.spikes.requires_grad and torch.is_grad_enabled():
            return self._run(as_float(accepted.spikes), layers, start)
        with torch.no_grad():
            return self._run_batch(accepted, layers, start)

    def accept(self, x: Any, detached: bool = False) -> Accepted:
        """Checks an input once, for a later `run`, which then does not check it. detached: without its gradient.

        Raises:
            InputError: wrong shape, dtype or values.
        """
        accepted = self._checked(x)._replace(checker=self)
        return accepted._replace(spikes=accepted.spikes.detach()) if detached else accepted

    def _checked(self, x: Any) -> Accepted:
        return Accepted(checked_input(x, self.network))

    def _accepted(self, x: Any, start: Start) -> Accepted:
        """Checks the arguments of a run and counts its samples."""
        if self._closed:
            raise TargetClosed(f"this {self.substrate} target is closed; open it again with bl.open_target")
        if start not in ("aligned", "cold"):
            raise InputError(f"start: expected 'aligned' or 'cold', found {start!r}")
        if isinstance(x, Accepted):  # what another target accepted may not fit this one
            accepted = x if x.checker is self else self._checked(x.spikes)
        else:
            accepted = self._checked(x)
        self.samples += accepted.batch
        return accepted

    @isolated
    def run_with_states(self, x: Any, start: Start = "aligned") -> Response:
        """Like `run`, but also returns the spikes and final states of every layer.

        Raises:
            Unsupported: the backend does not declare `shows_states`. The other errors are those of `run`.
        """
        if not self.backend.shows_states:
            raise Unsupported(f"substrate '{self.substrate}' does not show the states of its neurons")
        inputs = self._accepted(x, start).spikes.detach()
        with torch.no_grad():
            return self._run_with_states(inputs, start)

    def _run_with_states(self, inputs: Tensor, start: Start) -> Response:
        raise PluginError(
            f"{type(self).__name__} must define _run_with_states, since shows_states of its backend is true; tell the "
            "author of this backend"
        )

    def _run_batch(self, accepted: Accepted, layers: bool, start: Start) -> Response:
        """The response to a batch without gradients, of which as many samples are run at once as memory allows."""
        spikes = as_float(accepted.spikes) if self.takes_floats else accepted.spikes
        return joined([self._run(piece, layers, start) for piece in spikes.split(self._chunk(len(spikes)), dim=1)])

    def _chunk(self, steps: int) -> int:
        widest = max(int(np.prod(shape)) for shape in (self.network.input_shape, *self.network.shapes))
        return max(1, CHUNK_VALUES // (steps * widest))

    def close(self) -> None:
        """Ends processes and frees memory. Can be called more than once."""
        if not self._closed:
            self._closed = True
            self._close()

    def __enter__(self) -> Target:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.substrate} target of {self.network!r}{', closed' if self._closed else ''}>"


def joined(pieces: list[Response]) -> Response:
    """The response to a whole batch, joined from the responses to its parts."""
    if len(pieces) == 1:
        return pieces[0]
    membranes = [piece.membrane for piece in pieces if piece.membrane is not None]
    layers = [piece.layers for piece in pieces if piece.layers is not None]
    states = [piece.states for piece in pieces if piece.states is not None]
    return Response(
        torch.cat([piece.spikes for piece in pieces], dim=1),
        torch.cat(membranes, dim=1) if membranes else None,
        [torch.cat(parts, dim=1) for parts in zip(*layers)] if layers else None,
        [tuple(torch.cat(values) for values in zip(*parts)) for parts in zip(*states)] if states else None,
    )
