"""The tables of an experiment file, each as a model with its documentation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from bl_neuro.access import Reveals
from bl_neuro.checks import MAX_STEPS
from bl_neuro.data.split import SplitKind
from bl_neuro.experiment.auxiliary_part import AuxiliaryPart
from bl_neuro.experiment.membership_part import MembershipPart
from bl_neuro.experiment.mitigation_part import MitigationPart
from bl_neuro.experiment.part import Count, Name, Names, Part, Restarts, Seed, Seeds, SettingsPart
from bl_neuro.experiment.secrets_part import SecretsPart
from bl_neuro.network import Readout
from bl_neuro.settings import with_settings
from bl_neuro.training.registry import EVALUATORS

Text = Annotated[str, Field(min_length=1, max_length=4096)]
URL = r"^https?://[^\s@?#]+/v2/models/[^/?#\s]+(/versions/[^/?#\s]+)?/?$"


class EndpointPart(Part):
    """`[[endpoints]]`: a named substrate of the experiment that only answers queries.

    url: http(s)://host:port/v2/models/NAME. reveals: the output that it reveals. token: name of the environment
    variable that contains the bearer token, starting with BL_NEURO_, so that a file cannot send other secrets; files
    never contain the token itself. certificates: PEM file of certificate
    authorities, relative to the experiment file. input, output, input_shape, classes, layout: as in
    `bl_neuro.RemoteBlackBox`; the input shape defaults to that of the model or the dataset. tested: number of test
    samples for measuring its accuracy, which count against its budget; 0 for none.

    With a `[model]`, the endpoint is assumed to serve that model. Without one, the endpoint is attacked; class_map,
    encoder and trained_on are then as in `[model]`.
    """

    name: Name
    url: Annotated[str, Field(pattern=URL, max_length=2048)]
    reveals: Reveals
    token: Annotated[str, Field(pattern=r"^BL_NEURO_[A-Z0-9_]{1,118}$")] = "BL_NEURO_TOKEN"
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
        """Everything that the results depend on."""
        return self.model_dump(
            exclude={"name", "token", "certificates", "tested", "class_map", "encoder", "trained_on"}
        )


class DatasetPart(Part):
    """`[dataset]`: the dataset and how it is split.

    split: "three-way" or "official" (with the seed `split_seed`, and the sizes of the parts for "official"): evaluators
    train on samples that no target saw. "shared": targets and evaluators train on the whole official training set, as
    in BrainLeaks. "whole": targets, evaluators and tests use the same samples, only for trying out a pipeline on little
    data; this does not measure leakage. size: height and width that images of att_faces or of a folder are scaled to.
    redraw: whether each target seed draws its own split and trains its own evaluators, so that intervals over target
    seeds cover the choice of the data and of the judge, and not only the training of the targets and the attacks. False
    by default, since every evaluator is then trained once for each seed. For "three-way" and "official" splits of
    targets that the audit trains; `[secrets]` and `[membership]` are not affected.
    classes: numbers of the classes to use, for example some of the people of att_faces; the samples of others are left
    out, and class k is then the k-th in this list. By default all.
    """

    name: Annotated[str, Field(min_length=1, max_length=4096)]
    split: SplitKind = "three-way"
    split_seed: Seed = 0
    size: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    target: Count | None = None
    evaluator: Count | None = None
    test: Count | None = None
    redraw: bool = False
    classes: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2)] | None = None

    @property
    def definition(self) -> dict[str, Any]:
        """How the samples are chosen and split; the dataset itself is identified by its name and digest."""
        chosen = {} if self.classes is None else {"classes": self.classes}
        return {**self.model_dump(exclude={"name", "size", "classes", "redraw"}), **chosen}


class ModelPart(Part):
    """`[model]`: the model file to attack, relative to the experiment file.

    encoder: how images become inputs when its accuracy is measured: "rate" by default, "direct" for current inputs.
    input_range: the currents of pixel values 0 and 1; it becomes part of the network, which then takes pixels. readout:
    how the class is read, by default as in the file. class_map: the class of each output; by default its own number.
    `recognise` infers these values on a dataset. layers, input_shape, convention, dt, reset: as in `bl_neuro.load`.
    trained_on: the samples that the model was trained on, if known: "train" for the official training set, or a file of
    sample indices (see `read_sample_indices`). Evaluators and tests then use other samples only.
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
    """`[[evaluators]]`: the kind of an evaluator, the seed of its training, and its settings.

    kind: the name of a registered evaluator (`bl_neuro.training.EVALUATORS`). label: its name in tables, by default its
    kind. data: what it is trained on: the "evaluator" part of the data, which no target saw, or the "target" part that
    targets are trained on, as in BrainLeaks.
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
        """The name in tables."""
        return self.label or self.kind

    @property
    def definition(self) -> dict[str, Any]:
        """Everything that the results depend on, except the data and the number of steps."""
        own = with_settings(self.settings_class(self.kind), self.settings).definition()
        other_data = {} if self.data == "evaluator" else {"trained_on": self.data}
        return {"evaluator": self.kind, "seed": self.seed, **own, **other_data}


class AttackPart(Part):
    """`[[attacks]]`: the name of an attack, a preset (such as "for_mnist") and settings.

    label: name of the attack in tables. Default: the value of `attack`. reveals: the outputs that black boxes reveal,
    one row each. budget: total number of queries per box, to which the settings that are not stated are adapted.
    Default: what the settings need. restarts, substrates: default those of the experiment. Substrates without the
    gradients or membrane potential that the attack needs are left out. twin: substrate of the attacker's copy of the
    network, for attacks such as "transfer".
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
        """The name in tables."""
        return self.label or self.attack


