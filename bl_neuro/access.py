"""The attacker's access to a target: `WhiteBox` gives responses and gradients, `BlackBox` only metered answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from bl_neuro.backends.inputs import Accepted, as_float
from bl_neuro.backends.registry import substrates_with
from bl_neuro.backends.target import Response, Target
from bl_neuro.checks import whole_number
from bl_neuro.errors import BudgetExceeded, InputError, NotDifferentiable, NotRevealed
from bl_neuro.isolation import isolated
from bl_neuro.mitigations.base import Mitigation
from bl_neuro.reveals import REVEALS as REVEALS
from bl_neuro.reveals import Reveals as Reveals
from bl_neuro.seeding import stream

if TYPE_CHECKING:
    from bl_neuro.network import Network, Readout


class WhiteBox:
    """White-box access: the attacker holds the model and gets responses and gradients.

    Attributes: `queries`, the number of samples run so far.

    Raises:
        NotDifferentiable: the substrate provides no gradients, like a chip or its simulator.
    """

    def __init__(self, target: Target) -> None:
        _check_target(target, "white box")
        if not target.differentiable:
            differentiable = ", ".join(substrates_with("differentiable"))
            raise NotDifferentiable(
                f"white box: expected a differentiable target ({differentiable}), found {target.substrate}; "
                "query it through a BlackBox"
            )
        self.target = target
        self.queries = 0

    @property
    def network(self) -> Network:
        """The network under attack, including its weights."""
        return self.target.network

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input spikes."""
        return self.target.network.input_shape

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.target.network.classes

    def __repr__(self) -> str:
        return f"<WhiteBox of {self.target!r}, {self.queries} queries>"

    @isolated
    def run(self, spikes: Any) -> Response:
        """The target's response to `spikes` (T, B, *input_shape), without gradient."""
        accepted = self.target.accept(spikes, detached=True)
        self.queries += accepted.batch
        return self.target.run(accepted)

    @isolated
    def gradient(self, spikes: Tensor, objective: Callable[[Response], Tensor]) -> tuple[Tensor, Tensor]:
        """Value (B,) of `objective(response)` at `spikes`, and its gradient at the input, (T, B, *input_shape)."""
        accepted = self.target.accept(spikes, detached=True)
        inputs = as_float(accepted.spikes).clone()
        self.queries += accepted.batch
        with torch.enable_grad():
            values = objective(self.target.run(accepted._replace(spikes=inputs.requires_grad_())))
            (gradient,) = torch.autograd.grad(values.sum(), inputs)
        return values.detach(), gradient


