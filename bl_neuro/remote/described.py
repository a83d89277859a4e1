"""Description of the model behind an endpoint, from its metadata and the user's options."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from bl_neuro.access import REVEALS, Reveals
from bl_neuro.errors import EndpointProtocolError, InputError
from bl_neuro.remote.bodies import need_no_error
from bl_neuro.remote.tensors import PROTOCOL

Layout = Literal["time_first", "batch_first", "rates"]
LAYOUTS: tuple[str, ...] = get_args(Layout)
LEADING_AXES: dict[str, int] = {"time_first": 2, "batch_first": 2, "rates": 1}
"""Number of axes of an input that precede those of one frame, by layout."""
BATCH_AXES: dict[str, int] = {"time_first": 1, "batch_first": 0, "rates": 0}
"""The axis of an input that counts the samples, by layout."""
MAX_CLASSES = 2**20
MAX_AXES = 16
"""Maximum number of axes of one frame."""
DECLARED_CLASSES, DECLARED_VALUES = 4096, 2**20
"""Maximum number of classes, and of classes times inputs, that an endpoint alone may declare, since an attack allocates
memory for them."""


@dataclass(frozen=True)
class Options:
    """The user's options; None for values that the endpoint's metadata determines. See `RemoteBlackBox`."""

    reveals: str | None = None
    input: str | None = None
    output: str | None = None
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    layout: str | None = None

    def check(self) -> None:
        """Raises InputError for an invalid option."""
        if self.reveals is not None and self.reveals not in REVEALS:
            raise InputError(f"reveals: expected one of {', '.join(REVEALS)}, found {self.reveals!r}")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise InputError(f"layout: expected one of {', '.join(LAYOUTS)}, found {self.layout!r}")
        for size in (*(self.input_shape or ()), *(() if self.classes is None else (self.classes,))):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise InputError(f"input_shape, classes: expected whole numbers of at least 1, found {size!r}")
        if len(self.input_shape or ()) > MAX_AXES:
            raise InputError(f"input_shape: expected at most {MAX_AXES} axes, found {len(self.input_shape or ())}")


@dataclass(frozen=True)
class Described:
    """A model behind an endpoint. remaining and the limits are None for servers that do not state them.

    fixed_batch: the only batch that the endpoint takes, None for any.
    """

    reveals: Reveals
    input: str
    datatype: str
    output: str
    input_shape: tuple[int, ...]
    classes: int
    layout: Layout
    remaining: int | None
    max_batch: int | None
    max_bytes: int | None
    fixed_batch: int | None = None


def described(metadata: Any, options: Options, url: str) -> Described:
    """The model that the metadata and the user's options describe.

    Raises:
        InputError: a required option is missing, or an option contradicts the metadata.
        EndpointProtocolError: the metadata is invalid.
    """
    options.check()
    if not isinstance(metadata, dict):
        raise EndpointProtocolError(f"{url}: expected the metadata of a model, found {type(metadata).__name__}")
    need_no_error(metadata, "inputs", "the metadata of a model", url)
    parameters = metadata.get("parameters")
    extra = parameters if isinstance(parameters, dict) and metadata.get("platform") == "bl_neuro" else {}
    input_tensor = _tensor(metadata, "inputs", options.input, url)
    output_tensor = _tensor(metadata, "outputs", options.output, url)
    reveals = _agreed("reveals", options.reveals, extra.get("reveals"), url)
    if reveals not in REVEALS:
        raise EndpointProtocolError(f"{url}: reveals {str(reveals)[:40]!r}, which is unknown")
    if options.layout is not None and extra.get("layout") not in (None, options.layout):
        raise InputError(f"layout: expected {str(extra['layout'])[:40]!r}, as {url} declares, found {options.layout!r}")
    layout: Any = options.layout or extra.get("layout") or "time_first"
    if layout not in LAYOUTS:
        raise EndpointProtocolError(
            f"{url}: layout: expected one of {', '.join(LAYOUTS)}, the endpoint declares {str(layout)[:40]!r}; state "
            "the layout yourself with layout= or --layout"
        )
    shape = options.input_shape or _sizes(input_tensor.get("shape", [])[LEADING_AXES[layout] :])
    if not shape:
        declared = str(input_tensor.get("shape", []))[:60]
        raise InputError(
            f"{url}: the shape of one frame does not follow from the declared shape {declared} with layout {layout}; "
            "give layout (--layout; rates for a model without a time axis) or input_shape (--input-shape)"
        )
    last = output_tensor.get("shape", [])[-1:]
    classes = options.classes or extra.get("classes") or (None if reveals == "label" else (_sizes(last) or (None,))[0])
    if not isinstance(classes, int) or isinstance(classes, bool) or not 1 <= classes <= MAX_CLASSES:
        raise InputError(f"{url}: the metadata does not contain the number of classes; give classes (--class-count)")
    _check_size(shape, classes, options, url)
    datatype = input_tensor.get("datatype", "FP32")
    if not isinstance(datatype, str) or datatype not in PROTOCOL:
        raise EndpointProtocolError(f"{url}: expected datatype {', '.join(PROTOCOL)}, found {str(datatype)[:40]!r}")
    return Described(
        reveals=reveals,
        input=input_tensor["name"],
        datatype=datatype,
        output=output_tensor["name"],
        input_shape=shape,
        classes=classes,
        layout=layout,
        remaining=_count(extra, "remaining"),
        max_batch=_count(extra, "max_batch"),
        max_bytes=_count(extra, "max_bytes"),
        fixed_batch=_fixed_batch(input_tensor.get("shape", []), layout, shape),
    )


def _check_size(shape: tuple[int, ...], classes: int, options: Options, url: str) -> None:
    """Refuses sizes that the endpoint declares and that would take much memory, unless the user states them."""
    if len(shape) > MAX_AXES:
        raise EndpointProtocolError(f"{url}: expected frames of at most {MAX_AXES} axes, found {len(shape)}")
    declared = options.classes is None and classes > DECLARED_CLASSES
    either = options.classes is None or options.input_shape is None
    if declared or (either and classes * math.prod(shape) > DECLARED_VALUES):
        raise InputError(
            f"{url}: the endpoint declares {classes} classes for inputs of shape {shape}, and an attack needs memory "
            "for all of them; if this is right, give classes (--class-count) and input_shape (--input-shape)"
        )


def _fixed_batch(declared: list[Any], layout: str, shape: tuple[int, ...]) -> int | None:
    """The size of the batch axis in a declared shape, None if it is not fixed."""
    axis = BATCH_AXES[layout]
    if len(declared) != LEADING_AXES[layout] + len(shape):
        return None
    return next(iter(_sizes(declared[axis : axis + 1])), None)


def _tensor(metadata: dict[str, Any], kind: str, requested: str | None, url: str) -> dict[str, Any]:
    """The input or output that the user requested, or the only one."""
    tensors = metadata.get(kind) or []
    if not isinstance(tensors, list) or not all(_is_tensor(tensor) for tensor in tensors):
        raise EndpointProtocolError(f"{url}: expected {kind} with names and shapes")
    names = [tensor["name"] for tensor in tensors]
    if requested is None and len(names) == 1:
        return dict(tensors[0])
    if requested is None:
        raise InputError(f"{url}: give the name of one of its {kind} ({_quoted(names) or 'it declares none'})")
    if names and requested not in names:
        raise InputError(f"{url}: expected one of its {kind} ({_quoted(names)}), found {requested!r}")
    return dict(tensors[names.index(requested)]) if names else {"name": requested}


def _quoted(names: list[str]) -> str:
    """Names for an error message, with terminal control characters escaped."""
    return ", ".join(repr(name[:100]) for name in names[:20])


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("shape", []), list)


def _agreed(option: str, requested: str | None, declared: Any, url: str) -> Any:
    if requested is None and declared is None:
        raise InputError(f"{url}: the metadata does not say what the output is; give {option} (scores: probabilities)")
    if requested is not None and declared is not None and requested != declared:
        raise InputError(f"{option}: expected {str(declared)[:40]!r}, as {url} declares, found {requested!r}")
    return requested or declared


def _sizes(shape: list[Any]) -> tuple[int, ...]:
    """The shape if all of its axes are known, else ()."""
    all_known = all(isinstance(size, int) and not isinstance(size, bool) and 0 < size < 2**31 for size in shape)
    return tuple(shape) if all_known else ()


def _count(parameters: dict[str, Any], name: str) -> int | None:
    value = parameters.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
