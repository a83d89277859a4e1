"""`bl-neuro train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bl_neuro.cli.options import Force, Json, ListingCommand, Root, Seed, Steps, app, numbers, words

if TYPE_CHECKING:
    from bl_neuro.api.train import Trained


@app.command(cls=ListingCommand)
def train(
    dataset: Annotated[
        str,
        typer.Argument(
            help="A dataset ({datasets}), an .npz file, or a folder with one subfolder of images per class.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the trained models.", show_default=False)],
    root: Root = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", help="HEIGHTxWIDTH that images of att_faces or of a folder are scaled to, such as 56x46."
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            help="three-way (disjoint samples for target, evaluators and test), official (the test set of the "
            "dataset), shared (evaluators see the target's samples, as in BrainLeaks) or auto (official if the "
            "dataset has a test set, else three-way).",
        ),
    ] = "auto",
    hidden: Annotated[
        str | None,
        typer.Option("--hidden", help="Number of neurons of each hidden layer, comma-separated; '' for none."),
    ] = None,
    conv: Annotated[
        str | None,
        typer.Option(
            "--conv", help="Convolutions before the hidden layers, such as 12c5s2-24c5s2 (channels, kernel, stride)."
        ),
    ] = None,
    neuron: Annotated[
        str,
        typer.Option(
            "--neuron",
            help="canonical (LIF without bias, reset to zero) or authors (snnTorch's Leaky with bias and reset by "
            "subtraction).",
        ),
    ] = "canonical",
    steps: Steps = None,
    proxy_epochs: Annotated[
        int | None, typer.Option("--proxy-epochs", help="Number of epochs of pretraining as an ANN on spike rates.")
    ] = None,
    spiking_epochs: Annotated[
        int | None, typer.Option("--spiking-epochs", help="Number of epochs of backpropagation through time.")
    ] = None,
    noise: Annotated[
        float | None, typer.Option("--noise", help="Background noise in training images, in 0..1.")
    ] = None,
    slayer: Annotated[bool, typer.Option("--slayer", help="Train with SLAYER, in Loihi's integer arithmetic.")] = False,
    evaluators: Annotated[
        str,
        typer.Option("--evaluators", help="Evaluators to train, comma-separated: {evaluators}; '' for none."),
    ] = "conv",
    twin: Annotated[
        bool, typer.Option("--twin", help="Also train an ANN with the layers of the target (its twin).")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", help="Device: auto, cpu or cuda. SLAYER trains on the CPU.")
    ] = "auto",
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train a target network, and independent evaluators on data that the target never saw.

    Settings that are not given have the defaults of the dataset. Repeat the command to continue an interrupted run.
    """
    from dataclasses import asdict

    from bl_neuro.api.train import train as run
    from bl_neuro.cli.output import print_json

    trained = run(
        dataset,
        out,
        root=root,
        size=None if size is None else numbers(size.replace("x", ","), "--size", int),
        split=split,
        hidden=[] if hidden == "" else numbers(hidden, "--hidden", int),
        conv=None if conv is None else conv.split("-"),
        neuron=neuron,
        steps=steps,
        proxy_epochs=proxy_epochs,
        spiking_epochs=spiking_epochs,
        noise=noise,
        slayer=slayer,
        evaluators=words(evaluators),
        twin=twin,
        device=device,
        seed=seed,
        force=force,
    )
    if as_json:
        print_json(asdict(trained))
    else:
        _print(trained)


def _print(trained: Trained) -> None:
    from bl_neuro.cli.output import say

    accuracy = "accuracy not measured (no substrate is installed)"
    if trained.target_accuracy is not None:
        samples = trained.splits["test"]
        accuracy = f"test accuracy {trained.target_accuracy:.3f} on {samples} samples, on {trained.measured_on}"
    say(f"{trained.dataset}: {trained.completeness}; {trained.split}")
    say(f"{trained.target}: {accuracy}")
    for evaluator in trained.evaluators:
        say(f"{evaluator.file}: test accuracy {evaluator.accuracy:.3f}, same samples; {evaluator.architecture}")
    if trained.twin is not None:
        say(
            f"{trained.twin.file}: test accuracy {trained.twin.accuracy:.3f}, same samples; {trained.twin.architecture}"
        )
