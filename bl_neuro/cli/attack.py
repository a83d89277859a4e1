"""`bl-neuro attack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bl_neuro.cli.options import Convention, Dt, InputShape, Json, Layers, Reset, Seed, app, model_request

if TYPE_CHECKING:
    from bl_neuro.api.attack_result import AttackResult
    from bl_neuro.attacks import Attack
    from bl_neuro.remote import RemoteBlackBox


@app.command()
def attack(
    model: Annotated[
        str,
        typer.Argument(
            help="A network, as .safetensors, .net or .nir; or http(s)://HOST:PORT/v2/models/NAME, an endpoint.",
            show_default=False,
        ),
    ],
    backend: Annotated[
        str, typer.Option("--backend", help="Substrate: snntorch, norse, slayer, loihi, lava.")
    ] = "loihi",
    name: Annotated[
        str,
        typer.Option(
            "--attack",
            help="v1, v2_gradient (white box, gradients); v2, cma_es, one_plus_one, random (black box, queries); "
            "transfer (a leaked copy first, then queries); or the attack of an installed package.",
        ),
    ] = "v2",
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="What the network was trained on (see train). How it takes inputs is recognised, and classes have "
            "names.",
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", help="Folder of downloaded data; BL_NEURO_DATA by default.")
    ] = None,
    input_range: Annotated[
        str | None,
        typer.Option(
            "--input-range",
            help="LOW,HIGH: the currents that pixels 0 and 1 stand for, where a network takes currents; recognised "
            "with --dataset, else 0,1.",
        ),
    ] = None,
    reveals: Annotated[
        str | None,
        typer.Option("--reveals", help="What a black box shows: membrane, scores, spikes, counts or label."),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option("--budget", help="Queries that a black box answers in all; what the settings ask for by default."),
    ] = None,
    twin: Annotated[
        str | None,
        typer.Option("--twin", help="Substrate of the attacker's copy, for transfer; snntorch by default."),
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", help="Comma-separated class numbers; all by default.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", help="Time steps of a query and of an inversion; the dataset's, or 20, by default."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="Ready-made settings of the attack, such as mnist, nmnist, events or gestures."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE: a setting of the attack, such as queries=200; may be repeated."),
    ] = None,
    blur: Annotated[
        str | None, typer.Option("--blur", help="Expect neighbouring pixels to agree, over so many pixels.")
    ] = None,
    window: Annotated[
        str | None, typer.Option("--window", help="Expect the object in a centred window of so many pixels.")
    ] = None,
    image_shape: Annotated[
        str | None, typer.Option("--image-shape", help="HEIGHT,WIDTH of a network's flat inputs, if they are images.")
    ] = None,
    patience: Annotated[
        str | None, typer.Option("--patience", help="End a search after so many generations without a gain.")
    ] = None,
    evaluator: Annotated[
        Path | None, typer.Option("--evaluator", help="An evaluator that judges the inversions (see train).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the inversions, attack.json and a contact sheet.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an attack that the folder holds.")] = False,
    token: Annotated[
        str | None, typer.Option("--token", help="For an endpoint; BL_NEURO_TOKEN by default, which nobody here sees.")
    ] = None,
    input_name: Annotated[str | None, typer.Option("--input", help="Name of an endpoint's input.")] = None,
    output_name: Annotated[str | None, typer.Option("--output", help="Name of an endpoint's output.")] = None,
    layout: Annotated[
        str | None,
        typer.Option("--layout", help="What an endpoint takes: time_first, batch_first, or rates (no time)."),
    ] = None,
    certificates: Annotated[
        Path | None,
        typer.Option("--certificates", help="PEM file of the authorities that an https endpoint is trusted by."),
    ] = None,
    class_count: Annotated[
        int | None, typer.Option("--class-count", help="Number of an endpoint's classes, if it does not say.")
    ] = None,
    session: Annotated[
        str | None,
        typer.Option("--session", help="Name under which an endpoint charges nothing twice if this is run once more."),
    ] = None,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Reconstruct an input for each class of a network, with gradients or with queries alone.

    Ctrl-C ends a black-box attack after the generation that it falls in, and keeps what it has.
    """
    from contextlib import ExitStack

    from bl_neuro.api.attack import attack_network
    from bl_neuro.api.attack_terms import attack_terms
    from bl_neuro.api.progress import progress_bars
    from bl_neuro.cli.interrupt import ends_on_interrupt

    chosen = attack_terms(name, preset, None, None, None, None).attack
    options = {"blur": blur, "window": window, "image_shape": image_shape, "patience": patience}
    given = {**_from_options(chosen, options), **_from_set(chosen, settings or [])}
    on_endpoint: dict[str, Any] = {"--token": token, "--input": input_name, "--output": output_name, "--layout": layout}
    on_endpoint |= {"--certificates": certificates, "--class-count": class_count, "--session": session}
    of_file = {"--layers": layers, "--convention": convention, "--dt": dt, "--reset": reset}
    numbers = None if classes is None else _numbers("--classes", "class numbers", classes, int)
    currents = None if input_range is None else _numbers("--input-range", "LOW,HIGH", input_range, float)
    with ExitStack() as stack:
        attacked: Any
        if model.startswith(("http://", "https://")):
            _no_effect("an endpoint", of_file)
            attack_terms(name, preset, given, reveals, budget, twin)  # type: ignore[arg-type]  # it checks them
            attacked = stack.enter_context(_endpoint(model, reveals, budget, input_shape, on_endpoint))
        else:
            _no_effect("a file", on_endpoint)
            attacked = model_request(Path(model), layers, input_shape, convention, dt, reset).open()
        progress = stack.enter_context(progress_bars()).stage(f"{name} on {model}")
        if chosen.access == "black_box":
            progress = stack.enter_context(ends_on_interrupt(progress))
        result = attack_network(
            attacked,
            name,
            substrate=backend,
            preset=preset,
            settings=given,
            reveals=reveals,  # type: ignore[arg-type]  # it checks them
            budget=budget,
            twin=twin,
            classes=numbers,
            steps=steps,
            seed=seed,
            dataset=dataset,
            root=root,
            input_range=currents,
            evaluator=evaluator,
            out=out,
            force=force,
            name=model,
            progress=progress,
        )
    _print(result, out, as_json)
    if result.error is not None:
        raise result.error


