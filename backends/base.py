"""The interface of all substrates: a `Backend` opens a `Target`, and a target returns a `Response`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from bl_neuro.errors import InputError, PluginError, TargetClosed, Unsupported
from bl_neuro.isolation import isolated, isolated_in_grad_mode
from bl_neuro.network import Network

bool(torch.zeros(1) != 0)  # torch's first comparison with a number deadlocks where two threads make it at once

Start = Literal["aligned", "cold"]
USUAL_DTYPES = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.float32,
    torch.float64,
)  # fmt: skip
"""Dtypes of inputs that NumPy has and torch computes with."""
CONVERTED_DTYPES = (
    torch.bfloat16, torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz, torch.uint16,
    torch.uint32, torch.uint64,
)  # fmt: skip
"""Other dtypes of inputs, which are converted to float32."""
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

    def __init__(self, network: Network, backend: type[Backend]) -> None:
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
        """Whether gradients flow through the responses; see `Backend.differentiable`."""
        return self.backend.differentiable

    @property
    def reveals_membrane(self) -> bool:
        """Whether responses contain the membrane potential; see `Backend.reveals_membrane`."""
        return self.backend.reveals_membrane

    @abstractmethod
    def _run(self, spikes: Tensor, layers: bool, start: Start) -> Response:
        """Runs checked spikes (T, B, *input_shape), converted to float unless the class accepts other types."""

    def _close(self) -> None:  # noqa: B027 - most substrates hold nothing
        """Releases the resources of the target. Called once."""

    @isolated_in_grad_mode
    def run(self, x: Any, layers: bool = False, start: Start = "aligned") -> Response:
        """Runs spikes `x` (T, B, *input_shape) of 0 and 1: a tensor or NumPy array of bool, integers or floats.

        A network with input kind "current" takes real values instead. State never carries over from one run to the
        next.

        layers: also return the spikes of every layer. start: "aligned" starts every layer when its first input arrives;
        "cold" starts all layers together, so that biases act from the first step, as in a fresh Lava run. The two
        differ only for networks with biases.

        Raises:
            InputError: wrong shape, dtype or values. TargetClosed: the target is closed. SubstrateFailed: the substrate
                crashed.
        """
        spikes = self._accepted(x, start)
        if self.takes_floats or spikes.requires_grad:
            spikes = as_float(spikes)
        if spikes.requires_grad and torch.is_grad_enabled():
            return self._run(spikes, layers, start)
        with torch.no_grad():
            pieces = self._run_pieces(spikes.split(self._chunk(spikes.shape[0]), dim=1), layers, start)
            return pieces[0] if len(pieces) == 1 else joined(pieces)

    def _accepted(self, x: Any, start: Start) -> Tensor:
        """Checks the arguments of a run and counts its samples."""
        if self._closed:
            raise TargetClosed(f"this {self.substrate} target is closed; open it again with bl.open_target")
        if start not in ("aligned", "cold"):
            raise InputError(f"start: expected 'aligned' or 'cold', found {start!r}")
        spikes = checked_input(x, self.network)
        self.samples += spikes.shape[1]
        return spikes

    @isolated
    def run_with_states(self, x: Any, start: Start = "aligned") -> Response:
        """Like `run`, but also returns the spikes and final states of every layer.

        Raises:
            Unsupported: the backend does not declare `shows_states`. The other errors are those of `run`.
        """
        if not self.backend.shows_states:
            raise Unsupported(f"substrate '{self.substrate}' does not show the states of its neurons")
        inputs = self._accepted(x, start).detach()
        with torch.no_grad():
            return self._run_with_states(inputs, start)

    def _run_with_states(self, inputs: Tensor, start: Start) -> Response:
        raise PluginError(
            f"{type(self).__name__} must define _run_with_states, since shows_states of its backend is true; tell the "
            "author of this backend"
        )

    def _run_pieces(self, pieces: Sequence[Tensor], layers: bool, start: Start) -> list[Response]:
        """The responses to the parts of a batch, in order."""
        return [self._run(piece, layers, start) for piece in pieces]

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


class Backend(ABC):
    """The adapter for one substrate: declares its requirements and abilities, and opens targets.

    Code outside the backend never depends on the name of a substrate. Everything specific to a substrate is declared
    here.
    """

    name: ClassVar[str]
    """Name of the substrate in files, tables and command lines."""
    title: ClassVar[str]
    """Name of the software that runs the network."""
    summary: ClassVar[str]
    """One-line description."""
    modules: ClassVar[tuple[str, ...]]
    """Modules that must import for this backend to work."""
    requirement: ClassVar[str]
    """What pip must install for these modules, such as "bl-neuro[norse]"."""
    newest_python: ClassVar[tuple[int, int] | None] = None
    """The newest Python version that the modules support, such as (3, 10); None for no limit."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions are recorded with results."""
    imported_here: ClassVar[bool] = True
    """False if only another process imports the modules, as with Lava."""

    differentiable: ClassVar[bool]
    """Whether gradients flow through its responses, so that white-box attacks are possible."""
    reveals_membrane: ClassVar[bool] = True
    """Whether its targets reveal the membrane potential of the output."""
    shows_states: ClassVar[bool] = False
    """Whether its targets have `run_with_states`."""
    arithmetic: ClassVar[str | None] = None
    """Name of the arithmetic in which it computes: "real" (float64), "loihi" (Loihi's integers) or one of its own, such
    as "xylo". Substrates with the same arithmetic promise identical spikes. None if it promises nothing."""
    arithmetic_title: ClassVar[str | None] = None
    """What reports call the arithmetic, after "computes in". One backend of each arithmetic needs to declare it."""
    holds_24_bits: ClassVar[bool] = True
    """False if states in Loihi's arithmetic may exceed 24 bits, which Loihi wraps and clips; the promise then only
    holds for samples whose states do not exceed them."""
    emulates: ClassVar[str | None] = None
    """The substrate that this one reproduces exactly, but faster. Its responses are checked against that substrate."""

    single_thread: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Options with which a target uses only one thread or process at a time."""
    uses_torch_threads: ClassVar[bool] = True
    """False if the substrate does not use torch's threads, because it has its own threads or processes."""

    @classmethod
    def serving_options(cls, threads: int) -> dict[str, Any]:
        """Options for a server that sends many small queries, with this number of threads."""
        return {}

    @classmethod
    def warning(cls) -> str:
        """What limits the substrate on this machine although it runs, and what to do, for `bl-neuro doctor`."""
        return ""

    @classmethod
    @abstractmethod
    def problems(cls, network: Network) -> list[str]:
        """All reasons why the substrate cannot run `network`, each with the layer, the parameter and the cause."""

    @classmethod
    def other_python(cls, **options: Any) -> str | None:
        """The other interpreter that must have `modules`, according to these options; None for this interpreter."""
        return None

    @classmethod
    @abstractmethod
    def open(cls, network: Network, **options: Any) -> Target:
        """Opens `network`. The caller has checked that it has no `problems`."""


