"""The boxes that an attack in an audit uses: the target, or a box that hashes all of its answers."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bl_neuro.access import BlackBox, WhiteBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks import AnnBox, Inversions
from bl_neuro.attacks.ann_black_box import AnnBlackBox
from bl_neuro.backends import Target, find_backend, open_target
from bl_neuro.backends.base import is_held
from bl_neuro.errors import BudgetExceeded, EndpointRefused, ExperimentError, InputError, ModelFileError
from bl_neuro.experiment.cells import Cell
from bl_neuro.experiment.endpoint_access import read_token
from bl_neuro.experiment.material import Material
from bl_neuro.experiment.measures import AttackMeasures
from bl_neuro.mitigations.registry import mitigation_of
from bl_neuro.network import Network
from bl_neuro.remote import EndpointOptions, RemoteBlackBox, open_endpoint
from bl_neuro.reveals import Reveals
from bl_neuro.training import AnnTwin


def opened(network: Network, substrate: str, options: dict[str, Any] | None = None) -> Target:
    """Opens `network` on a substrate, with the options of the experiment and a single thread."""
    return open_target(network, substrate, **{**(options or {}), **find_backend(substrate).single_thread})


class CellView:
    """The boxes that an attack cell offers; see `TargetView`. `recorded`: the black box in use, if any.

    target: the attacked target, None for an endpoint or for `ann`, the ANN twin of a target. stack: closes the endpoint
    and the attacker's copy of the network.
    """

    def __init__(
        self, cell: Cell, target: Target | None, material: Material, stack: ExitStack, ann: AnnTwin | None = None
    ) -> None:
        self._cell, self._target, self._material, self._stack, self._ann = cell, target, material, stack, ann
        self.recorded: RecordedBox | None = None

    def white_box(self) -> WhiteBox:
        """See `TargetView.white_box`."""
        if self._target is None:
            raise InputError(
                f"{self._cell.what.name}: this attack needs the network, but an endpoint only answers queries"
            )
        return WhiteBox(self._target)

    def black_box(self) -> BlackBox:
        """See `TargetView.black_box`."""
        definition = self._cell.definition
        inner: BlackBox
        if self._ann is not None:
            inner = AnnBlackBox(self._ann, definition["reveals"], definition["budget"])
        elif self._target is None:
            inner = self._stack.enter_context(
                opened_endpoint(
                    self._material, definition["substrate"], definition["budget"], session=self._cell.address
                )
            )
        else:
            mitigation = mitigation_of(definition.get("mitigation"))
            inner = BlackBox(self._target, definition["reveals"], definition["budget"], mitigation, definition["seed"])
        self.recorded = RecordedBox(inner)
        return self.recorded

    def twin(self) -> WhiteBox:
        """See `TargetView.twin`."""
        network = self._target.network if self._target is not None else self._material.network
        if network is None:
            raise InputError(f"{self._cell.what.name}: this attack needs a copy of the network; add a [model]")
        return WhiteBox(self._stack.enter_context(opened(network, self._cell.definition["twin"])))

    def auxiliary_images(self) -> FloatArray:
        """See `TargetView.auxiliary_images`."""
        auxiliary = self._material.auxiliary
        if auxiliary is None:
            raise InputError(f"{self._cell.what.name}: this attack needs images of the attacker; add [auxiliary]")
        return auxiliary.images.astype(np.float64)

    def ann_box(self) -> AnnBox:
        """See `TargetView.ann_box`."""
        if self._ann is None:
            raise InputError(
                f"{self._cell.what.name}: this attack needs a network that does not spike, but targets spike"
            )
        return AnnBox(self._ann)


class RecordedBox(BlackBox):
    """Wraps `box`; `digest` is the SHA-256 of every query and answer so far."""

    __slots__ = ("_box", "_digest")

    def __init__(self, box: BlackBox) -> None:
        self._box = box
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def reveals(self) -> Reveals:
        """See `BlackBox.reveals`."""
        return self._box.reveals

    @property
    def input_shape(self) -> tuple[int, ...]:
        """See `BlackBox.input_shape`."""
        return self._box.input_shape

    @property
    def classes(self) -> int:
        """See `BlackBox.classes`."""
        return self._box.classes

    @property
    def budget(self) -> int | None:
        """See `BlackBox.budget`."""
        return self._box.budget

    @property
    def spent(self) -> int:
        """See `BlackBox.spent`."""
        return self._box.spent

    @property
    def remaining(self) -> int | None:
        """See `BlackBox.remaining`."""
        return self._box.remaining

    def query(self, spikes: Any) -> Tensor:
        """See `BlackBox.query`."""
        answer = self._box.query(spikes)
        asked = torch.as_tensor(spikes)
        self._add(asked[:1] if is_held(asked) else asked, len(asked))
        self._add(answer.double(), 1)  # of one dtype, whatever the substrate's, which loses nothing
        return answer

    def __repr__(self) -> str:
        return f"RecordedBox({self._box!r})"

    def _add(self, values: Tensor, times: int) -> None:
        self._digest.update(repr((times, str(values.dtype), tuple(values.shape))).encode())
        self._digest.update(values.contiguous().numpy().tobytes())


class EndpointBox(RemoteBlackBox):
    """A `RemoteBlackBox` whose endpoint must answer all queries that the attack plans."""

    __slots__ = ()

    def query(self, spikes: Any) -> Tensor:
        """See `BlackBox.query`. Raises EndpointRefused if the endpoint's budget is spent before the attack's own."""
        left = self.remaining
        try:
            return super().query(spikes)
        except BudgetExceeded as error:
            if left is not None and left < spikes.shape[1]:
                raise
            raise EndpointRefused(
                f"{error}; the attack needs up to {self.budget} queries in all: ask the operator of the endpoint for "
                "a larger budget and run the audit again; queries that were already answered are not charged again"
            ) from error


def opened_endpoint(material: Material, substrate: str, budget: int | None, session: str) -> EndpointBox:
    """Opens an endpoint that is a substrate of an experiment. session: the address of the cell that queries it.

    Raises:
        ExperimentError: the endpoint serves something other than the experiment states. EndpointError: see
            `RemoteBlackBox`.
    """
    part = material.endpoints[substrate]
    input_shape, outputs = material.input_shape(substrate), len(material.class_map)
    options: EndpointOptions = {
        "input": part.input,
        "output": part.output,
        "input_shape": part.input_shape,
        "classes": part.classes,
        "layout": part.layout,
        "certificates": None if part.certificates is None else material.folder / part.certificates,
        "session": session,
        "token": None if material.token_file is None else read_token(material.token_file),
    }
    box = open_endpoint(part.url, part.reveals, budget, options, EndpointBox, part.token)
    if box.input_shape != input_shape or box.classes != outputs:
        box.close()
        raise ExperimentError(
            f"endpoint {part.name}: expected inputs {input_shape} and {outputs} classes, as the experiment has them; "
            f"it takes {box.input_shape} and tells {box.classes} apart. Give input_shape, or class_map"
        )
    return box


def differences(again: Inversions, digest: str | None, kept: Path, measures: AttackMeasures) -> list[str]:
    """The parts of the replay `again` that differ: "inversions", "course", "queries", "status", "answers".

    Empty if the replay is identical. digest: of all queries and answers; see `RecordedBox`. kept, measures: tensors and
    measures of the first run.

    Raises:
        ModelFileError: the inversions of the first run cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        first = load_file(kept)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{kept}: cannot be read as inversions ({error})") from error
    trace = again.trace
    course = {"queries": trace.queries, "objective": trace.objective, "rates": trace.rates}
    equal = {
        "inversions": torch.equal(first["spikes"], again.spikes) and torch.equal(first["classes"], again.classes),
        "course": all(torch.equal(first[f"trace.{name}"], value) for name, value in course.items()),
        "queries": measures.queries == again.queries,
        "status": measures.status == again.status,
        "answers": measures.answers == digest,
    }
    return [name for name, same in equal.items() if not same]
