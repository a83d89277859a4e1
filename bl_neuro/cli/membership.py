"""`bl-neuro membership`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bl_neuro.cli.endpoint_options import (
    Certificates,
    ClassCount,
    FileOrUrl,
    InputName,
    Layout,
    OutputName,
    Session,
    Token,
    endpoint_options,
    opened_subject,
)
from bl_neuro.cli.options import (
    Convention,
    Dt,
    Force,
    InputShape,
    Json,
    Layers,
    ListingCommand,
    Reset,
    Root,
    Seed,
    app,
    assignments,
    model_request,
)
from bl_neuro.reveals import REVEALS

if TYPE_CHECKING:
    from bl_neuro.arrays import BoolArray, IntArray
    from bl_neuro.membership.shadow_models import ShadowModels


@app.command(cls=ListingCommand)
def membership(
    model: FileOrUrl,
    dataset: Annotated[
        str, typer.Option("--dataset", help="Dataset whose samples are asked about (see train).", show_default=False)
    ],
    shadows: Annotated[
        Path | None,
        typer.Option(
            "--shadows",
            help="Folder of shadow networks: model files, and shadows.json with the samples that each was trained on. "
            "Needed by every attack but threshold.",
        ),
    ] = None,
    train_shadows: Annotated[
        int | None,
        typer.Option(
            "--train-shadows",
            help="First train this number of shadow networks (8 or more) into --shadows, each on a random half of the "
            "samples. Those that are there already are kept.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="With --train-shadows: a training setting as NAME=VALUE, such as hidden=[64]. Can be repeated. The "
            "more the training resembles that of the model, the stronger the attack.",
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option("--backend", help="Substrate that runs the model file and the shadow networks: {substrates}."),
    ] = "loihi",
    attack: Annotated[
        str,
        typer.Option(
            "--attack",
            help="lira (likelihood ratio), rmia (relative to other samples), lira_offline, rmia_offline (only by "
            "shadow networks that were not trained on a sample), or threshold (without shadow networks).",
        ),
    ] = "lira",
    reveals: Annotated[
        str | None,
        typer.Option(
            "--reveals",
            help=f"Output that a black box reveals: {', '.join(REVEALS)}. Default: counts, or scores if output neurons "
            "do not spike; for an endpoint, what it reveals.",
        ),
    ] = None,
    asks: Annotated[
        int, typer.Option("--asks", help="Number of queries about each sample, whose answers are averaged.")
    ] = 4,
    ask: Annotated[
        str,
        typer.Option(
            "--ask", help="Input of a query: plain (the sample), noise (added to pixels) or dropout (of spikes)."
        ),
    ] = "plain",
    size: Annotated[
        float | None,
        typer.Option(
            "--size", help="Standard deviation of the noise (default 0.1), or share of dropped spikes (default 0.5)."
        ),
    ] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", help="Total number of queries to the model. Default: no limit.")
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples",
            help="File with the indices of the samples to ask about (.txt, .json, .npy or .npz). Default: all of them.",
        ),
    ] = None,
    members: Annotated[
        Path | None,
        typer.Option(
            "--members",
            help="File with the indices of the samples that the model was trained on, to measure how well the attack "
            "works. The attack does not use them.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Number of time steps of an input. Default: that of the dataset.")
    ] = None,
    root: Root = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="JSON file for the result, with the score of every sample.")
    ] = None,
    force: Force = False,
    token: Token = None,
    input_name: InputName = None,
    output_name: OutputName = None,
    layout: Layout = None,
    certificates: Certificates = None,
    class_count: ClassCount = None,
    session: Session = None,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Find out which samples a model was trained on, from queries and shadow networks.

    Example: bl-neuro membership model.net --dataset digits --shadows shadows --train-shadows 16

    Every query to the model counts, several for each sample. Shadow networks run on this machine and cost no queries.
    """
    from contextlib import ExitStack

    from bl_neuro.api.membership import attack_membership
    from bl_neuro.api.membership_target import opened_membership_target
    from bl_neuro.api.progress import progress_bars
    from bl_neuro.cli.output import print_json, print_parts, say
    from bl_neuro.data import load_dataset
    from bl_neuro.files import need_free
    from bl_neuro.training.plans import plan_for

    options = endpoint_options(token, input_name, output_name, layout, certificates, class_count, session)
    request = model_request(Path(model), layers, input_shape, convention, dt, reset)
    if out is not None:
        need_free([out], force)
    with ExitStack() as stack:
        subject = stack.enter_context(opened_subject(request, model, options, {}))
        whole: Any = load_dataset(dataset, root)
        index = _indices(samples, len(whole.labels))
        data = whole if index is None else whole.subset(index)
        length = plan_for(whole.name).steps if steps is None else steps
        stages = stack.enter_context(progress_bars())
        networks = _shadows(
            shadows, train_shadows, settings, data, steps, seed, stages.stage("training shadow networks")
        )
        if networks is None:
            _need_none(attack)
        else:
            networks = _about(networks.on(backend), index, len(data.labels), len(whole.labels))
        target = stack.enter_context(
            opened_membership_target(
                subject.model,
                data,
                networks,
                substrate=backend,
                steps=length,
                reveals=reveals,  # type: ignore[arg-type]  # it checks them
                budget=budget,
                endpoint=subject.endpoint,
            )
        )
        result = attack_membership(
            target.box,
            data,
            length,
            target.shadows,
            attack,
            asks,
            ask,  # type: ignore[arg-type]  # it checks them
            size=size,
            members=_mask(members, len(whole.labels), index),
            encoder=target.encoder,
            class_map=target.class_map,
            seed=seed,
            progress=stages.stage(f"{attack} on {model}"),
        )
    if out is not None:
        result.save(out, force)
    if as_json:
        print_json(result.as_json)
        return
    if target.recognised is not None:
        say(f"The model {target.recognised.sentence}.")
    print_parts(result.text_parts())
    say("--out FILE writes the score of every sample." if out is None else f"Written: {out}")