def checked_input(x: Any, network: Network) -> Tensor:
    """Checks `x` and returns it as a tensor (T, B, *input_shape), with its gradient.

    Values must be 0 and 1, or finite real numbers if the network takes input currents. A constant frame that is
    expanded over time (stride 0) is not copied. `CONVERTED_DTYPES` become float32.

    Raises:
        InputError: wrong shape, dtype or values.
    """
    tensor = real_tensor(x)
    expected = ("T", "B", *network.input_shape)
    if tensor.dim() != len(expected) or tuple(tensor.shape[2:]) != network.input_shape:
        raise InputError(f"spikes: expected shape ({', '.join(map(str, expected))}), found {tuple(tensor.shape)}")
    if tensor.shape[0] < 1 or tensor.shape[1] < 1:
        raise InputError(f"spikes: expected at least one step and one sample, found shape {tuple(tensor.shape)}")
    tensor = usual_dtype(tensor)
    values = tensor.detach()[:1] if is_held(tensor) else tensor.detach()
    if network.input_kind == "current":
        if not bool(values.isfinite().all()):
            raise InputError("current: expected finite values, found NaN or infinity")
    elif tensor.dtype == torch.uint8 and bool(values.max() <= 1):
        return tensor  # the common case, in one pass
    elif tensor.dtype != torch.bool:
        wrong = (values != 0) & (values != 1)
        if bool(wrong.any()):
            where = tuple(int(i) for i in wrong.nonzero()[0])
            raise InputError(f"spikes: expected only 0 and 1, found {values[where].item()} at index {where}")
    return tensor


