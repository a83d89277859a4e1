"""`bl-neuro verify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bl_neuro.cli.model import ModelRequest
from bl_neuro.cli.output import print_json, print_table, progress_bars, say
from bl_neuro.deploy.parity import PairParity, ParityReport, compare, read_inputs
from bl_neuro.deploy.parity.drawing import draw
from bl_neuro.errors import InputError
from bl_neuro.files import need_folder

FAILED = 1


@dataclass(frozen=True)
class VerifyRequest:
    """What was asked for on the command line."""

    model: ModelRequest
    backends: str | None
    inputs: Path | None
    steps: int | None
    batch: int
    start: str
    all_pairs: bool
    out: Path | None
    seed: int


def verify(request: VerifyRequest, as_json: bool) -> int:
    """Compares substrates on one network, says where they differ and why, and returns the exit code."""
    if request.start not in ("aligned", "cold"):
        raise InputError(f"--start: expected aligned or cold, found {request.start!r}")
    network = request.model.open()
    inputs = None if request.inputs is None else read_inputs(request.inputs)
    if request.out is not None:
        need_folder(request.out)
    with progress_bars() as stages:
        report = compare(
            network,
            None if request.backends is None else _names(request.backends),
            inputs,
            start=request.start,  # type: ignore[arg-type]  # was checked
            steps=request.steps,
            batch=request.batch,
            seed=request.seed,
            pairs="all" if request.all_pairs else "reference",
            progress=stages.stage("comparing substrates"),
        )
    pictures = [] if request.out is None else draw(report, request.out)
    if as_json:
        print_json({"model": str(request.model.path), **report.to_json(), "pictures": [str(path) for path in pictures]})
    else:
        _say(report, pictures)
    return FAILED if report.broken else 0


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"--backends: expected names of substrates, comma-separated, found {text!r}")
    return names


def _say(report: ParityReport, pictures: list[Path]) -> None:
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
    _say_exercised(report)
    for name, reason in report.declined.items():
        say(f"Not compared: {name}: {reason}")
    if report.network.has_bias:
        other = "cold" if report.start == "aligned" else "aligned"
        say(f"Start: {report.start}. The network has biases: a {other} start gives other spikes; see --start {other}")
    for path in pictures:
        say(f"Written: {path}")
    say("\n" + _verdict(report))


def _title(report: ParityReport) -> str:
    samples = report.pairs[0].samples
    seconds = ", ".join(f"{name} {spent:.1f} s" for name, spent in report.seconds.items())
    return f"{samples} samples of {report.steps} steps ({seconds})"


def _say_exercised(report: ParityReport) -> None:
    """How much of the network was awake: of silent neurons nothing is known."""
    pair = report.pairs[0]
    columns = ["layer", "", "spikes", "neurons that spiked"]
    rows = [
        [str(layer.layer), layer.kind, f"{layer.spikes[1]:,}", f"{layer.active[1]:,} of {layer.neurons:,}"]
        for layer in pair.layers
    ]
    print_table(f"\nWhat was exercised, on {pair.right}", columns, rows, numbers_from=2)
    for index in report.silent:
        seen = any(each.membrane_difference is not None for each in report.pairs)
        last = seen and index == pair.layers[-1].layer
        but = "nothing but the output's membrane was compared there" if last else "nothing was compared there"
        say(f"Layer {index} never spiked: {but}.")


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
    """Each cause once, with the pairs it is about."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        for cause in pair.causes:
            found.setdefault(cause, []).append(f"{pair.left}-{pair.right}")
    return {cause: ", ".join(names) for cause, names in found.items()}


def _verdict(report: ParityReport) -> str:
    if report.broken:
        told = ", ".join(f"{pair.left} and {pair.right}" for pair in report.broken)
        return f"BROKEN: {told} should be identical and are not."
    if len(report.silent) == len(report.pairs[0].layers):
        return "No layer ever spiked: no promise was put to the test."
    kept = [f"{pair.left} = {pair.right}" for pair in report.pairs if pair.promised]
    return f"Every promise is kept: {', '.join(kept)}." if kept else "No pair of these promises identical spikes."
