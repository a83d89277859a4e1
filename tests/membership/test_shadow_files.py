"""`shadows.json`: what is read, and how damage is reported."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bl_neuro as bl
from bl_neuro.errors import BlNeuroError, DataError, InputError, ModelFileError, UnknownSubstrate
from bl_neuro.membership import shadow_files
from bl_neuro.membership.shadow_files import read_manifest

NETWORK = bl.Network((6,), [bl.Dense(np.random.default_rng(0).normal(0.1, 0.3, (4, 6)), bl.CubaLIF())])
OTHER = bl.Network((6,), [bl.Dense(np.ones((4, 6)), bl.CubaLIF())])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two model files in different formats, without a manifest."""
    bl.save(NETWORK, tmp_path / "first.safetensors")
    bl.save(OTHER, tmp_path / "second.net")
    (tmp_path / "second.txt").write_text("3 1\n0")
    return tmp_path


def document(**changes: Any) -> dict[str, Any]:
    networks = [
        {"file": "first.safetensors", "trained_on": [4, 0]},
        {"file": "second.net", "trained_on": "second.txt"},
    ]
    return {"samples": 5, "networks": networks, **changes}


def write(folder: Path, content: Any) -> None:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "shadows.json").write_bytes(text)


def test_a_folder_that_somebody_wrote(folder: Path) -> None:
    write(folder, document())
    shadows = bl.load_shadows(str(folder), "snntorch", class_map=[3, 2, 1, 0])
    assert shadows.members.astype(int).tolist() == [[1, 0, 0, 0, 1], [1, 1, 0, 1, 0]]
    assert shadows.networks[0] == NETWORK
    assert shadows.networks[1].arithmetic == "loihi"
    assert (shadows.substrate, shadows.digest, len(shadows), shadows.samples) == ("snntorch", None, 2, 5)
    assert repr(shadows) == "<ShadowModels: 2 networks on snntorch, 5 samples>"
    assert shadows.subset(np.array([4, 1])).members.astype(int).tolist() == [[1, 0], [0, 1]]


def test_a_manifest_is_read_as_it_was_written(folder: Path) -> None:
    members = np.array([[True, False, True]])
    shadow_files.Manifest(3, ["first.safetensors"], members, "abc", {"trainer": "mine"}, 4).write(folder)
    stored = read_manifest(folder)
    assert (stored.samples, stored.files, stored.digest, stored.training, stored.seed) == (
        3, ("first.safetensors",), "abc", {"trainer": "mine"}, 4,
    )  # fmt: skip
    assert (stored.members == members).all()


def one(**changes: Any) -> dict[str, Any]:
    return document(networks=[{"file": "first.safetensors", "trained_on": [0], **changes}])


