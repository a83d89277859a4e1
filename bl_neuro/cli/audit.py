"""`bl-neuro audit`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bl_neuro.cli.options import (
    Convention,
    Dt,
    InputRange,
    InputShape,
    Jobs,
    Json,
    Layers,
    ListingCommand,
    Reset,
    Root,
    Steps,
    app,
    numbers,
    words,
)

if TYPE_CHECKING:
    from bl_neuro.api.plan import AuditPlan
    from bl_neuro.api.result import AuditResult
    from bl_neuro.experiment.given_model import Recognised


@app.command(cls=ListingCommand)
def audit(
    experiment: Annotated[
        str,
        typer.Argument(
            help="An experiment: a TOML file, or the name of a built-in experiment ({experiments}). Or a model file, "
            "with --dataset.",
            show_default=False,
        ),
    ],
    plan: Annotated[
        bool, typer.Option("--plan", help="List the cells and how many are done, without running any.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results. Default: runs/NAME.", show_default=False)
    ] = None,
    root: Root = None,
    jobs: Jobs = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            help="Run cells on a Dask cluster: tcp://HOST:PORT of its scheduler, or local to start a cluster here.",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Model files only: the dataset that the model classifies.", show_default=False),
    ] = None,
    attacks: Annotated[
        str | None,
        typer.Option(
            "--attacks",
            help="Model files only: names of attacks, comma-separated, of bl-neuro or of other packages (see doctor). "
            "Default: v1,v2.",
        ),
    ] = None,
    evaluators: Annotated[
        str | None,
        typer.Option(
            "--evaluators", help="Model files only: kinds of evaluators, comma-separated. Default: conv,spiking."
        ),
    ] = None,
    substrates: Annotated[
        str | None,
        typer.Option(
            "--substrates",
            help="Model files only: substrates to attack, comma-separated: {substrates}. Default: a float substrate "
            "and loihi.",
        ),
    ] = None,
    steps: Steps = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            help="Model files only: rate (random spikes in every step), held (the same spikes in every step) or "
            "direct (pixel values as input currents). Default: inferred from the model.",
        ),
    ] = None,
    input_range: InputRange = None,
    readout: Annotated[
        str | None,
        typer.Option(
            "--readout",
            help="Model files only: whether spikes or the membrane potential of the output neurons decide the class: "
            "spikes or membrane. Default: as in the file.",
        ),
    ] = None,
    class_map: Annotated[
        str | None,
        typer.Option(
            "--class-map",
            help="Model files only: the class of each output, such as 3,1,2. Default: inferred from the model.",
        ),
    ] = None,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    queries: Annotated[
        int | None,
        typer.Option(
            "--queries", help="Model files only: number of queries per class, in addition to those of a warm start."
        ),
    ] = None,
    restarts: Annotated[
        int | None, typer.Option("--restarts", help="Model files only: number of inversions per class. Default: 5.")
    ] = None,
    verify_on: Annotated[
        str | None,
        typer.Option(
            "--verify-on",
            help="Model files only: substrate on which spikes are verified and attacks repeated, or none. Default: the "
            "one that an attacked substrate emulates: lava for loihi.",
        ),
    ] = None,
    trained_on: Annotated[
        str | None,
        typer.Option(
            "--trained-on",
            help="Model files only: the samples the model was trained on, which are then kept from evaluators. Either "
            "train, for the official training set, or a file of sample indices (.npy, .npz, .txt, .json).",
        ),
    ] = None,
    auxiliary: Annotated[
        str | None,
        typer.Option(
            "--auxiliary",
            help="Model files only: public data that the attacker holds, a dataset other than that of the model.",
        ),
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(
            "--baselines",
            help="Model files only: attackers who ask nothing, comma-separated: {baselines}, prior; or none. Default: "
            "all that apply.",
        ),
    ] = None,
    allow_endpoints: Annotated[
        bool,
        typer.Option(
            "--allow-endpoints", help="Allow the experiment file to send queries to endpoints on other machines."
        ),
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help="File with the token of the endpoints, instead of the environment variables that the experiment "
            "names (BL_NEURO_...).",
        ),
    ] = None,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache",
            help="Whether trained networks and evaluators are shared with other runs on this machine (see cache).",
        ),
    ] = True,
    as_json: Json = False,
) -> int:
    """Run an experiment, or audit a model file, and write a report. The exit code is 1 if a cell failed.

    Cells that are done are not run again, so an interrupted audit continues where it stopped, with the same results.
    For a model file, the input encoding and the class of each output are inferred from the dataset unless options state
    them; by default the model is attacked on a float substrate and on loihi, and verified on Lava.
    """
    import bl_neuro as bl
    from bl_neuro.cli.audit_output import print_plan, print_result
    from bl_neuro.errors import InputError
    from bl_neuro.model_file import SUFFIXES

    if jobs < 1:
        raise InputError(f"--jobs: expected at least 1, found {jobs}")
    stated: dict[str, Any] = {
        "attacks": None if attacks is None else words(attacks),
        "evaluators": None if evaluators is None else words(evaluators),
        "substrates": None if substrates is None else words(substrates),
        "steps": steps,
        "encoder": encoder,
        "input_range": numbers(input_range, "--input-range", float),
        "readout": readout,
        "class_map": numbers(class_map, "--class-map", int),
        "layers": layers,
        "input_shape": numbers(input_shape, "--input-shape", int),
        "convention": convention,
        "dt": dt,
        "reset": reset,
        "queries": queries,
        "restarts": restarts,
        "verify_on": False if verify_on == "none" else verify_on,
        "trained_on": trained_on,
        "auxiliary": auxiliary,
        "baselines": None if baselines is None else [] if baselines == "none" else words(baselines),
    }
    options = {name: value for name, value in stated.items() if value is not None}
    run_audit: Callable[..., AuditResult] = bl.audit
    plan_audit: Callable[..., AuditPlan] = bl.plan_audit
    audited: tuple[str, ...] = (experiment,)
    if Path(experiment).suffix in SUFFIXES:
        run_audit, plan_audit, audited = bl.audit_model, bl.plan_audit_model, (experiment, _dataset(dataset))
        if allow_endpoints or token_file is not None:
            raise InputError("--allow-endpoints, --token-file: only for experiments, but this is a model file")
        options["on_recognised"] = None if as_json else partial(_print_recognised, Path(experiment).name)
    else:
        _refuse({"dataset": dataset, **options}, experiment)
    if plan:
        print_plan(plan_audit(*audited, out=out, root=root, cache=cache, **options), jobs, as_json)
        return 0
    if run_audit is bl.audit:
        options |= {"allow_endpoints": allow_endpoints, "token_file": token_file}
    result = run_audit(*audited, out=out, root=root, jobs=jobs, scheduler=scheduler, cache=cache, **options)
    print_result(result, as_json)
    return 1 if result.failures or result.left_out else 0


def _dataset(dataset: str | None) -> str:
    from bl_neuro.errors import InputError

    if dataset is None:
        raise InputError(
            "--dataset: a model file needs the dataset that the model classifies; see bl-neuro data status"
        )
    return dataset


def _refuse(options: dict[str, Any], experiment: str) -> None:
    """Raises InputError if there are options that apply to model files only."""
    from bl_neuro.errors import InputError

    given = ", ".join(f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None)
    if given:
        raise InputError(f"{given}: only for model files, but {experiment} is an experiment")


def _print_recognised(name: str, recognised: Recognised) -> None:
    from bl_neuro.cli.output import say

    say(f"{name}: {recognised.sentence}")
