"""`[auxiliary]` of an experiment: public data that the attacker holds, besides the access to the target.

    [auxiliary]
    name = "mnist"          # a dataset, an .npz file, or a folder of images, as in [dataset]

Baselines that send no query use it, and so do attacks with a prior from public data. It is resized to the images of the
target's dataset, and its classes are matched to those of the dataset by their names.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bl_neuro.experiment.part import Count, Part


class AuxiliaryPart(Part):
    """`[auxiliary]`: the public data of the attacker.

    name: a dataset, or the path of an .npz file or of a folder, relative to the experiment file, as in `[dataset]`; it
    must not be the dataset of the targets. size: height and width that images of att_faces or of a folder are loaded
    in. samples: number of images that are used; of a larger set, as many at random.
    """

    name: Annotated[str, Field(min_length=1, max_length=4096)]
    size: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    samples: Count = 10_000