def _from_options(attack: Attack[Any], options: dict[str, str | None]) -> dict[str, Any]:
    """Settings that have options of their own; InputError where the attack has no such setting."""
    from bl_neuro.errors import InputError
    from bl_neuro.experiment.attack_choice import setting_from_text, setting_path

    values = {}
    for name, text in options.items():
        if text is None:
            continue
        path = setting_path(attack, name)
        if path is None:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option}: attack {attack.name} has no such setting; leave it out")
        values[path] = setting_from_text(attack, path, text)
    return values


def _from_set(attack: Attack[Any], assignments: list[str]) -> dict[str, Any]:
    """Settings from NAME=VALUE."""
    from bl_neuro.errors import InputError
    from bl_neuro.experiment.attack_choice import setting_from_text

    values = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise InputError(f"--set: expected NAME=VALUE, found {assignment!r}")
        values[path.strip()] = setting_from_text(attack, path.strip(), text.strip())
    return values


def _no_effect(what: str, options: dict[str, Any]) -> None:
    """InputError where an option was given that has no effect on what is attacked."""
    from bl_neuro.errors import InputError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"{', '.join(given)}: without effect on {what}; leave it out")


def _numbers(option: str, expected: str, text: str, kind: type[Any]) -> list[Any]:
    from bl_neuro.errors import InputError

    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"{option}: expected {expected}, comma-separated, found {text!r}") from error


def _endpoint(
    url: str, reveals: str | None, budget: int | None, input_shape: str | None, options: dict[str, Any]
) -> RemoteBlackBox:
    """The endpoint; warnings, and a budget that it does not leave, are told on standard error."""
    import os
    import sys
    import warnings

    from bl_neuro.api.attack_target import TOKEN
    from bl_neuro.errors import TokenInTheClear
    from bl_neuro.remote import RemoteBlackBox

    certificates = options["--certificates"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TokenInTheClear)
        box = RemoteBlackBox(
            url,
            token=options["--token"] or os.environ.get(TOKEN),
            reveals=reveals,  # type: ignore[arg-type]  # it was checked
            budget=budget,
            input=options["--input"],
            output=options["--output"],
            input_shape=None
            if input_shape is None
            else tuple(_numbers("--input-shape", "whole numbers as in 1,8,8", input_shape, int)),
            classes=options["--class-count"],
            session=options["--session"],
            layout=options["--layout"],
            certificates=None if certificates is None else str(certificates),
        )
    for warning in caught:
        sys.stderr.write(f"warning: {warning.message}\n")
    if budget is not None and box.budget is not None and box.budget < budget:
        sys.stderr.write(f"The endpoint leaves {box.budget:,} of the {budget:,} queries asked for.\n")
    return box


def _print(result: AttackResult, out: Path | None, as_json: bool) -> None:
    """What came of the attack."""
    from bl_neuro.cli.output import print_json, print_table, say
    from bl_neuro.rounding import fixed

    facts = result.facts
    if as_json:
        print_json(result.as_json)
        return
    if facts["recognition"]:
        say(facts["recognition"])
    assumed = "; ".join(result.assumptions)
    say(f"Assumptions about inputs: {assumed}." if assumed else "The attack assumes nothing about inputs.")
    spent = f"{result.inversions.queries_per_class:g} queries a class"
    title = f"{facts['attack']} on {result.place}, {spent}, {facts['status']}"
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
        say("Nothing judged the inversions: give --evaluator (see bl-neuro train), or look at the pictures in --out.")
    else:
        print_table(title, list(table), [list(row) for row in zip(*table.values())], numbers_from=0)
    if out is not None:
        say(f"Written: {out}")
