"""Reading Lava's netx HDF5 format, `.net`, into a network in Loihi's arithmetic that holds the file's very integers.

A file is read as lava-dl 0.6.0's `netx.hdf5.Network` would, or refused: where netx would ignore something that changes
the answer, clip it to nothing or fail, the file has a problem, and all problems of a file are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bl_neuro.checks import whole_number
from bl_neuro.deploy.hdf5_access import DAMAGED, Budget, CheckedGroup
from bl_neuro.deploy.net_blocks import Chain, add_block
from bl_neuro.deploy.net_note import with_note
from bl_neuro.errors import InputError, ModelFileError, NetworkError
from bl_neuro.files import what_is_at
from bl_neuro.layers import Shape
from bl_neuro.loihi_numbers import THRESHOLD_MAX
from bl_neuro.network import MAX_FILE_BYTES, MAX_VALUES, Network, Readout, checked_input_shape

MAX_BLOCKS = 256


def read_net(path: str | Path, layers: int | None = None, input_shape: Iterable[int] | None = None) -> Network:
    """The network of a `.net` file, every value as the file states it.

    layers: read only the first so many blocks, for files whose later blocks cannot be held.
    input_shape: of one frame, (features,) or (channels, height, width), for files whose first block does not state it:
    what Lava-DL exports without an input block. Where a file states one, it has to be the same.

    Raises:
        ModelFileError: the file is missing, damaged or too large, or holds what cannot be computed exactly; its
            `problems` lists everything.
        InputError: layers is not a whole number of at least 1, or input_shape is none.
    """
    count = None if layers is None else whole_number(layers)
    if layers is not None and (count is None or count < 1):
        raise InputError(f"layers: expected a whole number of at least 1, found {layers!r}")
    taken = None if input_shape is None else checked_input_shape(input_shape)
    source = Path(path)
    problems: list[str] = []
    size = _size(source)
    with _opened(source) as file:
        root = CheckedGroup(file, "file", Budget(MAX_VALUES, size), problems)
        network = _network(root, count, taken)
    if network is None or problems:
        raise ModelFileError(f"{source}: {'; '.join(_each_once(problems))}", problems)
    return network


def _each_once(problems: list[str]) -> list[str]:
    """The problems, with those that several blocks share said once: "block 1 (conv), block 2 (conv): ..."."""
    places: dict[str, list[str]] = {}
    for problem in problems:
        place, _, said = problem.partition(": ")
        places.setdefault(said, []).append(place)
    return [f"{_listed(found)}: {said}" for said, found in places.items()]


def _listed(places: list[str]) -> str:
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return ", ".join(places[:3]) + more


def _size(path: Path) -> int:
    found = what_is_at(path)
    if found != "a file":
        raise ModelFileError(f"{path}: expected a .net file, found {found}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ModelFileError(f"{path}: {size} bytes; at most {MAX_FILE_BYTES} are read")
    return size


def _opened(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except (*DAMAGED, MemoryError) as error:
        raise ModelFileError(f"{path}: not a readable HDF5 file ({' '.join(str(error).split())[:200]})") from error


def _network(root: CheckedGroup, count: int | None, taken: Shape | None) -> Network | None:
    """The network of the file; None where there are problems."""
    listed = root.group("layer", "layer")
    chain = Chain(taken)
    for index, block in enumerate([] if listed is None else _numbered_blocks(listed, count)):
        add_block(chain, block, index)
    if root.problems:
        return None
    if chain.input_shape is None:
        root.complain("expected at least one block with neurons")
        return None
    try:
        network = Network(chain.input_shape, chain.layers, natural_readout(chain.layers), "loihi")
    except NetworkError as error:
        root.problems.extend(error.problems)
        return None
    return with_note(network, root)


def natural_readout(layers: Any) -> Readout:
    """How a network that ends in `layers` names its class: by its membrane where its last neurons cannot fire."""
    neurons = [layer.neuron for layer in layers if hasattr(layer, "neuron")]
    return "membrane" if neurons and neurons[-1].threshold.max() >= THRESHOLD_MAX - 1 else "spikes"


def _numbered_blocks(listed: CheckedGroup, count: int | None) -> list[CheckedGroup]:
    """The first `count` blocks, or all of them, in order."""
    keys = listed.keys()
    if len(keys) > MAX_BLOCKS:
        listed.complain(f"at most {MAX_BLOCKS} blocks, found {len(keys)}")
        return []
    missing = sorted({str(index) for index in range(len(keys))} - set(keys), key=int)
    if missing or not keys:
        listed.complain(f"expected blocks numbered from 0, found {', '.join(keys[:8])[:120] or 'none'}")
        return []
    if count is not None and count > len(keys):
        listed.complain(f"expected {count} blocks, as asked for, found {len(keys)}")
        return []
    found = [listed.group(str(index), f"block {index}") for index in range(len(keys) if count is None else count)]
    return [block for block in found if block is not None]
