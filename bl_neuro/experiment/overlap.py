"""How much of a target's training data its evaluators share, if this is known or stated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]


class Overlap(BaseModel):
    """How much of the target's training data the evaluators were trained or tested on."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    state: Literal["none", "all", "not known"] = Field(description="none: `shared` is 0. all: every sample is shared.")
    shared: Count | None = Field(description="Samples of evaluators that are among it; null where that is not known.")
    target_samples: Count | None = Field(description="Samples that targets were trained on; null where not known.")
    evaluator_samples: Count = Field(description="Samples that the evaluators were trained on.")
    test_samples: Count = Field(description="Samples that evaluators and targets were tested on.")
    class_means: Literal["training data", "dataset"] = Field(description="Of what the pictures of classes are means.")
    sentence: str
