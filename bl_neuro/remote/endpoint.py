"""Opens the black box behind the URL of an endpoint: for one attack, for the command line and for audits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from bl_neuro.access import Reveals
from bl_neuro.errors import InputError
from bl_neuro.remote.box import RemoteBlackBox
from bl_neuro.remote.described import Layout

TOKEN = "BL_NEURO_TOKEN"
"""The environment variable with the token of an endpoint."""
Box = TypeVar("Box", bound=RemoteBlackBox)


class EndpointOptions(TypedDict, total=False):
    """How to reach and read an endpoint; see `RemoteBlackBox`. Options that are missing or None have its defaults."""

    token: str | None
    input: str | None
    output: str | None
    input_shape: Sequence[int] | None
    classes: int | None
    layout: Layout | None
    certificates: str | Path | None
    session: str | None
    timeout_s: float | None
    patience_s: float | None


def is_url(model: object) -> bool:
    """Whether `model` is the URL of an endpoint instead of a file or an object."""
    return isinstance(model, str) and model.startswith(("http://", "https://"))


def open_endpoint(
    url: str,
    reveals: Reveals | None,
    budget: int | None,
    options: EndpointOptions | None,
    kind: type[Box],
    token_variable: str = TOKEN,
) -> Box:
    """Opens an endpoint as a box of this kind. Without a token among `options`, the environment variable has it.

    Raises:
        InputError: an unknown option. The other errors, and the warning, are those of `RemoteBlackBox`.
    """
    stated: Mapping[str, Any] = {name: value for name, value in (options or {}).items() if value is not None}
    known = list(EndpointOptions.__annotations__)
    unknown = [name for name in stated if name not in known]
    if unknown:
        raise InputError(f"endpoint: expected options among {', '.join(known)}, found {', '.join(map(str, unknown))}")
    values = {"token": os.environ.get(token_variable), **stated}
    if "certificates" in values:
        values["certificates"] = str(values["certificates"])
    if "input_shape" in values:
        values["input_shape"] = tuple(values["input_shape"])
    return kind(url, reveals=reveals, budget=budget, **values)
