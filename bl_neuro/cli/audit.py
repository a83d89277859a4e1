"""`bl-neuro audit`."""

from __future__ import annotations

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
    from bl_neuro.experiment.session import Audit


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
        int | None, typer.Option("--queries", help="Model files only: number of queries per class, after a warm start.")
    ] = None,
    restarts: Annotated[
        int | None, typer.Option("--restarts", help="Model files only: number of inversions per class. Default: 5.")
    ] = None,
    lava: Annotated[
        bool, typer.Option(help="Model files only: verify spikes and repeat attacks on Lava's simulator.")
    ] = True,
    trained_on: Annotated[
        str | None,
        typer.Option(
            "--trained-on",
            help="Model files only: the samples the model was trained on, which are then kept from evaluators. Either "
            "train, for the official training set, or a file of sample indices (.npy, .npz, .txt, .json).",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Run an experiment, or audit a model file, and write a report. The exit code is 1 if a cell failed.

    Cells that are done are not run again, so an interrupted audit continues where it stopped, with the same results.
    For a model file, the input encoding and the class of each output are inferred from the dataset unless options state
    them; by default the model is attacked on a float substrate and on loihi, and verified on Lava.
    """
    from bl_neuro.api.audit import run_audit
    from bl_neuro.api.plan import plan_of
    from bl_neuro.cli.audit_output import print_plan, print_result
    from bl_neuro.errors import InputError

    if jobs < 1:
        raise InputError(f"--jobs: expected at least 1, found {jobs}")
    stated = {
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
        "lava": None if lava else False,
        "trained_on": trained_on,
    }
    options = {name: value for name, value in stated.items() if value is not None}
    prepared = _prepared(experiment, dataset, out, root, options, as_json)
    if plan:
        print_plan(plan_of(prepared), jobs, as_json)
        return 0
    result = run_audit(prepared, jobs=jobs, scheduler=scheduler)
    print_result(result, as_json)
    return 1 if result.failures or result.left_out else 0


def _prepared(
    experiment: str, dataset: str | None, out: Path | None, root: Path | None, options: dict[str, Any], quiet: bool
) -> Audit:
    """The audit of an experiment or of a model file; prints what was inferred about a model."""
    from bl_neuro.api.model import prepare_model_audit
    from bl_neuro.cli.output import say
    from bl_neuro.errors import InputError
    from bl_neuro.experiment.session import Audit
    from bl_neuro.model_file import SUFFIXES

    path = Path(experiment).expanduser()
    if path.suffix not in SUFFIXES:
        if options or dataset is not None:
            names = [*(["dataset"] if dataset is not None else []), *options]
            given = ", ".join(f"--{name.replace('_', '-')}" for name in names)
            raise InputError(f"{given}: only for model files, but {experiment} is an experiment")
        return Audit.of(experiment, out, root)
    if dataset is None:
        raise InputError(
            "--dataset: a model file needs the dataset that the model classifies; see bl-neuro data status"
        )
    prepared, recognised = prepare_model_audit(path, dataset, out, root, **options)
    if not quiet:
        say(f"{path.name}: {recognised.sentence}")
    return prepared
