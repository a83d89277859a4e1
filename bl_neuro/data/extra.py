"""Modules that come with the extra `data`, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bl_neuro.errors import DataError


def need_extra(module: str) -> Any:
    """The module of that name.

    Raises:
        DataError: it is not installed, or does not import.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise DataError(
            f'{name} is needed for this data ({error}); install it with: pip install "bl-neuro[data]"'
        ) from error
