"""Runs audits of experiments and of existing models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bl_neuro.api.experiment import AttackLike, Table
from bl_neuro.api.model import Model, ModelData, prepared_model_audit
from bl_neuro.api.plan import AuditPlan, plan_of
from bl_neuro.api.progress import AuditProgress, audit_progress
from bl_neuro.api.result import AuditResult
from bl_neuro.experiment.comparison import read_results
from bl_neuro.experiment.definition import Experiment
from bl_neuro.experiment.given_model import Recognised, VerifyOn
from bl_neuro.experiment.session import Audit
from bl_neuro.experiment.trained_cache import stated_limit
from bl_neuro.files import expanded
from bl_neuro.report import write_report


def audit(
    experiment: str | Path | Experiment,
    out: str | Path | None = None,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    root: str | Path | None = None,
    progress: AuditProgress = "auto",
    allow_endpoints: bool = False,
    token_file: str | Path | None = None,
    cache: bool = True,
) -> AuditResult:
    """Runs an experiment and writes a report on how much targets leak, and whether their substrate changes that.

        bl.audit("demo")
        bl.audit("mine.toml", out="runs/mine", jobs=2)
        bl.audit(bl.Experiment(name="mine", dataset="digits", seeds=4, substrates=["loihi"], attacks=["v1"]))

    Cells that are done are not run again, so an interrupted audit continues where it stopped.

    experiment: the name of a built-in experiment, the path of a TOML file, or an `Experiment`. out: folder for the
    results, runs/NAME by default. jobs: number of worker processes. scheduler: tcp://HOST:PORT of a Dask scheduler
    whose workers run the cells, or "local" for a Dask cluster on this machine. root: folder of downloaded datasets,
    BL_NEURO_DATA by default. progress: "auto" for a progress bar on terminals and in notebooks, a function that is
    called with a `RunState` after each cell, or None. allow_endpoints: whether an experiment file may name endpoints on
    other machines; those of an `Experiment` are allowed. token_file: a file of one line, the token of the endpoints,
    instead of the environment variables that the experiment names. cache: whether trained networks and evaluators, and
    the costs of cells, are shared with other runs through the user's cache folder; see docs/audit.md.

    Raises:
        ExperimentError: the experiment is missing or invalid; `problems` lists all problems. Or an experiment file
            names endpoints on other machines, and allow_endpoints is False. DataError, ModelFileError:
            its data or its model is missing or damaged. ReportError: results cannot be written, or another run uses the
            folder, or it holds an audit of another model or dataset. SubstrateFailed: workers do not start.
    """
    prepared = Audit.of(
        experiment, _path(out), _path(root), allow_endpoints=allow_endpoints, token_file=_path(token_file), cache=cache
    )
    return run_audit(prepared, jobs=jobs, scheduler=scheduler, progress=progress)


def audit_model(
    model: Model,
    data: ModelData,
    out: str | Path | None = None,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    root: str | Path | None = None,
    progress: AuditProgress = "auto",
    attacks: Sequence[AttackLike] | None = None,
    evaluators: Sequence[str | Table] | None = None,
    queries: int | None = None,
    restarts: int = 5,
    substrates: Sequence[str] | None = None,
    verify_on: VerifyOn = None,
    trained_on: str | Path | Sequence[int] | None = None,
    steps: int | None = None,
    encoder: str | None = None,
    input_range: Sequence[float] | None = None,
    readout: str | None = None,
    class_map: Sequence[int] | None = None,
    layers: int | None = None,
    input_shape: Sequence[int] | None = None,
    convention: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    auxiliary: str | Path | None = None,
    baselines: Sequence[str] | None = None,
    cache: bool = True,
    on_recognised: Callable[[Recognised], object] | None = None,
) -> AuditResult:
    """Audits a trained model: attacks it, judged by evaluators that are trained on `data`.

        bl.audit_model("exported.net", "mnist", trained_on="train")
        bl.audit_model(network, bl.data.load_dataset("mine.npz"), out="runs/mine", queries=640)
        bl.audit_model(network, "digits", attacks=["v2", bl.CmaEs(queries=640)], evaluators=["conv"])

    model: a `Network`, a module of snnTorch, Norse or SLAYER, or the path of a .safetensors, .net or .nir file. A
    network or a module is first written to `out`. data: the dataset that the model classifies: its name, the path of an
    .npz file or of a folder with one subfolder of images per class, or a dataset object. trained_on: the samples that
    the model was trained on, which are kept from evaluators: "train" for the official training set, sample indices, or
    a file of them.

    out: folder for the results, by default runs/NAME-FINGERPRINT with the name of the file and the fingerprint of the
    network. A folder with an audit of another model or dataset is refused. jobs, scheduler, root, progress,
    cache: as in `audit`.

    attacks: names, attack objects or tables as in `Experiment`; by default those that declare `audits_models`: v1 and
    v2. An attack given by its name has the settings that suit the dataset. evaluators: kinds or tables; by default
    those that declare `audits_models`: conv and spiking. queries: number of queries per class of the attacks given by
    name. Those of a warm start are added: v2 with queries=128 makes 192 queries per class of digits. restarts: number
    of inversions per class, which intervals and tests are over. substrates: by default an installed
    floating-point substrate that can run the model, and `loihi`. verify_on: the substrate on which spikes are verified
    and attacks repeated; by default the one that `loihi` emulates, Lava's simulator, if it is installed; False for
    none.

    steps, encoder ("rate", "held", "direct"), input_range, readout ("spikes", "membrane") and class_map (the class of
    each output) say how the model encodes its inputs and outputs; what is None is inferred from the data.
    on_recognised: a function that is called with the result, a `Recognised`, before the attacks start. layers,
    input_shape, convention, dt, reset: how to read the file, as in `bl_neuro.load`.

    auxiliary: public data that the attacker holds: a dataset other than `data`, as its name or path. baselines: names
    of attackers who ask nothing, which attacks are compared with, by default all that apply; [] for none.

    Raises:
        InputError, ExperimentError, DataError, ModelFileError: the model or the data cannot be audited, or they do not
            fit together. The other errors are those of `audit`.
    """
    with prepared_model_audit(
        model,
        data,
        _path(out),
        _path(root),
        attacks=attacks,
        evaluators=evaluators,
        queries=queries,
        restarts=restarts,
        substrates=substrates,
        verify_on=verify_on,
        trained_on=trained_on,
        steps=steps,
        encoder=encoder,
        input_range=input_range,
        readout=readout,
        class_map=class_map,
        layers=layers,
        input_shape=input_shape,
        convention=convention,
        dt=dt,
        reset=reset,
        auxiliary=auxiliary,
        baselines=baselines,
        cache=cache,
    ) as (prepared, recognised):
        if on_recognised is not None:
            on_recognised(recognised)
        return run_audit(prepared, jobs=jobs, scheduler=scheduler, progress=progress)


def plan_audit_model(
    model: Model,
    data: ModelData,
    out: str | Path | None = None,
    *,
    root: str | Path | None = None,
    attacks: Sequence[AttackLike] | None = None,
    evaluators: Sequence[str | Table] | None = None,
    queries: int | None = None,
    restarts: int = 5,
    substrates: Sequence[str] | None = None,
    verify_on: VerifyOn = None,
    trained_on: str | Path | Sequence[int] | None = None,
    steps: int | None = None,
    encoder: str | None = None,
    input_range: Sequence[float] | None = None,
    readout: str | None = None,
    class_map: Sequence[int] | None = None,
    layers: int | None = None,
    input_shape: Sequence[int] | None = None,
    convention: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    auxiliary: str | Path | None = None,
    baselines: Sequence[str] | None = None,
    cache: bool = True,
    on_recognised: Callable[[Recognised], object] | None = None,
) -> AuditPlan:
    """Plans the audit of a model without running or writing anything. Arguments and errors are those of `audit_model`.

    A model or dataset object, and a relative path beside it, have another name in the experiment of the plan.
    """
    with prepared_model_audit(
        model,
        data,
        _path(out),
        _path(root),
        plan=True,
        attacks=attacks,
        evaluators=evaluators,
        queries=queries,
        restarts=restarts,
        substrates=substrates,
        verify_on=verify_on,
        trained_on=trained_on,
        steps=steps,
        encoder=encoder,
        input_range=input_range,
        readout=readout,
        class_map=class_map,
        layers=layers,
        input_shape=input_shape,
        convention=convention,
        dt=dt,
        reset=reset,
        auxiliary=auxiliary,
        baselines=baselines,
        cache=cache,
    ) as (prepared, recognised):
        if on_recognised is not None:
            on_recognised(recognised)
        return plan_of(prepared)


def run_audit(
    prepared: Audit, *, jobs: int = 1, scheduler: str | None = None, progress: AuditProgress = "auto", **options: Any
) -> AuditResult:
    """Runs the cells of a prepared audit and writes results.json, report.html and summary.md to its folder."""
    prepared.need_access()
    if prepared.cache:
        stated_limit()  # an invalid limit is an error here, not in a worker
    with prepared.store.locked():
        with audit_progress(prepared, progress) as on_change:
            state = prepared.run(jobs, on_change, scheduler, **options)
        findings, pictures = prepared.findings(), prepared.pictures()
        write_report(findings, pictures, prepared.store.folder)
    return AuditResult(
        findings,
        prepared.store.folder,
        tuple(state.failed),
        len(state.left_out),
        tuple(state.torn),
        pictures,
        state.copied,
    )


def load_audit(folder: str | Path) -> AuditResult:
    """Loads a finished audit from its folder or its `results.json`.

    Raises:
        ReportError: there is no audit, or it is damaged.
    """
    path = expanded(folder)
    return AuditResult(read_results(path), path if path.is_dir() else path.parent)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else expanded(path)
