"""What the tables of an experiment's file have in common, and the types of values that stand in several of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bl_neuro.access import Reveals
from bl_neuro.checks import MAX_STEPS
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.part import Count, Name, Names, Part, Restarts, Seed, Seeds, SettingsPart
from bl_neuro.network import Readout
from bl_neuro.settings import with_settings
from bl_neuro.training.registry import EVALUATORS

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


class DatasetPart(Part):
    """`[dataset]`.

    split: "three-way" or "official", by `split_seed`, with the parts' sizes for an official one: evaluators learn from
    samples that no target saw. "shared": targets and evaluators all learn from the whole official training part, as the
    BrainLeaks authors do. "whole": targets, evaluators and tests all use the same samples, to try out a pipeline on
    data too few to divide; no leakage is measured. size: height and width that faces or a folder of images are scaled
    to.
    """

    name: Annotated[str, Field(min_length=1, max_length=4096)]
    split: Literal["three-way", "official", "shared", "whole"] = "three-way"
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


class EvaluatorPart(SettingsPart):
    """One of `[[evaluators]]`: the name of an evaluator, the seed of its training, and settings of its own.

    kind: the name of any registered evaluator (`bl_neuro.training.EVALUATORS`). label: what tables call it, its kind by
    default. data: what it is trained on, the "evaluator" part of the data, which no target saw, or the "target" part,
    which targets are trained on, as the BrainLeaks authors do.
    """

    kind: str
    label: Name | None = None
    seed: Seed = 0
    data: Literal["evaluator", "target"] = "evaluator"

    @classmethod
    def settings_class(cls, kind: str) -> type[Any]:
        """See `SettingsPart.settings_class`."""
        return EVALUATORS.find(kind).Settings

    @property
    def called(self) -> str:
        """What tables call it."""
        return self.label or self.kind

    @property
    def definition(self) -> dict[str, Any]:
        """What results depend on beside the data and the steps."""
        own = with_settings(self.settings_class(self.kind), self.settings).definition()
        other_data = {} if self.data == "evaluator" else {"trained_on": self.data}
        return {"evaluator": self.kind, "seed": self.seed, **own, **other_data}


class AttackPart(Part):
    """One of `[[attacks]]`: an attack by its name, a preset (such as "for_mnist") and settings on top of it.

    label: what tables call it, its name by default. reveals: what a black box shows, one row each. budget: queries a
    box answers in all; as many as the settings ask for by default. restarts, substrates: those of the experiment by
    default. Substrates without gradients, or that show no membrane, are left out where it takes these. twin: the
    substrate of the attacker's own copy of the network, for an attack that needs one, such as "transfer".
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

    attacks: labels of those that are run, by default all but those on ANN twins. reveals: what their boxes show, by
    default all. target: settings of its training on top of `[target]`.
    """

    kind: Literal["untrained", "shuffled_labels"]
    seeds: Seeds | None = None
    restarts: Restarts | None = None
    attacks: Names | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
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
    options: by substrate, how targets are opened on it for accuracies and attacks, such as {snntorch = {precision =
    "float32"}}. target: how targets are trained: `trainer`, "default" or "authors" (as the BrainLeaks authors train
    theirs), and settings of that trainer's plan on top of what suits the dataset. twin: the same of the ANN twins, one
    a target, that attacks on networks without spikes take (`attack = "ann"`): `trainer`, "default" or "authors".
    skip_missing: leave out substrates whose framework is not installed, instead of failing on them; the findings say
    which, and why.
    """

    name: Name
    description: str = ""
    seeds: Seeds | None = None
    restarts: Restarts = 1
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = None
    classes: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.1
    substrates: Names
    skip_missing: bool = False
    dataset: DatasetPart
    model: ModelPart | None = None
    verify: Annotated[list[str], Field(min_length=2)] | None = None
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    target: dict[str, Any] = Field(default_factory=dict)
    twin: dict[str, Any] = Field(default_factory=dict)
    evaluators: Annotated[list[EvaluatorPart], Field(min_length=1)]
    attacks: Annotated[list[AttackPart], Field(min_length=1)]
    controls: list[ControlPart] = Field(default_factory=list)
    replays: list[ReplayPart] = Field(default_factory=list)
    ladder: LadderPart | None = None
    mitigations: list[MitigationPart] = Field(default_factory=list)
    endpoints: list[EndpointPart] = Field(default_factory=list)

    def __repr__(self) -> str:
        count = len(self.target_seeds)
        subject = "a given model" if self.given else f"{count} target seed{'' if count == 1 else 's'}"
        attacks, substrates = ", ".join(attack.called for attack in self.attacks), ", ".join(self.substrates)
        return f"<Experiment {self.name}: {self.dataset.name}, {subject}, attacks {attacks} on {substrates}>"

    __str__ = __repr__

    @property
    def given(self) -> bool:
        """Whether what is attacked is not trained here: a model's file, or what an endpoint serves."""
        return self.model is not None or bool(self.endpoints)

    @property
    def target_seeds(self) -> list[int]:
        """Seeds of the targets; what is given is one target."""
        return [0] if self.given else list(self.seeds or [])


EXPERIMENTS = Path(__file__).parent / "shipped"
"""The folder of ready-made experiments."""
