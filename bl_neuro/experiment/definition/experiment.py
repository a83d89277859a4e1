"""An experiment, as a TOML file says it: what is attacked, where, how, how often, and who judges it.

    name = "digits"
    seeds = 12                                  # target seeds 0..11; or a list of them
    restarts = 2                                # inversions of each class, attack and target
    substrates = ["snntorch", "norse", "loihi"]
    margin = 0.1                                # differences of attack accuracy up to this are no difference

    [dataset]
    name = "digits"                             # or mnist, att_faces, ..., an .npz file, a folder of images a class

    [[evaluators]]                              # the first is the judge; others stand beside it
    kind = "conv"

    [[attacks]]
    attack = "v2"
    reveals = ["scores", "counts", "label"]
    settings = { queries = 640, window = 3.0 }

    [[controls]]
    kind = "shuffled_labels"                    # or "untrained"
    attacks = ["v2"]
    substrates = ["loihi"]

    [[replays]]                                 # cells of loihi run once more on lava: are they the same, bit for bit?
    substrate = "lava"
    of = "loihi"
    attacks = ["v2"]
    reveals = ["counts"]
    seeds = 2

    [ladder]                                    # which step from float to deployed changes leakage?
    attacks = ["v1", "v2"]

    [[endpoints]]                               # a substrate that is behind an endpoint, see `EndpointPart`
    name = "chip"                               # as in substrates
    url = "https://host:8000/v2/models/digits"
    reveals = "counts"

    [[mitigations]]                             # what could be done about it, at what cost? See `MitigationPart`.
    kind = "noise"
    sd = 0.1
    reveals = ["scores"]

Settings of `[target]` go on top of the plan for the dataset. In its place `[model]` names a file that is attacked as it
is, or an endpoint whose network nobody here has stands alone. Times of an input, `steps`, are those of the plan unless
they are given. Ready-made experiments: `EXPERIMENTS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bl_neuro.access import Reveals
from bl_neuro.checks import MAX_STEPS
from bl_neuro.experiment.definition.endpoint_part import EndpointPart
from bl_neuro.experiment.definition.experiment_part import Count, Name, Names, Part, Restarts, Seed, Seeds
from bl_neuro.experiment.definition.mitigation_part import MitigationPart
from bl_neuro.network import Readout


class DatasetPart(Part):
    """`[dataset]`. split: "three-way" or "official", by `split_seed`; the parts' sizes for an official one.

    size: height and width that faces or a folder of images are scaled to.
    """

    name: Annotated[str, Field(min_length=1, max_length=4096)]
    split: Literal["three-way", "official"] = "three-way"
    split_seed: Seed = 0
    size: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    target: Count | None = None
    evaluator: Count | None = None
    test: Count | None = None


class ModelPart(Part):
    """`[model]`: a file that is attacked, beside the experiment's unless its path is absolute.

    encoder: how images become its inputs where its accuracy is measured: "rate" by default, "direct" where it takes
    currents. input_range: of such currents, what pixels 0 and 1 stand for; it becomes a part of the network, which then
    takes pixels. readout: how it names its class, as its file says by default. class_map: the class of the dataset that
    each output stands for; the same number by default. `recognise` tells what of this fits a dataset best.
    layers, input_shape, convention, dt, reset: as `bl_neuro.load` takes them. trained_on: the samples of the dataset
    that it was trained on, as far as the user knows: "train" for the official training part, or a file of their
    indices, see `read_sample_indices`; evaluators and tests then use other samples alone.
    """

    file: Annotated[str, Field(min_length=1, max_length=4096)]
    encoder: Literal["rate", "held", "direct"] | None = None
    input_range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    readout: Readout | None = None
    class_map: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None
    layers: Count | None = None
    input_shape: Annotated[list[Count], Field(min_length=1, max_length=3)] | None = None
    convention: Literal["snntorch", "norse", "nir"] | None = None
    dt: Annotated[float, Field(gt=0)] | None = None
    reset: Literal["subtract_delayed", "zero"] | None = None
    trained_on: Annotated[str, Field(min_length=1, max_length=4096)] | None = None


class EvaluatorPart(Part):
    """One of `[[evaluators]]`: its kind, the seed and perhaps the epochs of its training."""

    kind: Literal["conv", "spiking"]
    seed: Seed = 0
    epochs: Annotated[int, Field(ge=0)] | None = None


class AttackPart(Part):
    """One of `[[attacks]]`: an attack by its name, a preset (such as "for_mnist") and settings on top of it.

    label: what tables call it, its name by default. reveals: what a black box shows, one row each. budget: queries a
    box answers in all; as many as the settings ask for by default. restarts, substrates: those of the experiment by
    default. Substrates without gradients, or that show no membrane, are left out where it takes these. twin: the
    substrate of a transfer attack's copy.
    """

    attack: str
    label: Name | None = None
    preset: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    budget: Count | None = None
    restarts: Restarts | None = None
    substrates: Names | None = None
    twin: str = "snntorch"

    @property
    def called(self) -> str:
        """What tables call it."""
        return self.label or self.attack


class ControlPart(Part):
    """One of `[[controls]]`: targets that learned no true label, attacked as the others are.

    attacks: labels of those that are run; all by default. target: settings of its training on top of `[target]`.
    """

    kind: Literal["untrained", "shuffled_labels"]
    seeds: Seeds | None = None
    restarts: Restarts | None = None
    attacks: Names | None = None
    substrates: Names | None = None
    target: dict[str, Any] = Field(default_factory=dict)


class ReplayPart(Part):
    """One of `[[replays]]`: black-box attacks on substrate `of`, run once more on `substrate`, which computes the same.

    What comes out is compared to the last bit: inversions, course, every query and every answer. Where all is the same,
    `substrate` has what was measured on `of`. seeds: of the experiment's; all by default. attacks: labels, every
    black-box attack by default. reveals: all that they reveal by default. restarts: the first so many.
    """

    substrate: str = "lava"
    of: str = "loihi"
    seeds: Seeds | None = None
    attacks: Names | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    restarts: Restarts = 1


class LadderPart(Part):
    """`[ladder]`: the same network deployed a step at a time, see `bl_neuro.deploy.ladder`, then shown less and less.

    attacks: labels, all by default. seeds, restarts: of the experiment's, all by default. real, loihi: substrates that
    compute in real numbers and in Loihi's. reveals: what a black box shows on the way from float to Loihi, by default
    the most that its attack has.
    """

    attacks: Names | None = None
    seeds: Seeds | None = None
    restarts: Restarts | None = None
    real: str = "snntorch"
    loihi: str = "loihi"
    reveals: Reveals | None = None


class Experiment(Part):
    """The whole file; see the module.

    verify: substrates on which a target runs and is compared layer by layer, on what attacks found beside other inputs.
    """

    name: Name
    description: str = ""
    seeds: Seeds | None = None
    restarts: Restarts = 1
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = None
    classes: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.1
    substrates: Names
    dataset: DatasetPart
    model: ModelPart | None = None
    verify: Annotated[list[str], Field(min_length=2)] | None = None
    target: dict[str, Any] = Field(default_factory=dict)
    evaluators: Annotated[list[EvaluatorPart], Field(min_length=1)]
    attacks: Annotated[list[AttackPart], Field(min_length=1)]
    controls: list[ControlPart] = Field(default_factory=list)
    replays: list[ReplayPart] = Field(default_factory=list)
    ladder: LadderPart | None = None
    mitigations: list[MitigationPart] = Field(default_factory=list)
    endpoints: list[EndpointPart] = Field(default_factory=list)

    @property
    def given(self) -> bool:
        """Whether what is attacked is not trained here: a model's file, or what an endpoint serves."""
        return self.model is not None or bool(self.endpoints)

    @property
    def target_seeds(self) -> list[int]:
        """Seeds of the targets; what is given is one target."""
        return [0] if self.given else list(self.seeds or [])


EXPERIMENTS = Path(__file__).parents[1] / "shipped"
"""The folder of ready-made experiments."""
