"""Reads the attributes of foreign models, which may raise any error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bl_neuro.errors import NetworkError, Unsupported


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Names the layer whose attributes, which may be anything in a model of a user, raise errors while they are read.

    Raises:
        NetworkError: the layer could not be read.
    """
    try:
        yield
    except (NetworkError, Unsupported):
        raise
    except Exception as error:  # an attribute of the user's own type may raise anything
        raise NetworkError([f"{name}: its parameters cannot be read ({type(error).__name__}: {error})"]) from error
