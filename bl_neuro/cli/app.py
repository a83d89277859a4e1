"""The commands and their options. Each imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bl_neuro.cli.model import ModelRequest

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How much of its training data a spiking network gives away, and whether its substrate changes that.",
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything that chance decides.")]
Model = Annotated[Path, typer.Argument(help="A network, as .safetensors, .net or .nir.", show_default=False)]
Layers = Annotated[int | None, typer.Option("--layers", help="Open only the first so many blocks of a .net file.")]
InputShape = Annotated[
    str | None,
    typer.Option("--input-shape", help="CHANNELS,HEIGHT,WIDTH or FEATURES of a .net file that does not state it."),
]
Convention = Annotated[
    str | None,
    typer.Option("--convention", help="Who wrote a .nir file: snntorch, norse, or nir for its own equations."),
]
Dt = Annotated[float | None, typer.Option("--dt", help="Length of a step in a .nir file's unit of time.")]
Reset = Annotated[
    str | None, typer.Option("--reset", help="How snnTorch's neurons of a .nir file reset: subtract_delayed or zero.")
]


def _model(
    path: Path, layers: int | None, shape: str | None, convention: str | None, dt: float | None, reset: str | None
) -> ModelRequest:
    from bl_neuro.cli.model import ModelRequest

    return ModelRequest(path, layers, shape, convention, dt, reset)


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
    seed: Seed = 0,
    substrates: Annotated[
        str | None, typer.Option("--substrates", help="Comma-separated; all that are installed by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The whole story in minutes, offline: train on digits, deploy on every substrate, attack, report."""
    from bl_neuro.cli.demo import demo as command

    command(out, seed, substrates, as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Which substrates work here, shown by a run on each, and what to install for the others."""
    from bl_neuro.cli.doctor import doctor as command

    command(as_json)


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
        str, typer.Option("--evaluators", help="Judges to train: conv, spiking, comma-separated; '' for none.")
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
    ] = "snntorch",
    name: Annotated[
        str,
        typer.Option(
            "--attack",
            help="v1, v2_gradient (white box, gradients); v2, cma_es, one_plus_one, random (black box, queries); "
            "transfer (a leaked copy first, then queries).",
        ),
    ] = "v2",
    reveals: Annotated[
        str | None,
        typer.Option(
            "--reveals", help="What a black box shows: membrane, scores, spikes, counts (the default) or label."
        ),
    ] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", help="Queries that a black box answers in all; 7040 by default.")
    ] = None,
    twin: Annotated[
        str | None, typer.Option("--twin", help="Substrate of transfer's copy; snntorch by default.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", help="Comma-separated class numbers; all by default.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", help="Time steps of a query and of an inversion.")] = 20,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Ready-made settings: mnist, nmnist, events or gestures for v2, others for v1, v2_gradient, transfer.",
        ),
    ] = None,
    blur: Annotated[
        float | None, typer.Option("--blur", help="Expect neighbouring pixels to agree, over so many pixels.")
    ] = None,
    window: Annotated[
        float | None, typer.Option("--window", help="Expect the object in a centred window of so many pixels.")
    ] = None,
    image_shape: Annotated[
        str | None, typer.Option("--image-shape", help="HEIGHT,WIDTH of a network's flat inputs, if they are images.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", help="End a search after so many generations without a gain.")
    ] = None,
    evaluator: Annotated[
        Path | None, typer.Option("--evaluator", help="An evaluator that judges the inversions (see train).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for inversions.safetensors and pictures.")] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="For an endpoint; BL_NEURO_TOKEN by default, which nobody here sees.")
    ] = None,
    input_name: Annotated[str | None, typer.Option("--input", help="Name of an endpoint's input.")] = None,
    output_name: Annotated[str | None, typer.Option("--output", help="Name of an endpoint's output.")] = None,
    layout: Annotated[
        str | None,
        typer.Option("--layout", help="What an endpoint takes: time_first, batch_first, or rates (no time)."),
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

    Ctrl-C ends a search of queries after the generation that it falls in, a transfer after the candidate, and what was
    found is kept.
    """
    from bl_neuro.cli.attack import AttackRequest
    from bl_neuro.cli.attack import attack as command
    from bl_neuro.cli.strategy import StrategyRequest

    asked = StrategyRequest(name, reveals, budget, twin, preset, blur, window, image_shape, patience)
    if model.startswith(("http://", "https://")):
        from bl_neuro.cli.attack_endpoint import EndpointAttackRequest, attack_endpoint

        said = (token, input_name, output_name, input_shape, layout)
        return attack_endpoint(
            EndpointAttackRequest(model, asked, classes, steps, evaluator, out, seed, *said), as_json
        )
    opened = _model(Path(model), layers, input_shape, convention, dt, reset)
    command(AttackRequest(opened, backend, asked, classes, steps, evaluator, out, seed), as_json)


@app.command()
def serve(
    model: Model,
    backend: Annotated[
        str, typer.Option("--backend", help="Substrate: snntorch, norse, slayer, loihi, lava.")
    ] = "loihi",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model in URLs; the file's by default.")
    ] = None,
    reveals: Annotated[
        str, typer.Option("--reveals", help="What an answer shows: membrane, scores, spikes, counts or label.")
    ] = "counts",
    budget: Annotated[
        int | None, typer.Option("--budget", help="Queries that each client may spend for good; no limit by default.")
    ] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Requests a second that each client may make.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen at; others need tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen at; 0 for any that is free.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Clients and hashes of their tokens (see bl-neuro token).")
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option("--token", help="NAME:TOKEN of a client, which others here can see; BL_NEURO_TOKENS they cannot."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="File of all queries, which budgets live in; NAME.queries.sqlite.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--tls-certificate", help="PEM file, for HTTPS.")] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file of its key.")] = None,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", help="Port on this machine for Prometheus.")
    ] = None,
    max_batch: Annotated[int, typer.Option("--max-batch", help="Most samples of a request.")] = 1024,
    max_steps: Annotated[int, typer.Option("--max-steps", help="Most time steps of a request.")] = 1024,
    deadline: Annotated[float, typer.Option("--deadline", help="Seconds that a request may take.")] = 30.0,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
) -> None:
    """Put a network behind a query-only endpoint (Open Inference Protocol v2) until Ctrl-C."""
    from bl_neuro.cli.serve import ServeRequest
    from bl_neuro.cli.serve import serve as command

    opened = _model(model, layers, input_shape, convention, dt, reset)
    settings = {
        "reveals": reveals,
        "budget": budget,
        "rate": rate,
        "host": host,
        "port": port,
        "certificate": certificate,
        "key": key,
        "metrics_port": metrics_port,
        "max_batch": max_batch,
        "max_steps": max_steps,
        "deadline_s": deadline,
    }
    command(ServeRequest(opened, backend, name, log, token_file, token or [], settings))


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="The client.", show_default=False)],
    file: Annotated[Path, typer.Option("--file", help="File of clients, made if it is not there.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Make a token for a client of an endpoint: its hash goes to the file, the token is shown once."""
    from bl_neuro.cli.serve import token as command

    command(file, name, as_json)


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

    command(_model(model, layers, input_shape, convention, dt, reset), as_json)


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

    opened = _model(model, layers, input_shape, convention, dt, reset)
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

    command(_model(model, layers, input_shape, convention, dt, reset), out, force, as_json)


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
        dataset, steps, encoder, input_range, readout, class_map, layers, input_shape, queries, restarts, lava
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
