"""`[[endpoints]]`: substrates that are behind an endpoint of the Open Inference Protocol v2, see docs/serve.md."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from bl_neuro.access import Reveals
from bl_neuro.experiment.definition.experiment_part import Count, Name, Part

Text = Annotated[str, Field(min_length=1, max_length=4096)]
URL = r"^https?://[^\s@?#]+/v2/models/[^/?#\s]+(/versions/[^/?#\s]+)?/?$"


class EndpointPart(Part):
    """One of `[[endpoints]]`: a substrate of the experiment, by its name, that answers queries and nothing else.

    url: http(s)://host:port/v2/models/NAME. reveals: what it shows. token: the environment variable that holds the
    bearer token, where that is set; the token itself stands in no file. certificates: a PEM file of authorities, beside
    the experiment's. input, output, input_shape, classes, layout: as `bl_neuro.RemoteBlackBox` takes them; an input is
    shaped as the model's or the dataset's by default. tested: samples of the test part that are asked to measure its
    accuracy, which its budget pays for; 0 for none.

    Beside a `[model]` an endpoint is taken to serve that. Alone it is what is attacked: class_map, encoder,
    trained_on: as in `[model]`.
    """

    name: Name
    url: Annotated[str, Field(pattern=URL, max_length=2048)]
    reveals: Reveals
    token: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]{0,127}$")] = "BL_NEURO_TOKEN"
    certificates: Text | None = None
    input: Text | None = None
    output: Text | None = None
    input_shape: Annotated[list[Count], Field(min_length=1, max_length=3)] | None = None
    classes: Count | None = None
    layout: Literal["time_first", "batch_first", "rates"] | None = None
    tested: Annotated[int, Field(ge=0)] = 0
    class_map: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None
    encoder: Literal["rate", "held", "direct"] | None = None
    trained_on: Text | None = None

    @property
    def definition(self) -> dict[str, Any]:
        """What results depend on."""
        return self.model_dump(
            exclude={"name", "token", "certificates", "tested", "class_map", "encoder", "trained_on"}
        )
