"""`bl-neuro verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bl_neuro.cli.options import (
    Convention,
    Dt,
    Force,
    InputShape,
    Json,
    Layers,
    ListingCommand,
    Model,
    Reset,
    Seed,
    app,
    model_request,
    words,
)

if TYPE_CHECKING:
    from bl_neuro.deploy.parity import PairParity, ParityReport

FAILED = 1


@app.command(cls=ListingCommand)
def verify(
    model: Model,
    backends: Annotated[
        str | None,
        typer.Option(
            "--backends",
            help="Substrates to compare, comma-separated: {substrates}. Default: all that can run the network.",
        ),
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option("--input", help="Additional inputs: an .npy or .npz file of shape (T, B, ...).")
    ] = None,
    layers: Layers = None,
    input_shape: InputShape = None,
    convention: Convention = None,
    dt: Dt = None,
    reset: Reset = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            help="Number of time steps. Default: that of --input, or 20 plus the delays of the network.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", help="Number of samples of each kind of input.")] = 4,
    start: Annotated[
        str,
        typer.Option(
            "--start",
            help="aligned (each layer starts when its first input arrives) or cold (as in a fresh Lava run).",
        ),
    ] = "aligned",
    all_pairs: Annotated[
        bool,
        typer.Option("--all-pairs", help="Compare every pair of substrates instead of each with the reference."),
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for raster plots of the differences.")] = None,
    force: Force = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Compare the spikes of a model on all substrates, layer by layer.

    The exit code is 1 if substrates that promise identical spikes differ.
    """
    from bl_neuro.api.verify import verify as run
    from bl_neuro.cli.output import print_json
    from bl_neuro.deploy.parity.drawing import draw, need_folder_for_pictures

    network = model_request(model, layers, input_shape, convention, dt, reset).open()
    if out is not None:
        need_folder_for_pictures(out, force)
    report = run(
        network,
        _names(backends),
        inputs,
        steps=steps,
        batch=batch,
        start=start,  # type: ignore[arg-type]  # verify checks it
        all_pairs=all_pairs,
        seed=seed,
    )
    pictures = [] if out is None else draw(report, out)
    if as_json:
        print_json({"model": str(model), **report.to_json(), "pictures": [str(path) for path in pictures]})
    else:
        _print(report, pictures)
    return FAILED if report.broken else 0


def _names(text: str | None) -> list[str] | None:
    from bl_neuro.errors import InputError

    if text is None:
        return None
    if not words(text):
        raise InputError(f"--backends: expected comma-separated names of substrates, found {text!r}")
    return words(text)


def _print(report: ParityReport, pictures: list[Path]) -> None:
    from bl_neuro.cli.output import print_table, say

    columns = [
        "substrate",
        "against",
        "promise",
        "identical",
        "differ",
        "Jaccard",
        "other answer",
        "membrane differs by",
    ]
    print_table(_title(report), columns, [_pair_row(pair) for pair in report.pairs], numbers_from=3)
    different = [pair for pair in report.pairs if not pair.exact]
    if different:
        columns = ["pair", "layer", "", "identical", "differ", "Jaccard", "first difference"]
        rows = [row for pair in different for row in _layer_rows(pair)]
        print_table("\nWhere they differ, layer by layer", columns, rows, numbers_from=3, words_from=6)
    for cause, names in _grouped(different).items():
        say(f"- {names}: {cause}")
    _print_activity(report)
    for name, reason in report.declined.items():
        say(f"Not compared: {name}: {reason}")
    if report.network.has_bias:
        other = "cold" if report.start == "aligned" else "aligned"
        say(
            f"Start: {report.start}. The network has biases, so a {other} start gives different spikes: --start {other}"
        )
    for path in pictures:
        say(f"Written: {path}")
    say("\n" + _verdict(report))


def _title(report: ParityReport) -> str:
    samples = report.pairs[0].samples
    seconds = ", ".join(f"{name} {spent:.1f} s" for name, spent in report.seconds.items())
    return f"{samples} samples of {report.steps} steps ({seconds})"


def _print_activity(report: ParityReport) -> None:
    """Prints how many neurons spiked. The comparison says nothing about neurons that did not."""
    from bl_neuro.cli.output import print_table, say

    pair = report.pairs[0]
    columns = ["layer", "", "spikes", "neurons that spiked"]
    rows = [
        [str(layer.layer), layer.kind, f"{layer.spikes[1]:,}", f"{layer.active[1]:,} of {layer.neurons:,}"]
        for layer in pair.layers
    ]
    print_table(f"\nSpikes on {pair.right}", columns, rows, numbers_from=2)
    for index in report.silent:
        shows_membrane = any(pair.membrane_difference is not None for pair in report.pairs)
        is_output = shows_membrane and index == report.pairs[0].layers[-1].layer
        compared = "only the membrane potential of the output was" if is_output else "nothing was"
        say(f"Layer {index} never spiked: {compared} compared there.")


def _pair_row(pair: PairParity) -> list[str]:
    answers = "not shown" if pair.answers_differ is None else f"{pair.answers_differ} of {pair.samples}"
    membrane = "not shown" if pair.membrane_difference is None else f"{pair.membrane_difference:.2g}"
    promise = "BROKEN" if pair.broken else "kept" if pair.promised else "none"
    counts = [f"{100 * pair.identical / pair.bins:.3f} %", str(pair.bins - pair.identical), f"{pair.jaccard:.3f}"]
    return [pair.left, pair.right, promise, *counts, answers, membrane]


def _layer_rows(pair: PairParity) -> list[list[str]]:
    rows = []
    for layer in pair.layers:
        first = layer.first
        place = "none"
        if first is not None:
            neuron = ",".join(map(str, first.neuron))
            sample = f"sample {first.sample} of '{first.stimulus}'"
            place = f"step {first.step}, neuron {neuron}, {sample}: {first.spiked} spikes"
        counts = [f"{100 * layer.fraction:.3f} %", str(layer.bins - layer.identical), f"{layer.jaccard:.3f}", place]
        rows.append([f"{pair.left}-{pair.right}", str(layer.layer), layer.kind, *counts])
    return rows


def _grouped(pairs: list[PairParity]) -> dict[str, str]:
    """Every cause of a difference, with the pairs of substrates that it applies to."""
    groups: dict[str, list[str]] = {}
    for pair in pairs:
        for cause in pair.causes:
            groups.setdefault(cause, []).append(f"{pair.left}-{pair.right}")
    return {cause: ", ".join(names) for cause, names in groups.items()}


def _verdict(report: ParityReport) -> str:
    if report.broken:
        pairs = ", ".join(f"{pair.left} and {pair.right}" for pair in report.broken)
        return f"BROKEN: {pairs} should be identical and are not."
    if len(report.silent) == len(report.pairs[0].layers):
        return "No layer ever spiked, so no promise was tested."
    kept = [f"{pair.left} = {pair.right}" for pair in report.pairs if pair.promised]
    return f"All promises are kept: {', '.join(kept)}." if kept else "These substrates do not promise identical spikes."
