"""Samples whose labels are outputs of a network instead of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bl_neuro.data.samples import Samples
from bl_neuro.errors import InputError


def as_outputs(samples: Samples, class_map: Sequence[int] | None, outputs: int, name: str) -> Samples:
    """The samples with the output of their class as label. class_map: the class of each output, by default its number.

    name: of the network in errors.

    Raises:
        InputError: a map that does not name a class for each output, or samples of a class without an output.
    """
    classes = list(range(outputs)) if class_map is None else [int(label) for label in class_map]
    if len(classes) != outputs or len(set(classes)) != outputs or min(classes) < 0:
        raise InputError(
            f"class_map of {name}: expected a different class for each of {outputs} outputs, found {classes}"
        )
    missing = sorted(set(np.unique(samples.labels).tolist()) - set(classes))
    if missing:
        raise InputError(
            f"samples: expected only classes that an output of {name} stands for ({sorted(classes)}), found class "
            f"{missing[0]}; leave these samples out, or state the class of each output as class_map"
        )
    if classes == sorted(classes) == list(range(outputs)):
        return samples
    places = np.zeros(max(classes) + 1, dtype=np.int64)
    places[classes] = np.arange(outputs)
    # Any: `replace` takes dataclasses, which every kind of samples is, and the protocol does not say
    plain: Any = samples
    relabelled: Samples = replace(plain, labels=places[samples.labels].astype(samples.labels.dtype))
    return relabelled
