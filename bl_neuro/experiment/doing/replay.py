"""Is an attack that was run once more the same as the first, to the last bit?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bl_neuro.attacks import Inversions
from bl_neuro.errors import ModelFileError


def differences(again: Inversions, digest: str | None, kept: Path, measures: dict[str, Any]) -> list[str]:
    """What of `again` is not as it was: of "inversions", "course", "queries", "status" and "answers"; at best nothing.

    digest: of all that was asked and answered, see `RecordedBox`. kept, measures: tensors and measures of the first.

    Raises:
        ModelFileError: the first's inversions cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        first = load_file(kept)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{kept}: not readable inversions ({error})") from error
    trace = again.trace
    course = {"queries": trace.queries, "objective": trace.objective, "rates": trace.rates}
    equal = {
        "inversions": torch.equal(first["spikes"], again.spikes) and torch.equal(first["classes"], again.classes),
        "course": all(torch.equal(first[f"trace.{name}"], value) for name, value in course.items()),
        "queries": measures["queries"] == again.queries,
        "status": measures["status"] == again.status.value,
        "answers": measures["answers"] == digest,
    }
    return [name for name, same in equal.items() if not same]
