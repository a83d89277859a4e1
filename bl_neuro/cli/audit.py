"""`bl-neuro audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bl_neuro.cli.options import (
    Convention,
    Dt,
    InputShape,
    Jobs,
    Json,
    Layers,
    Reset,
    Root,
    app,
    numbers,
    words,
)

if TYPE_CHECKING:
    from bl_neuro.experiment.session import Audit

MODEL_SUFFIXES = (".net", ".nir", ".safetensors")


@app.command()
def audit(
    experiment: Annotated[
        str,
        typer.Argument(
            help="An experiment's TOML file, or a shipped one: demo, digits, mnist, att_faces, nmnist; or a model "
            "file, with --dataset.",
            show_default=False,
        ),
    ],
    plan: Annotated[bool, typer.Option("--plan", help="Only list the cells, what is done and what is left.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results; runs/NAME by default.", show_default=False)
    ] = None,
    root: Root = None,
    jobs: Jobs = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            help="tcp://HOST:PORT of a Dask scheduler, whose workers run the cells; local for a Dask cluster here.",
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Of a model file: what it tells apart.", show_default=False)
    ] = None,
    substrates: Annotated[
        str | None,
        typer.Option("--substrates", help="Of a model file: comma-separated; by default a float substrate and loihi."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Of a model file: how long an input lasts.", show_default=False)
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", help="Of a model file: rate, held or direct; recognised by default."),
    ] = None,
    input_range: Annotated[
        str | None,
        typer.Option("--input-range", help="Of a model file that takes currents: LOW,HIGH; recognised by default."),
    ] = None,
    readout: Annotated[
        str | None, typer.Option("--readout", help="Of a model file: spikes or membrane; as the file says by default.")
    ] = None,
    class_map: Annotated[
        str | None,
        typer.Option("--class-map", help="Of a model file: the class of each output, 3,1,...; recognised by default."),
    ] = None,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    queries: Annotated[
        int | None, typer.Option("--queries", help="Of a model file: queries a class, after a warm start.")
    ] = None,
    restarts: Annotated[
        int | None, typer.Option("--restarts", help="Of a model file: inversions of each class; 5 by default.")
    ] = None,
    lava: Annotated[bool, typer.Option(help="Of a model file: verify and replay on Lava's own simulator.")] = True,
    trained_on: Annotated[
        str | None,
        typer.Option(
            "--trained-on",
            help="Of a model file: the samples it was trained on, which evaluators then avoid: train for the dataset's "
            "official training part, or a file of sample indices (.npy, .npz, .txt, .json).",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Run every cell of an experiment that is not done, and report; exit code 1 where some failed.

    How a model file takes the dataset is recognised, where no option says it; then it is attacked on a float substrate
    and on loihi, and verified on Lava. An interrupted run goes on where it ended, and comes to the same results.
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
    """The audit of an experiment, or of the model file that `experiment` is; prints what is recognised of a model."""
    from bl_neuro.api.model import prepare_model_audit
    from bl_neuro.cli.output import say
    from bl_neuro.errors import InputError
    from bl_neuro.experiment.session import Audit

    path = Path(experiment).expanduser()
    if path.suffix not in MODEL_SUFFIXES:
        if options or dataset is not None:
            names = [*(["dataset"] if dataset is not None else []), *options]
            given = ", ".join(f"--{name.replace('_', '-')}" for name in names)
            raise InputError(f"{given}: expected a model file, found an experiment")
        return Audit.of(experiment, out, root)
    if dataset is None:
        raise InputError("--dataset: expected the dataset that the model is for; see bl-neuro data status")
    prepared, recognised = prepare_model_audit(path, dataset, out, root, **options)
    if not quiet:
        say(f"{path.name}: {recognised.sentence}")
    return prepared