class ControlPart(Part):
    """`[[controls]]`: targets without true labels, attacked like the others.

    attacks: labels of the attacks to run, by default all except those on ANN twins. reveals: by default all outputs.
    target: training settings that override `[target]`.
    """

    kind: Literal["untrained", "shuffled_labels"]
    seeds: Seeds | None = None
    restarts: Restarts | None = None
    attacks: Names | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    substrates: Names | None = None
    target: dict[str, Any] = Field(default_factory=dict)


class ReplayPart(Part):
    """`[[replays]]`: repeats black-box attacks on substrate `of` on `substrate`, which should give the same results.

    Inversions, trace, queries and answers are compared bit by bit. If all are identical, the results on `of` also apply
    to `substrate`. seeds: target seeds, by default all of the experiment. attacks: labels, by default all black-box
    attacks. reveals: by default all outputs that they use. restarts: number of first restarts to repeat.
    """

    substrate: str = "lava"
    of: str = "loihi"
    seeds: Seeds | None = None
    attacks: Names | None = None
    reveals: Annotated[list[Reveals], Field(min_length=1)] | None = None
    restarts: Restarts = 1


class LadderPart(Part):
    """`[ladder]`: deploys the same network step by step (see `bl_neuro.deploy.ladder`), then reveals less and less.

    attacks: labels, by default all. seeds, restarts: by default all of the experiment. real, loihi: substrates for
    floating-point and for Loihi's arithmetic. reveals: the output that a black box reveals during the steps from float
    to Loihi, by default the most informative one of its attack.
    """

    attacks: Names | None = None
    seeds: Seeds | None = None
    restarts: Restarts | None = None
    real: str = "snntorch"
    loihi: str = "loihi"
    reveals: Reveals | None = None


class Experiment(Part):
    """An experiment file.

    verify: substrates on which a target is compared layer by layer, with inversions among its inputs. options: by
    substrate, the options for opening targets, such as {snntorch = {precision = "float32"}}. target: how targets are
    trained: `trainer`, "default" or "authors" (as by the BrainLeaks authors), and settings that override the trainer's
    plan for the dataset. twin: the same for ANN twins, one per target, which attacks on networks without spikes need
    (`attack = "ann"`). attacks, evaluators: may be left out with `[secrets]` or `[membership]`. skip_missing: leave out
    substrates whose framework is not installed instead of raising an error; the findings list them with the reason.
    baselines: names of zero-query baselines, by default all that apply; [] for none. margin_share: the largest
    difference of attack accuracy that counts as equivalent, as a share of the range from the best attacker who asks
    nothing to the evaluator's accuracy on real samples; a fifth, as for membership, so that equivalent substrates keep
    four fifths of what an attack can gain. margin: the same in 0..1, instead of a share.
    """

    name: Name
    description: str = ""
    seeds: Seeds | None = None
    restarts: Restarts = 1
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = None
    classes: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    margin_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    substrates: Names
    skip_missing: bool = False
    dataset: DatasetPart
    model: ModelPart | None = None
    verify: Annotated[list[str], Field(min_length=2)] | None = None
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    target: dict[str, Any] = Field(default_factory=dict)
    twin: dict[str, Any] = Field(default_factory=dict)
    evaluators: list[EvaluatorPart] = Field(default_factory=list)
    attacks: list[AttackPart] = Field(default_factory=list)
    controls: list[ControlPart] = Field(default_factory=list)
    replays: list[ReplayPart] = Field(default_factory=list)
    ladder: LadderPart | None = None
    mitigations: list[MitigationPart] = Field(default_factory=list)
    endpoints: list[EndpointPart] = Field(default_factory=list)
    membership: MembershipPart | None = None
    auxiliary: AuxiliaryPart | None = None
    baselines: list[str] | None = None
    secrets: SecretsPart | None = None

    def __repr__(self) -> str:
        count = len(self.target_seeds)
        subject = "a given model" if self.given else f"{count} target seed{'' if count == 1 else 's'}"
        named = [*self.attacks, *(self.secrets.attacks if self.secrets else ())]
        attacks, substrates = ", ".join(attack.called for attack in named), ", ".join(self.substrates)
        measured = [subject, f"attacks {attacks}"] if named else []
        if self.membership is not None:
            measured.append(f"membership in {self.membership.networks} networks")
        return f"<Experiment {self.name}: {self.dataset.name}, {', '.join(measured)} on {substrates}>"

    __str__ = __repr__

    @property
    def given(self) -> bool:
        """Whether a model file or an endpoint is attacked instead of targets that the audit trains."""
        return self.model is not None or bool(self.endpoints)

    @property
    def target_seeds(self) -> list[int]:
        """Seeds of the targets. A model file or endpoint counts as one target."""
        return [0] if self.given else list(self.seeds or [])
