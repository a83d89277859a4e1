"""Folders of shadow networks: model files, and `shadows.json` with the samples that each was trained on.

    {"samples": 1797,
     "networks": [{"file": "first.safetensors", "trained_on": [0, 5, 6]},
                  {"file": "second.net", "trained_on": "second.txt"}]}

samples is the size of the dataset. trained_on lists indices of its samples, or names a file of them in the folder (see
`bl_neuro.data.sample_indices`). Folders of `train_shadows` also have "digest", which identifies the samples, "training"
and "seed". Files are untrusted: nothing is unpickled or executed, every size is bounded, and no name leads out of the
folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import BoolArray, IntArray
from bl_neuro.backends import find_backend
from bl_neuro.data.sample_indices import SUFFIXES as INDEX_SUFFIXES
from bl_neuro.data.sample_indices import read_sample_indices
from bl_neuro.errors import DataError, InputError, ReportError
from bl_neuro.files import expanded, write_text
from bl_neuro.membership.shadow_models import ShadowModels
from bl_neuro.mitigations.base import Mitigation
from bl_neuro.model_file import SUFFIXES, load
from bl_neuro.network import Network
from bl_neuro.strangers.door import need_inside, read_bytes

MANIFEST = "shadows.json"
MOST_BYTES = 2**26
"""Maximum size of a manifest."""
MOST_NETWORKS = 4096
MOST_SAMPLES = 2**24
MOST_VALUES = 2**28
"""Maximum number of networks times samples."""
KEYS = ("samples", "networks", "digest", "training", "seed")


@dataclass(frozen=True, eq=False)
class Manifest:
    """The content of `shadows.json`.

    samples: size of the dataset. files: the model file of each network. members (N, samples): which samples each was
    trained on. digest: identifies the samples, or None. training, seed: how `train_shadows` trains them; empty and None
    otherwise.
    """

    samples: int
    files: Sequence[str]
    members: BoolArray
    digest: str | None = None
    training: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None

    def write(self, folder: Path) -> None:
        """Writes the manifest, atomically. Raises ReportError if this is not possible."""
        networks = [
            {"file": name, "trained_on": np.flatnonzero(inside).tolist()}
            for name, inside in zip(self.files, self.members)
        ]
        facts = {"samples": self.samples, "digest": self.digest, "training": dict(self.training), "seed": self.seed}
        try:
            write_text(folder / MANIFEST, json.dumps({**facts, "networks": networks}) + "\n")
        except OSError as error:
            raise ReportError(f"{folder / MANIFEST}: could not be written ({error})") from error


def load_shadows(
    folder: str | Path,
    substrate: str = "loihi",
    *,
    mitigation: Mitigation | None = None,
    class_map: Sequence[int] | None = None,
) -> ShadowModels:
    """Loads the shadow networks of a folder with `shadows.json`; see `bl_neuro.membership.shadow_files`.

        shadows = bl.load_shadows("shadows", substrate="lava")

    substrate, mitigation, class_map: see `ShadowModels`.

    Raises:
        DataError: the folder or its manifest is missing or damaged, or a model file is missing. ModelFileError: a model
            file is damaged. InputError: the networks do not fit together. UnknownSubstrate: no substrate has that name.
    """
    find_backend(substrate)
    place = expanded(folder, "folder")
    manifest = read_manifest(place)
    networks = [_network(place, name) for name in manifest.files]
    try:
        return ShadowModels(networks, manifest.members, substrate, mitigation, class_map, manifest.digest)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _network(folder: Path, name: str) -> Network:
    path = folder / name
    need_inside(path, folder)
    if not path.exists():
        raise DataError(
            f"{path}: expected the model file that {MANIFEST} names, found nothing there; if the training of these "
            "networks was interrupted, run it again to continue"
        )
    return load(path)


def read_manifest(folder: Path) -> Manifest:
    """Reads `shadows.json`, without the networks.

    Raises:
        DataError: it is missing, too large or damaged, or a file of indices is.
    """
    path = folder / MANIFEST
    content = read_bytes(path, MOST_BYTES)
    try:
        document = json.loads(content.decode("utf-8-sig"))
        return _manifest(document, folder)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: expected a manifest of shadow networks ({reason})") from error


def _manifest(document: Any, folder: Path) -> Manifest:
    if not isinstance(document, dict):
        raise ValueError(f"expected an object, found {type(document).__name__}")
    unknown = sorted(set(document) - set(KEYS))
    if unknown:
        raise ValueError(f"expected the keys {', '.join(KEYS)}, found {unknown[0][:80]!r}")
    samples, networks = document["samples"], document["networks"]
    if type(samples) is not int or not 1 <= samples <= MOST_SAMPLES:
        raise ValueError(f"samples: expected 1..{MOST_SAMPLES}, found {samples!r:.80}")
    if not isinstance(networks, list) or not 1 <= len(networks) <= min(MOST_NETWORKS, MOST_VALUES // samples):
        raise ValueError(f"networks: expected a list of 1 to {min(MOST_NETWORKS, MOST_VALUES // samples)} networks")
    names, members = [], np.zeros((len(networks), samples), dtype=bool)
    for number, network in enumerate(networks):
        if not isinstance(network, dict) or set(network) != {"file", "trained_on"}:
            raise ValueError(f"networks[{number}]: expected an object with the keys file and trained_on")
        names.append(_name(network["file"], SUFFIXES, f"networks[{number}].file"))
        members[number, _indices(network["trained_on"], samples, folder, f"networks[{number}].trained_on")] = True
    if len(set(names)) < len(names):
        raise ValueError("networks: expected every file once")
    digest, training, seed = document.get("digest"), document.get("training") or {}, document.get("seed")
    if not isinstance(digest, str | None) or not isinstance(training, dict) or type(seed) not in (int, type(None)):
        raise ValueError("digest, training, seed: expected a text, an object and a whole number")
    return Manifest(samples, tuple(names), members, digest, training, seed)


def _name(value: Any, suffixes: Sequence[str], place: str) -> str:
    """A file name within the folder, with one of these suffixes."""
    if not isinstance(value, str) or Path(value).name != value or "\\" in value or "\0" in value:
        raise ValueError(f"{place}: expected the name of a file in the same folder, found {value!r:.80}")
    if Path(value).suffix not in suffixes:
        raise ValueError(f"{place}: expected a name ending in {', '.join(suffixes)}, found {value!r:.80}")
    return value


def _indices(value: Any, samples: int, folder: Path, place: str) -> IntArray:
    if isinstance(value, str):
        path = folder / _name(value, INDEX_SUFFIXES, place)
        need_inside(path, folder)
        return read_sample_indices(path, samples)
    if not isinstance(value, list) or not value or not all(type(index) is int for index in value):
        raise ValueError(f"{place}: expected a list of sample indices, or the name of a file of them")
    if min(value) < 0 or max(value) >= samples:
        raise ValueError(f"{place}: expected indices in 0..{samples - 1}, found {min(value)}..{max(value)}")
    indices = np.array(value, dtype=np.int64)
    if len(np.unique(indices)) < len(indices):
        raise ValueError(f"{place}: expected every index once")
    return indices
