"""Exceptions of bl-neuro.

    BlNeuroError
    ├── InputError            an argument or a tensor is invalid
    │   ├── NetworkError      a network definition is inconsistent (all problems listed)
    │   ├── ExperimentError   an experiment file is missing or invalid (all problems listed, with their lines)
    │   └── LogDamaged        an endpoint's log of queries lost or changed entries
    ├── ModelFileError        a model file is missing, damaged or of an unsupported kind
    ├── DataError             a dataset is missing, damaged or too small
    ├── SubstrateError        a substrate cannot do what was requested
    │   ├── UnknownSubstrate      no substrate of that name
    │   ├── MissingDependency     its framework is not installed
    │   ├── Unsupported           it cannot express a layer or a parameter of this network
    │   ├── SubstrateFailed       it crashed, exceeded its deadline or could not start
    │   └── TargetClosed          the target was used after it was closed
    ├── AccessError           the attacker's access does not allow this
    │   ├── BudgetExceeded        the query exceeds the remaining budget
    │   ├── NotDifferentiable     a white box needs gradients that the substrate does not provide
    │   └── NotRevealed           the substrate does not provide the output to be revealed
    ├── EndpointError         an endpoint of a served model did not answer
    │   ├── EndpointRefused       it refuses the request: no such model, no permission, too large
    │   ├── EndpointUnavailable   it is unreachable, or was busy for too long
    │   └── EndpointProtocolError its response violates the protocol
    ├── PluginError           a part from another package cannot be loaded
    └── ReportError           a report could not be written

`TokenInTheClear` is a warning: a token is sent over plain HTTP to another machine.

Every message says what was expected, what was found, where, and what to try.

`bl_neuro.attacks.StopAttack` does not derive from BlNeuroError: a `progress` callback raises it to stop an attack.
"""

from __future__ import annotations

from typing import Any


def printable(text: str) -> str:
    """`text` with terminal control characters escaped, since messages repeat names from untrusted files."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


class BlNeuroError(Exception):
    """Base class of all exceptions of bl-neuro.

    inversions: the inversions that a black-box attack had so far (`bl_neuro.attacks.Inversions`) when the error stopped
    it, or None.
    """

    inversions: Any = None


class InputError(BlNeuroError, ValueError):
    """An argument or a tensor is invalid."""


class NetworkError(InputError):
    """A network definition is inconsistent; `problems` lists all problems."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("invalid network: " + "; ".join(problems))


class ExperimentError(InputError):
    """An experiment file is missing or invalid; `problems` lists all problems, each with its line."""

    def __init__(self, message: str, problems: list[str] | None = None) -> None:
        self.problems = tuple(printable(problem) for problem in problems or ())
        super().__init__(printable(message))


class LogDamaged(InputError):
    """The log of queries of an endpoint was deleted, changed or lost entries, so that budgets cannot be enforced."""


class ModelFileError(BlNeuroError):
    """A model file is missing, damaged, too large or of an unsupported kind; `problems` lists all problems."""

    def __init__(self, message: str, problems: list[str] | None = None) -> None:
        self.problems = tuple(printable(problem) for problem in problems or ())
        super().__init__(printable(message))


class DataError(BlNeuroError):
    """A dataset is missing, damaged or too small for the request."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class SubstrateError(BlNeuroError):
    """A substrate cannot do what was requested."""


class UnknownSubstrate(SubstrateError, InputError):
    """There is no substrate of that name."""


class MissingDependency(SubstrateError):
    """The framework of a substrate is not installed or cannot be imported."""


class Unsupported(SubstrateError, InputError):
    """A substrate cannot express a layer or a parameter of this network."""


class SubstrateFailed(SubstrateError):
    """A substrate crashed, exceeded its deadline or could not start."""


class TargetClosed(SubstrateError):
    """A target was used after it was closed."""


class AccessError(BlNeuroError):
    """The attacker's access to a target does not allow this."""


class BudgetExceeded(AccessError):
    """A query exceeds the remaining budget.

    ran: number of its samples that were run and charged before, if it was sent to an endpoint in parts; else 0.
    """

    ran: int = 0


class NotDifferentiable(AccessError, InputError):
    """White-box access to a substrate that provides no gradients."""


class NotRevealed(AccessError, InputError):
    """A black box was asked to reveal an output that its substrate does not provide."""


class EndpointError(BlNeuroError):
    """An endpoint of a served model did not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class EndpointRefused(EndpointError):
    """An endpoint refuses this request permanently.

    code: its machine-readable reason, if it gives one. status: its HTTP status, None if there was no response.
    """

    def __init__(self, message: str, code: str = "", status: int | None = None) -> None:
        self.code, self.status = code, status
        super().__init__(message)


class EndpointUnavailable(EndpointError):
    """An endpoint is unreachable, or was busy for longer than the caller waits."""


class EndpointProtocolError(EndpointError):
    """An endpoint's response violates the Open Inference Protocol or its own metadata."""


class PluginError(BlNeuroError):
    """A part that another package adds through an entry point cannot be loaded, is of the wrong kind, or incomplete."""


class ReportError(BlNeuroError):
    """A report could not be written."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class TokenInTheClear(UserWarning):
    """A token is sent over plain HTTP to another machine."""


class DelaysShortened(UserWarning):
    """A file has delays that are too long for Loihi; they are shortened, as Lava's own reader does."""


class KernelSizeIgnored(UserWarning):
    """A file declares another kernel size than its weights have; the weights count, as for Lava's own reader."""


class NestedShapeIgnored(UserWarning):
    """The Input or Output of a nested NIR graph states another shape than it receives; it computes nothing."""


class SilentLayers(UserWarning):
    """A network was read in which no neuron of some layers can spike, as with a wrong time step."""