DAMAGED: dict[str, tuple[Any, str]] = {
    "nothing": (b"", "expected a manifest of shadow networks"),
    "cut": (json.dumps(document()).encode()[:-20], "expected a manifest of shadow networks"),
    "no text": (b"\xff\xfe{}", "expected a manifest of shadow networks"),
    "deep": (b"[" * 100_000, "expected a manifest of shadow networks"),
    "a list": ([], "expected an object, found list"),
    "an unknown key": (document(extra=1), "expected the keys samples, .* found 'extra'"),
    "no networks": ({"samples": 5}, "'networks' is missing"),
    "an empty list": (document(networks=[]), "networks: expected a list of 1 to"),
    "a negative size": (document(samples=-5), r"samples: expected 1\.\.16777216, found -5"),
    "true as a size": (document(samples=True), r"samples: expected 1\.\."),
    "a huge size": (document(samples=10**30), r"samples: expected 1\.\."),
    "too many values": (document(samples=2**24, networks=[{}] * 17), "networks: expected a list of 1 to 16 networks"),
    "a text as network": (document(networks=["first.net"]), r"networks\[0\]: expected an object with the keys"),
    "a path above": (one(file="../first.safetensors"), r"networks\[0\]\.file: expected the name of a file in the same"),
    "an absolute path": (one(file="/etc/passwd"), r"networks\[0\]\.file: expected the name of a file in the same"),
    "a pickle": (one(file="first.pt"), "expected a name ending in .net, .nir, .safetensors, found 'first.pt'"),
    "no indices": (one(trained_on=[]), r"networks\[0\]\.trained_on: expected a list of sample indices"),
    "fractions": (one(trained_on=[0.5]), r"networks\[0\]\.trained_on: expected a list of sample indices"),
    "booleans": (one(trained_on=[True]), r"networks\[0\]\.trained_on: expected a list of sample indices"),
    "an index too large": (one(trained_on=[5]), r"expected indices in 0\.\.4, found 5\.\.5"),
    "a huge index": (one(trained_on=[10**40]), r"expected indices in 0\.\.4"),
    "a negative index": (one(trained_on=[-1]), r"expected indices in 0\.\.4, found -1\.\.-1"),
    "an index twice": (one(trained_on=[1, 1]), "expected every index once"),
    "indices above": (one(trained_on="../second.txt"), "expected the name of a file in the same folder"),
    "missing indices": (one(trained_on="third.txt"), r"third\.txt: expected a file of sample indices"),
    "a file twice": (document(networks=document()["networks"][:1] * 2), "expected every file once"),
    "a number as digest": (document(digest=3), "digest, training, seed: expected"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_a_data_error(damage: str, folder: Path) -> None:
    content, message = DAMAGED[damage]
    write(folder, content)
    with pytest.raises(DataError, match=message):
        bl.load_shadows(folder)


def test_what_is_missing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"shadows\.json: expected a file that can be read"):
        bl.load_shadows(folder)
    with pytest.raises(DataError, match="expected a file that can be read"):
        bl.load_shadows(tmp_path / "nowhere")
    write(folder, document())
    (folder / "second.net").unlink()
    with pytest.raises(DataError, match=r"second\.net: expected the model file .* found nothing there"):
        bl.load_shadows(folder)
    (folder / "second.net").write_bytes(b"none")
    with pytest.raises(ModelFileError, match=r"second\.net"):
        bl.load_shadows(folder)


def test_a_manifest_larger_than_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow_files, "MOST_BYTES", 100)
    write(folder, document())
    with pytest.raises(DataError, match="expected at most 100 bytes"):
        bl.load_shadows(folder)


def test_links_lead_nowhere_else(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "network.net"
    bl.save(NETWORK, elsewhere)
    (folder / "second.net").unlink()
    os.symlink(elsewhere, folder / "second.net")
    write(folder, document())
    with pytest.raises(DataError, match="found a link to"):
        bl.load_shadows(folder)
    os.unlink(folder / "shadows.json")
    os.mkfifo(folder / "shadows.json")
    with pytest.raises(DataError, match="found a named pipe"):
        bl.load_shadows(folder)


def test_an_unknown_substrate_is_noticed_before_it_is_used(folder: Path) -> None:
    write(folder, document())
    with pytest.raises(UnknownSubstrate, match="loihi9"):
        bl.load_shadows(folder, "loihi9")
    with pytest.raises(UnknownSubstrate, match="loihi9"):
        bl.load_shadows(folder, "snntorch").on("loihi9")


def test_networks_that_do_not_fit_together(folder: Path) -> None:
    bl.save(bl.Network((3,), [bl.Dense(np.ones((4, 3)), bl.CubaLIF())]), folder / "second.net")
    write(folder, document())
    with pytest.raises(InputError, match="networks: expected the same inputs and outputs in all of them"):
        bl.load_shadows(folder)


@pytest.mark.parametrize("seed", range(40))
def test_mutated_manifests_raise_only_our_errors(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(json.dumps(document()).encode())
    for place in rng.integers(0, len(content), 3):
        content[place] = rng.integers(32, 127)
    write(folder, bytes(content))
    with suppress(BlNeuroError):
        assert bl.load_shadows(folder).members.any(axis=1).all()


@pytest.mark.parametrize(
    ("networks", "members", "message"),
    [
        ([], np.ones((0, 3), bool), "networks: expected one or more networks"),
        ([3], np.ones((1, 3), bool), "networks: expected one or more networks"),
        ([NETWORK], np.ones((2, 3), bool), "members: expected booleans"),
        ([NETWORK], np.ones((1, 3)), "members: expected booleans"),
        ([NETWORK], np.ones((1, 0), bool), "members: expected booleans"),
    ],
)
def test_wrong_shadow_models(networks: Any, members: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bl.ShadowModels(networks, members)