def real_tensor(x: Any) -> Tensor:
    """`x`, such as an array or a list, as a plain tensor of real values in memory, with its gradient.

    Raises:
        InputError: it is no such tensor, has no real values, or carries a forward-mode derivative.
    """
    try:
        # copied: torch takes no negative strides, and warns of arrays that cannot be written
        array = x if isinstance(x, Tensor) else torch.from_numpy(np.array(x, order="C"))
        if array.is_inference() and array.requires_grad and torch.is_grad_enabled():
            array = array.clone()  # torch does not differentiate at a tensor made in inference mode
        # torch hands every weight to a subclass of Tensor that asks: what comes in is made a plain tensor
        tensor = array.as_subclass(Tensor)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"spikes: expected a tensor or an array of 0/1, found {type(x).__name__} ({error})") from error
    if tensor.layout != torch.strided or tensor.dtype not in (*USUAL_DTYPES, *CONVERTED_DTYPES):
        raise InputError(f"spikes: expected bool, integer or float values, found {tensor.dtype}, {tensor.layout}")
    need_no_forward_derivative(tensor)
    if tensor.is_meta or tensor.is_nested:
        kind = "a nested tensor" if tensor.is_nested else "a tensor on device meta"
        raise InputError(f"spikes: expected a tensor with values, found {kind}")
    return tensor


def usual_dtype(tensor: Tensor) -> Tensor:
    """Converts a tensor (T, B, ...) of `CONVERTED_DTYPES` to float32."""
    if tensor.dtype not in CONVERTED_DTYPES:
        return tensor
    return per_frame(lambda frames: frames.to(torch.float32), tensor)


def need_no_forward_derivative(tensor: Tensor, name: str = "spikes", gradient: str = "WhiteBox.gradient") -> None:
    """Raises InputError if a tensor carries a derivative of forward-mode automatic differentiation.

    name: of the tensor, gradient: the method to use instead, for the error message.
    """
    if getattr(forward_ad, "_current_level", 0) < 0 or not tensor.is_floating_point():
        return
    if forward_ad.unpack_dual(tensor).tangent is not None:
        raise InputError(
            f"{name}: expected a tensor without a forward-mode derivative (torch.autograd.forward_ad), which targets "
            f"do not compute; use {gradient}"
        )


def as_float(values: Tensor) -> Tensor:
    """Converts values (T, B, ...) to float32 unless they are float32 or float64. A constant frame is not expanded."""
    exact = values.dtype in (torch.float32, torch.float64)
    return values if exact else per_frame(lambda frames: frames.to(torch.float32), values)


def is_held(values: Tensor) -> bool:
    """Whether `values` (T, ...) are one frame expanded over time, without a gradient that differs between steps."""
    return values.shape[0] > 1 and values.stride(0) == 0 and not values.requires_grad


def per_frame(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Applies `function` to values (T, B, ...); if all steps are the same frame, only once."""
    if not is_held(values):
        return function(values)
    result = function(values[:1])
    return result.expand(values.shape[0], *result.shape[1:])


def joined(pieces: list[Response]) -> Response:
    """The response to a whole batch, joined from the responses to its parts."""
    membranes = [piece.membrane for piece in pieces if piece.membrane is not None]
    layers = [piece.layers for piece in pieces if piece.layers is not None]
    states = [piece.states for piece in pieces if piece.states is not None]
    return Response(
        torch.cat([piece.spikes for piece in pieces], dim=1),
        torch.cat(membranes, dim=1) if membranes else None,
        [torch.cat(parts, dim=1) for parts in zip(*layers)] if layers else None,
        [tuple(torch.cat(values) for values in zip(*parts)) for parts in zip(*states)] if states else None,
    )
