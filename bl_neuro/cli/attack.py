"""`bl-neuro attack`."""

from __future__ import annotations

import sys
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
    REVEALED,
    Convention,
    Dt,
    Force,
    InputRange,
    InputShape,
    Json,
    Layers,
    ListingCommand,
    Reset,
    Root,
    Seed,
    Steps,
    app,
    assignments,
    model_request,
    numbers,
)

if TYPE_CHECKING:
    from bl_neuro.api.attack_result import AttackResult
    from bl_neuro.attacks import Attack


@app.command(cls=ListingCommand)
def attack(
    model: FileOrUrl,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend", help="Model files only: substrate that runs the network: {substrates}. Default: loihi."
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--attack",
            help="Attack: {attacks}. bl-neuro doctor describes each of them.",
        ),
    ] = "v2",
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Dataset that the network was trained on (see train). It determines the input encoding and the class "
            "names.",
        ),
    ] = None,
    root: Root = None,
    input_range: InputRange = None,
    reveals: Annotated[str | None, REVEALED] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget", help="Total number of queries to a black box. Default: what the settings of the attack need."
        ),
    ] = None,
    twin: Annotated[
        str | None,
        typer.Option(
            "--twin", help="For transfer: substrate of the attacker's copy of the network. Default: snntorch."
        ),
    ] = None,
    auxiliary: Annotated[
        str | None,
        typer.Option(
            "--auxiliary",
            help="For attacks with a generative prior: images of the attacker, as a dataset (see train), an .npz file "
            "or a folder.",
        ),
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", help="Classes to reconstruct, comma-separated numbers. Default: all.")
    ] = None,
    steps: Steps = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="Predefined settings of the attack, such as mnist, nmnist, events or gestures."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the attack as NAME=VALUE, such as queries=200. Can be repeated."),
    ] = None,
    blur: Annotated[
        str | None, typer.Option("--blur", help="Image prior: standard deviation of a Gaussian blur, in pixels.")
    ] = None,
    window: Annotated[
        str | None,
        typer.Option("--window", help="Image prior: standard deviation of a centred Gaussian window, in pixels."),
    ] = None,
    image_shape: Annotated[
        str | None, typer.Option("--image-shape", help="HEIGHT,WIDTH of the images, for a network with flat inputs.")
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option("--patience", help="Stop the search after this number of generations without improvement."),
    ] = None,
    evaluator: Annotated[
        Path | None, typer.Option("--evaluator", help="Evaluator file that judges the inversions (see train).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the inversions, attack.json and pictures of the inversions."),
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
    """Reconstruct an input for each class of a network, from its gradients or from queries only.

    Ctrl-C stops a black-box attack after the current generation and keeps its result so far. The exit code is then 130.
    """
    from contextlib import ExitStack

    from bl_neuro.api.attack import attack_network
    from bl_neuro.api.attack_terms import attack_terms
    from bl_neuro.api.progress import progress_bars
    from bl_neuro.cli.interrupt import InterruptibleProgress

    chosen = attack_terms(name, preset, None, None, None, None).attack
    options = {"blur": blur, "window": window, "image_shape": image_shape, "patience": patience}
    given = {**_from_options(chosen, options), **_from_set(chosen, settings)}
    on_endpoint = endpoint_options(token, input_name, output_name, layout, certificates, class_count, session)
    request = model_request(Path(model), layers, input_shape, convention, dt, reset)
    with ExitStack() as stack:
        subject = stack.enter_context(opened_subject(request, model, on_endpoint, {"--backend": backend}))
        progress = InterruptibleProgress(stack.enter_context(progress_bars()).stage(f"{name} on {model}"))
        if chosen.access == "black_box":
            stack.enter_context(progress.handling_interrupts())
        result = attack_network(
            subject.model,
            name,
            substrate=backend,
            preset=preset,
            settings=given,
            reveals=reveals,  # type: ignore[arg-type]  # it checks them
            budget=budget,
            twin=twin,
            auxiliary=auxiliary,
            classes=numbers(classes, "--classes", int),
            steps=steps,
            seed=seed,
            dataset=dataset,
            root=root,
            input_range=numbers(input_range, "--input-range", float),
            evaluator=evaluator,
            out=out,
            force=force,
            name=model,
            endpoint=subject.endpoint,
            progress=progress,
        )
    allowed = result.facts.budget
    if subject.endpoint is not None and budget is not None and allowed is not None and allowed < budget:
        sys.stderr.write(f"The endpoint allows {allowed:,} of the {budget:,} requested queries.\n")
    _print(result, out, as_json)
    if result.error is not None:
        raise result.error
    if progress.stopping and result.facts.status == "stopped":
        raise KeyboardInterrupt


def _from_options(attack: Attack[Any], options: dict[str, str | None]) -> dict[str, Any]:
    """Settings given as separate options. InputError if the attack does not have the setting."""
    from bl_neuro.errors import InputError
    from bl_neuro.experiment.attack_choice import setting_from_text, setting_path

    values = {}
    for name, text in options.items():
        if text is None:
            continue
        path = setting_path(attack, name)
        if path is None:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option}: attack {attack.name} does not have this setting; leave it out")
        values[path] = setting_from_text(attack, path, text)
    return values


def _from_set(attack: Attack[Any], texts: list[str] | None) -> dict[str, Any]:
    """Settings given as --set NAME=VALUE."""
    from bl_neuro.experiment.attack_choice import setting_from_text

    return {path: setting_from_text(attack, path, text) for path, text in assignments(texts)}


def _print(result: AttackResult, out: Path | None, as_json: bool) -> None:
    """Prints the result of the attack."""
    from bl_neuro.cli.output import print_json, print_table, say
    from bl_neuro.rounding import fixed

    facts = result.facts
    if as_json:
        print_json(result.as_json)
        return
    if facts.recognition:
        say(facts.recognition)
    assumed = "; ".join(result.assumptions)
    say(f"Assumptions about inputs: {assumed}." if assumed else "The attack assumes nothing about inputs.")
    title = f"{facts.attack} on {result.place}, {result.spent}, {facts.status}"
    columns = {
        "class": [result.name_of(label) for label in result.classes],
        "target answers": None
        if result.answers is None
        else ["-" if answer is None else result.name_of(answer) for answer in result.answers],
        "evaluator answers": None
        if result.verdicts is None
        else [result.name_of(verdict.label) for verdict in result.verdicts],
        "evaluator confidence": None
        if result.verdicts is None
        else [fixed(verdict.confidence, 2) for verdict in result.verdicts],
    }
    table = {heading: cells for heading, cells in columns.items() if cells is not None}
    if len(table) == 1:
        say(f"{title}: classes {', '.join(result.name_of(label) for label in result.classes)}.")
        say("No evaluator judged the inversions: give --evaluator (see bl-neuro train), or see the pictures in --out.")
    else:
        print_table(title, list(table), [list(row) for row in zip(*table.values())], numbers_from=0)
    if out is not None:
        say(f"Written: {out}")