def _shadows(
    folder: Path | None,
    count: int | None,
    settings: list[str] | None,
    data: Any,
    steps: int | None,
    seed: int,
    progress: Any,
) -> ShadowModels | None:
    """The shadow networks of the folder, some of which may be trained first."""
    from bl_neuro.api.membership import train_shadows
    from bl_neuro.errors import InputError
    from bl_neuro.experiment.training_plans import target_plan
    from bl_neuro.membership.shadow_files import load_shadows

    if count is None:
        if settings:
            raise InputError("--set: settings of a training apply only with --train-shadows; leave them out")
        return None if folder is None else load_shadows(folder)
    if folder is None:
        raise InputError("--train-shadows: expected a folder for these networks, --shadows FOLDER")
    plan = target_plan(data.name, steps, {name: _value(text) for name, text in assignments(settings)})
    return train_shadows(data, plan, out=folder, networks=count, seed=seed, progress=progress)


def _need_none(attack: str) -> None:
    """Raises InputError if the attack needs shadow networks."""
    from bl_neuro.errors import InputError
    from bl_neuro.leakage.membership_attacks import MEMBERSHIP_ATTACKS, WITHOUT_SHADOWS

    if attack in MEMBERSHIP_ATTACKS and attack not in WITHOUT_SHADOWS:
        raise InputError(
            f"--shadows: attack {attack} compares the model with shadow networks; give their folder, with "
            "--train-shadows 16 to train them first, or choose --attack threshold"
        )


def _about(networks: ShadowModels, index: IntArray | None, asked: int, size: int) -> ShadowModels:
    """The shadow networks with their members among the `asked` samples, those at `index` of a dataset of this size.

    Raises:
        InputError: their members are known among other samples.
    """
    from bl_neuro.errors import InputError

    if index is not None and networks.samples == size:
        return networks.subset(index)
    if networks.samples != asked:
        raise InputError(
            f"--samples: expected the {networks.samples:,} samples among which the members of the shadow networks are "
            f"known, found {asked:,}; give the --samples with which they were trained"
        )
    return networks


def _value(text: str) -> Any:
    """The value of a setting: JSON or a plain text."""
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _indices(path: Path | None, count: int) -> IntArray | None:
    from bl_neuro.data.sample_indices import read_sample_indices

    return None if path is None else read_sample_indices(path, count)


def _mask(path: Path | None, count: int, index: IntArray | None) -> BoolArray | None:
    """The members among the attacked samples."""
    import numpy as np

    trained = _indices(path, count)
    if trained is None:
        return None
    mask: BoolArray = np.isin(np.arange(count), trained)
    return mask if index is None else mask[index]
