"""What an endpoint says of its model, and what the user says where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from bl_neuro.access import REVEALS, Reveals
from bl_neuro.errors import EndpointProtocolError, InputError
from bl_neuro.remote.tensors import PROTOCOL

Layout = Literal["time_first", "batch_first", "rates"]
LAYOUTS: tuple[str, ...] = get_args(Layout)
TIMED: dict[str, int] = {"time_first": 2, "batch_first": 2, "rates": 1}
"""How many axes of an input are in front of one frame."""
MOST_CLASSES = 2**20


@dataclass(frozen=True)
class Wishes:
    """What the user says; None where the endpoint is to say it. See `RemoteBlackBox`."""

    reveals: str | None = None
    input: str | None = None
    output: str | None = None
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    layout: str | None = None

    def check(self) -> None:
        """InputError where one cannot be."""
        if self.reveals is not None and self.reveals not in REVEALS:
            raise InputError(f"reveals: expected one of {', '.join(REVEALS)}, found {self.reveals!r}")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise InputError(f"layout: expected one of {', '.join(LAYOUTS)}, found {self.layout!r}")
        for size in (*(self.input_shape or ()), *(() if self.classes is None else (self.classes,))):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise InputError(f"input_shape, classes: expected whole numbers of at least 1, found {size!r}")


@dataclass(frozen=True)
class Described:
    """A model behind an endpoint. Of ours, remaining and the limits are known; of others they are None."""

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


def described(metadata: Any, wishes: Wishes, where: str) -> Described:
    """The model of this metadata.

    Raises:
        InputError: it leaves something open that the user must say, or says otherwise than the user.
        EndpointProtocolError: it is no metadata.
    """
    wishes.check()
    if not isinstance(metadata, dict):
        raise EndpointProtocolError(f"{where}: expected the metadata of a model")
    said = metadata.get("parameters")
    ours = said if isinstance(said, dict) and metadata.get("platform") == "bl_neuro" else {}
    given = _tensor(metadata, "inputs", wishes.input, where)
    shown = _tensor(metadata, "outputs", wishes.output, where)
    reveals = _agreed("reveals", wishes.reveals, ours.get("reveals"), where)
    if reveals not in REVEALS:
        raise EndpointProtocolError(f"{where}: reveals {str(reveals)[:40]!r}, which is not known here")
    if wishes.layout is not None and ours.get("layout") not in (None, wishes.layout):
        raise InputError(f"layout: {where} takes {str(ours['layout'])[:40]!r}, found {wishes.layout!r}")
    layout: Any = wishes.layout or ours.get("layout") or "time_first"
    if layout not in LAYOUTS:
        raise EndpointProtocolError(f"{where}: layout {str(layout)[:40]!r} is not known here")
    shape = wishes.input_shape or _sizes(given.get("shape", [])[TIMED[layout] :])
    if not shape:
        stated = str(given.get("shape", []))[:60]
        raise InputError(
            f"{where}: how large an input is does not follow from its shape {stated} with layout {layout}; give "
            "layout (--layout; rates for a model that knows no time) or input_shape (--input-shape)"
        )
    last = shown.get("shape", [])[-1:]
    classes = wishes.classes or ours.get("classes") or (None if reveals == "label" else (_sizes(last) or (None,))[0])
    if not isinstance(classes, int) or isinstance(classes, bool) or not 1 <= classes <= MOST_CLASSES:
        raise InputError(f"{where}: does not say how many classes there are; give classes (--class-count)")
    datatype = given.get("datatype", "FP32")
    if not isinstance(datatype, str) or datatype not in PROTOCOL:
        raise EndpointProtocolError(f"{where}: takes {str(datatype)[:40]!r}; expected one of {', '.join(PROTOCOL)}")
    return Described(
        reveals=reveals,
        input=given["name"],
        datatype=datatype,
        output=shown["name"],
        input_shape=shape,
        classes=classes,
        layout=layout,
        remaining=_count(ours, "remaining"),
        max_batch=_count(ours, "max_batch"),
        max_bytes=_count(ours, "max_bytes"),
    )


def _tensor(metadata: dict[str, Any], kind: str, wanted: str | None, where: str) -> dict[str, Any]:
    """The input or output that the user named, or the only one."""
    listed = metadata.get(kind) or []
    if not isinstance(listed, list) or not all(_is_tensor(each) for each in listed):
        raise EndpointProtocolError(f"{where}: expected {kind} with names and shapes")
    names = [each["name"] for each in listed]
    if wanted is None and len(names) == 1:
        return dict(listed[0])
    if wanted is None:
        raise InputError(f"{where}: name one of its {kind} ({_shown(names) or 'it names none'})")
    if names and wanted not in names:
        raise InputError(f"{where}: expected one of its {kind} ({_shown(names)}), found {wanted!r}")
    return dict(listed[names.index(wanted)]) if names else {"name": wanted}


def _shown(names: list[str]) -> str:
    """For a message: what drives a terminal is escaped."""
    return ", ".join(repr(name[:100]) for name in names[:20])


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("shape", []), list)


def _agreed(what: str, wished: str | None, said: Any, where: str) -> Any:
    if wished is None and said is None:
        raise InputError(f"{where}: does not say what its output is; give {what} (scores for probabilities)")
    if wished is not None and said is not None and wished != said:
        raise InputError(f"{what}: {where} shows {str(said)[:40]!r}, found {wished!r}")
    return wished or said


def _sizes(shape: list[Any]) -> tuple[int, ...]:
    """A shape that is known to the last axis, else nothing."""
    known = all(isinstance(size, int) and not isinstance(size, bool) and 0 < size < 2**31 for size in shape)
    return tuple(shape) if known else ()


def _count(said: dict[str, Any], name: str) -> int | None:
    value = said.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
