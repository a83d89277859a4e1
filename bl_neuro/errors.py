"""Every exception bl-neuro raises on purpose.

    BlNeuroError
    ├── InputError            an argument or a tensor is not what was expected
    │   ├── NetworkError      a network definition does not hold together (all problems listed)
    │   └── ExperimentError   an experiment's file says what cannot be (all problems listed, with their lines)
    ├── ModelFileError        a model file is missing, damaged or not ours
    ├── DataError             a dataset is missing, damaged or too small
    ├── SubstrateError        a substrate cannot do what was asked
    │   ├── UnknownSubstrate      no substrate of that name
    │   ├── MissingDependency     its framework is not installed
    │   ├── Unsupported           it cannot express a layer or a parameter of this network
    │   ├── SubstrateFailed       it crashed, hung past its deadline or could not start
    │   └── TargetClosed          the target was used after it was closed
    ├── AccessError           the attacker's view does not allow this
    │   ├── BudgetExceeded        the query would cost more than what is left
    │   ├── NotDifferentiable     a white box needs gradients this substrate has not
    │   └── NotRevealed           the substrate has no such output to reveal
    ├── EndpointError         an endpoint of a served model did not answer
    │   ├── EndpointRefused       it will not answer this: no such model, no right to ask, too large
    │   ├── EndpointUnavailable   it cannot be reached, or was busy for too long
    │   └── EndpointProtocolError what it said is not the protocol
    ├── PluginError           a part that another package adds does not load
    └── ReportError           a report could not be written

`TokenInTheClear` is a warning: a token is about to go over plain HTTP to another machine.

The messages say what was expected, what was found, where, and what to try.

`bl_neuro.attacks.StopAttack` is none of them: it is no failure but how your `progress` callback ends an attack.
"""

from __future__ import annotations

from typing import Any


def _printable(text: str) -> str:
    """`text` with what drives a terminal written as an escape: files name things, and messages repeat the names."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


class BlNeuroError(Exception):
    """Base of every exception of bl-neuro.

    inversions: what a black-box attack had reconstructed (`bl_neuro.attacks.Inversions`) when the error ended it; else
    None.
    """

    inversions: Any = None


class InputError(BlNeuroError, ValueError):
    """An argument or a tensor is not what was expected."""


class NetworkError(InputError):
    """A network definition does not hold together; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("invalid network: " + "; ".join(problems))


class ExperimentError(InputError):
    """An experiment's file is missing or says what cannot be; `problems` lists all of it, each with its line."""

    def __init__(self, message: str, problems: list[str] | None = None) -> None:
        self.problems = tuple(_printable(problem) for problem in problems or ())
        super().__init__(_printable(message))


class ModelFileError(BlNeuroError):
    """A model file is missing, damaged, too large or of a kind that is not read; `problems` lists what is wrong."""

    def __init__(self, message: str, problems: list[str] | None = None) -> None:
        self.problems = tuple(_printable(problem) for problem in problems or ())
        super().__init__(_printable(message))


class DataError(BlNeuroError):
    """A dataset is missing, damaged or too small for what was asked."""


class SubstrateError(BlNeuroError):
    """A substrate cannot do what was asked."""


class UnknownSubstrate(SubstrateError, InputError):
    """There is no substrate of that name."""


class MissingDependency(SubstrateError):
    """The framework a substrate runs on is not installed, or does not import."""


class Unsupported(SubstrateError, InputError):
    """A substrate cannot express a layer or a parameter of this network."""


class SubstrateFailed(SubstrateError):
    """A substrate crashed, hung past its deadline or could not start."""


class TargetClosed(SubstrateError):
    """A target was used after it was closed."""


class AccessError(BlNeuroError):
    """The attacker's view of a target does not allow this."""


class BudgetExceeded(AccessError):
    """A query would cost more than the budget has left.

    ran: samples of the query that were run and paid for before, where it went to an endpoint in parts; else 0.
    """

    ran: int = 0


class NotDifferentiable(AccessError, InputError):
    """A white box was asked of a substrate that gives no gradients."""


class NotRevealed(AccessError, InputError):
    """A black box was asked to reveal what its substrate does not put out."""


class EndpointError(BlNeuroError):
    """An endpoint of a served model did not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(_printable(message))


class EndpointRefused(EndpointError):
    """An endpoint will not answer this request, however often it is asked; `code` is what it calls the reason."""

    def __init__(self, message: str, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class EndpointUnavailable(EndpointError):
    """An endpoint cannot be reached, or was busy for longer than the caller would wait."""


class EndpointProtocolError(EndpointError):
    """What an endpoint said is not the Open Inference Protocol, or not what it announced."""


class PluginError(BlNeuroError):
    """A part that another package adds through an entry point does not load, or is of another kind."""


class ReportError(BlNeuroError):
    """A report could not be written."""


class TokenInTheClear(UserWarning):
    """A token goes over plain HTTP to another machine."""
