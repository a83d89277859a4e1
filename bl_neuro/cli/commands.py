"""The commands and their options. Each imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bl_neuro.cli.options import Convention, Dt, InputShape, Json, Layers, Model, Reset, Seed, app, model_request


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """How much of its training data a spiking network gives away, and whether its substrate changes that."""
    if show:
        from bl_neuro import __version__

        typer.echo(f"bl-neuro {__version__}")
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and results.")] = Path("runs/demo"),
    jobs: Annotated[int, typer.Option("--jobs", help="Processes to run cells in.")] = 1,
    as_json: Json = False,
) -> int:
    """Run the shipped experiment `demo`: train on digits, deploy on every substrate, attack, report; offline."""
    from bl_neuro.cli.audit import AuditRequest
    from bl_neuro.cli.audit import audit as command

    return command(AuditRequest("demo", False, out, None, jobs, None), as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Which substrates work here, shown by a run on each, and what packages add; exit code 1 where a part is broken."""
    from bl_neuro.cli.doctor import doctor as command

    raise typer.Exit(command(as_json))


@app.command()
def train(
    dataset: Annotated[
        str,
        typer.Argument(
            help="digits, mnist, att_faces, nmnist, dvs_gesture; an .npz file; or a folder of images a class.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the trained models.", show_default=False)],
    root: Annotated[
        Path | None, typer.Option("--root", help="Folder of downloaded data; BL_NEURO_DATA by default.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="Height and width to scale faces or a folder to, such as 56x46.")
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            "--split", help="three-way, official (the dataset's own test set), shared (as BrainLeaks) or auto."
        ),
    ] = "auto",
    hidden: Annotated[
        str | None, typer.Option("--hidden", help="Neurons of each hidden layer, comma-separated; '' for none.")
    ] = None,
    conv: Annotated[
        str | None,
        typer.Option("--conv", help="Convolutions before them, such as 12c5s2-24c5s2 (channels, kernel, stride)."),
    ] = None,
    neuron: Annotated[
        str, typer.Option("--neuron", help="canonical, or authors (snnTorch's Leaky with subtraction and biases).")
    ] = "canonical",
    steps: Annotated[int | None, typer.Option("--steps", help="Time steps of an input; else the plan's.")] = None,
    proxy_epochs: Annotated[int | None, typer.Option("--proxy-epochs", help="Epochs as an ANN of rates.")] = None,
    spiking_epochs: Annotated[int | None, typer.Option("--spiking-epochs", help="Epochs through time.")] = None,
    noise: Annotated[float | None, typer.Option("--noise", help="Background noise in training, 0..1.")] = None,
    slayer: Annotated[bool, typer.Option("--slayer", help="Train through SLAYER, on Loihi's integers.")] = False,
    evaluators: Annotated[
        str,
        typer.Option("--evaluators", help="Evaluators: conv, spiking, authors, comma-separated; '' for none."),
    ] = "conv",
    twin: Annotated[bool, typer.Option("--twin", help="Train the target's ANN twin too.")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a target network, and independent evaluators on data that the target never saw.

    What is left open is as the plan for the dataset says. A run that was cut short goes on when it is repeated.
    """
    from bl_neuro.cli.train import TrainRequest
    from bl_neuro.cli.train import train as command

    request = TrainRequest(
        dataset=dataset,
        out=out,
        root=root,
        size=size,
        split=split,
        hidden=hidden,
        conv=conv,
        neuron=neuron,
        steps=steps,
        proxy_epochs=proxy_epochs,
        spiking_epochs=spiking_epochs,
        noise=noise,
        slayer=slayer,
        evaluators=evaluators,
        twin=twin,
        device=device,
        seed=seed,
    )
    command(request, as_json)


data = typer.Typer(no_args_is_help=True, help="The datasets that targets are trained on.")
app.add_typer(data, name="data")


@data.command()
def status(
    root: Annotated[
        Path | None, typer.Option("--root", help="Folder of downloaded data; BL_NEURO_DATA by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Which datasets are here, how complete they are, and how to get the others."""
    from bl_neuro.cli.data import status as command

    command(root, as_json)


@app.command()
def inspect(
    model: Model,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    as_json: Json = False,
) -> None:
    """What is in a model: layers, parameters, Loihi's limits, which substrates can hold it and why not."""
    from bl_neuro.cli.inspect import inspect as command

    command(model_request(model, layers, input_shape, convention, dt, reset), as_json)


@app.command()
def verify(
    model: Model,
    backends: Annotated[
        str | None, typer.Option("--backends", help="Comma-separated; all that can hold the network by default.")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option("--input", help="More inputs, .npy or .npz of shape (T, B, ...).")
    ] = None,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Steps of a sample: 20 and delays, or as --input.", show_default=False)
    ] = None,
    batch: Annotated[int, typer.Option("--batch", help="Samples of each kind of input.")] = 4,
    start: Annotated[str, typer.Option("--start", help="aligned, or cold as in a fresh Lava run.")] = "aligned",
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Compare each substrate with each other.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for pictures of the differences.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Does a model spike alike on every substrate? Layer by layer; exit code 1 where a promise is broken."""
    from bl_neuro.cli.verify import VerifyRequest
    from bl_neuro.cli.verify import verify as command

    opened = model_request(model, layers, input_shape, convention, dt, reset)
    return command(VerifyRequest(opened, backends, inputs, steps, batch, start, all_pairs, out, seed), as_json)


@app.command()
def export(
    model: Model,
    out: Annotated[Path, typer.Argument(help="What to write: .net, .nir or .safetensors.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    as_json: Json = False,
) -> None:
    """Write a network as Lava netx (quantised to Loihi's integers), NIR or safetensors, and say what it cost."""
    from bl_neuro.cli.export import export as command

    command(model_request(model, layers, input_shape, convention, dt, reset), out, force, as_json)


@app.command()
def audit(
    experiment: Annotated[
        str,
        typer.Argument(
            help="An experiment's TOML file, or a ready-made one: digits, mnist, att_faces, nmnist; or a model file, "
            "with --dataset.",
            show_default=False,
        ),
    ],
    plan: Annotated[bool, typer.Option("--plan", help="Only list the cells, what is done and what is left.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the results; runs/NAME by default.", show_default=False)
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", help="Folder of downloaded data; BL_NEURO_DATA by default.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Processes to run cells in.")] = 1,
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
    """Run every cell of an experiment that is not done, and say what came of it; exit code 1 where some failed.

    Of a model file, what is left open is recognised on the dataset; then it is attacked on loihi and verified on Lava.

    Whatever ends a run, the next one goes on from what is done, and comes to the same results.
    """
    from bl_neuro.cli.audit import AuditRequest
    from bl_neuro.cli.audit import audit as command
    from bl_neuro.cli.audit_model import ModelOptions

    model = ModelOptions(
        dataset,
        steps,
        encoder,
        input_range,
        readout,
        class_map,
        layers,
        input_shape,
        queries,
        restarts,
        lava,
        trained_on,
    )
    return command(AuditRequest(experiment, plan, out, root, jobs, scheduler, model), as_json)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two or more audits.", show_default=False)],
    margin: Annotated[
        float | None, typer.Option("--margin", help="Difference that does not matter, 0..1; the runs' own by default.")
    ] = None,
    page: Annotated[Path | None, typer.Option("--page", help="An HTML file to write the comparison to.")] = None,
    as_json: Json = False,
) -> None:
    """Hold audits of several substrates, settings or versions against each other, paired where they can be."""
    from bl_neuro.cli.compare import CompareRequest
    from bl_neuro.cli.compare import compare as command

    command(CompareRequest(runs, margin, page), as_json)