class BlackBox:
    """Black-box access with a query budget. Its only access is `query`, which returns what `reveals` allows.

    reveals: "membrane" (T, B, C), the output membrane potential; "scores" (B, C), the mean over time of
    softmax(membrane), as a classifier behind an API returns; "spikes" (T, B, C), the output spikes, as a chip returns
    them; "counts" (B, C), the output spike counts; "label" (B,), the predicted class. budget: number of queries, one
    per sample; None for no limit. mitigation: a defence of the deployment that changes inputs, outputs or the budget
    (see `bl_neuro.mitigations`); `seed` is the seed of its random numbers. For a mitigation that changes the network,
    open `mitigation.network(network)` as the target.

    For a sigma-delta network, spikes are graded messages, counts their sums, and the membrane its output values.

    The box exposes neither weights nor gradients, nor the target itself.

    Raises:
        NotRevealed: the substrate does not provide this output.
        InputError: an unknown `reveals`, a budget below 1, or a mitigation that does not affect what is revealed.
    """

    __slots__ = ("_budget", "_classes", "_gate", "_input_shape", "_lock", "_reveals", "_spent")

    def __init__(
        self,
        target: Target,
        reveals: Reveals = "counts",
        budget: int | None = None,
        mitigation: Mitigation | None = None,
        seed: int = 0,
    ) -> None:
        _check_target(target, "black box")
        if reveals not in REVEALS:
            raise InputError(f"reveals: expected one of {', '.join(REVEALS)}, found {reveals!r}")
        if _needs_membrane(target, reveals) and not target.reveals_membrane:
            raise NotRevealed(
                f"reveals: {reveals} needs the membrane potential, which substrate {target.substrate} does not reveal; "
                f"expected spikes{', counts or label' if target.network.readout == 'spikes' else ' or counts'}"
            )
        if mitigation is not None:
            mitigation.check(reveals)
            reveals, budget = mitigation.reveals(reveals), mitigation.budget(budget)
        gate = _gate(target, reveals, mitigation, seed)
        self._set_up(reveals, budget, target.network.input_shape, target.network.classes, gate)

    def _set_up(
        self, reveals: Reveals, budget: int | None, input_shape: tuple[int, ...], classes: int, gate: Gate
    ) -> None:
        """Sets the query budget and the gate to the target."""
        limit = whole_number(budget)
        if budget is not None and (limit is None or limit < 1):
            raise InputError(f"budget: expected a whole number of at least 1 query, found {budget!r}")
        self._reveals = reveals
        self._budget = limit
        self._spent = 0
        self._lock = threading.Lock()
        self._input_shape = input_shape
        self._classes = classes
        self._gate = gate

    @property
    def reveals(self) -> Reveals:
        """What an answer reveals."""
        return self._reveals

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame of input spikes."""
        return self._input_shape

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self._classes

    @property
    def budget(self) -> int | None:
        """Total query budget, or None for no limit."""
        return self._budget

    @property
    def spent(self) -> int:
        """Number of queries spent so far, one per sample."""
        return self._spent

    @property
    def remaining(self) -> int | None:
        """Number of remaining queries, or None for no limit."""
        return None if self._budget is None else self._budget - self._spent

    @isolated
    def query(self, spikes: Any) -> Tensor:
        """The answer to `spikes` (T, B, *input_shape), 0/1; costs B queries, even if the substrate fails.

        Raises:
            BudgetExceeded: B exceeds the remaining budget; nothing is run or spent. If an endpoint's own budget ends
                midway, the samples that it ran are spent.
            InputError: invalid spikes, which cost nothing.
        """
        inputs = self._gate.check(spikes)
        cost = inputs.batch
        with self._lock:
            if self._budget is not None and cost > self._budget - self._spent:
                raise BudgetExceeded(
                    f"this query costs {cost}, and {self._budget - self._spent} of the budget of {self._budget} remain"
                )
            self._spent += cost
        try:
            return self._gate.ask(inputs)
        except BudgetExceeded as error:  # an endpoint's own budget refused the query or the rest of it
            with self._lock:
                self._spent -= cost - error.ran
            raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._about()}>"

    def _about(self) -> str:
        limit = "no limit" if self._budget is None else f"budget {self._budget}"
        return (
            f"takes {self._input_shape}, reveals {self._reveals} of {self._classes} classes, "
            f"{self._spent} queries spent, {limit}"
        )


class Gate(NamedTuple):
    """Access to the target through two closures, so that no public attribute leads to the target.

    This prevents accidental access only. It is no security boundary within one Python process; use an endpoint in
    another process for that.
    """

    check: Callable[[Any], Accepted]
    ask: Callable[[Accepted], Tensor]


def _gate(target: Target, reveals: Reveals, mitigation: Mitigation | None, seed: int) -> Gate:
    rng, lock = stream(seed, "mitigation"), threading.Lock()

    def check(spikes: Any) -> Accepted:
        return target.accept(spikes, detached=True)

    def ask(spikes: Accepted) -> Tensor:
        readout = target.network.readout
        with torch.no_grad():
            if mitigation is None or not mitigation.changes("inputs", "output"):
                return reveal(target.run(spikes), reveals, readout)
            with lock:
                response = target.run(mitigation.inputs(spikes.spikes, rng))
                level: Reveals = _label_source(readout) if reveals == "label" else reveals
                output = mitigation.output(reveal(response, level, readout), level, rng)
                return output.argmax(1) if reveals == "label" else output

    return Gate(check, ask)


def _label_source(readout: Readout) -> Reveals:
    """The output whose maximum is the predicted class."""
    return "counts" if readout == "spikes" else "scores"


def predicted_classes(answer: Tensor, reveals: Reveals) -> Tensor:
    """The predicted classes (B,) of a black box's answers; if several classes tie, the lowest.

    -1 for counts and spikes that are all zero.
    """
    if reveals == "label":
        return answer
    if reveals == "membrane":
        return scores(answer).argmax(1)
    totals = answer.sum(0) if reveals == "spikes" else answer
    best = totals.argmax(1)
    return best if reveals == "scores" else best.masked_fill(totals.sum(1) == 0, -1)


def _check_target(target: Any, view: str) -> None:
    if not isinstance(target, Target):
        raise InputError(f"{view}: expected a target from bl.open_target, found {type(target).__name__}")


def _needs_membrane(target: Target, reveals: Reveals) -> bool:
    return reveals in ("membrane", "scores") or (reveals == "label" and target.network.readout != "spikes")


def reveal(response: Response, reveals: Reveals, readout: Readout = "spikes") -> Tensor:
    """The part of a response that `reveals` allows; see `BlackBox`. A label follows the readout of the network.

    If several classes tie, or no output neuron spikes, the label is the lowest class, since a classifier always returns
    a label.

    Raises:
        NotRevealed: the membrane potential is needed and the substrate does not reveal it.
    """
    if reveals == "spikes":
        return response.spikes
    if reveals == "counts":
        return response.spikes.sum(0)
    if reveals == "label" and readout == "spikes":
        return response.spikes.sum(0).argmax(1)
    if response.membrane is None:
        raise NotRevealed(f"reveals: this substrate does not reveal the membrane potential, so no {reveals}")
    if reveals == "membrane":
        return response.membrane
    return scores(response.membrane) if reveals == "scores" else scores(response.membrane).argmax(1)


def response_classes(response: Response, readout: Readout = "spikes") -> Tensor:
    """The predicted class of each sample, (B,): its label, but -1 if no output neuron spiked.

    For measuring accuracy: a deployed network without output spikes still returns its lowest class as the label, which
    must not count as correct.
    """
    label = reveal(response, "label", readout)
    return label if readout != "spikes" else label.masked_fill(~response.spikes.flatten(2).any(0).any(1), -1)


def scores(membrane: Tensor) -> Tensor:
    """The mean over time of softmax(membrane), (B, C), as a classifier behind an API returns."""
    return torch.softmax(membrane, dim=2).mean(0)
