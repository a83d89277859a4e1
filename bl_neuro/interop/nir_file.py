"""Reading and writing NIR files (`.nir`, the HDF5 format of neuroir.org). The package `nir` is not needed.

Files written by bl_neuro contain the complete network, as NIR's equations with a time step of 1 and exactly in
metadata: reading one gives a network with the same fingerprint. Files of other programs do not determine how continuous
time is discretized; one of the conventions in `nir_neurons` must be given.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from bl_neuro.errors import InputError, ModelFileError, NestedShapeIgnored, NetworkError, SilentLayers, Unsupported
from bl_neuro.interop.nir_network import network_of
from bl_neuro.interop.nir_traces import suggestion
from bl_neuro.interop.nir_values import CONVENTIONS, NORSE_DT, SNNTORCH_DT, Convention, Discrete
from bl_neuro.interop.nir_write import DT, WRITER, write_nir
from bl_neuro.network import Network, Readout
from bl_neuro.neuron import RESETS, Reset
from bl_neuro.silent_layers import STEPS, silent_layers
from bl_neuro.strangers.hdf5_file import first_refusal, read_hdf5
from bl_neuro.strangers.tree_frames import Tree

__all__ = ["read_nir", "write_nir"]


def read_nir(
    path: str | Path,
    *,
    convention: Convention | None = None,
    dt: float | None = None,
    reset: Reset | None = None,
    readout: Readout = "spikes",
) -> Network:
    """Reads and validates a network from a NIR file.

    convention: convention of the program that wrote the file, "nir" (NIR's literal equations), "snntorch" or "norse";
    see `nir_neurons`. dt: time step in the file's unit of time; required for "nir", known for the others. reset: reset
    of the neurons; required for "snntorch", whose exporter does not write it: "subtract_delayed" for snnTorch's
    default, "zero" for reset_mechanism="zero". Files written by bl_neuro need none of these and contain their readout.

    Spikes that return to their neurons through a loop arrive one time step later; see `nir_linear_nodes.loop_weight`.

    If no neuron of a layer can spike, the warning `SilentLayers` is issued.

    Raises:
        ModelFileError: the file is missing, damaged, too large, or contains no network that can be read exactly.
        InputError: an argument is invalid.
    """
    if convention is not None and convention not in CONVENTIONS:
        raise InputError(f"convention: expected one of {', '.join(CONVENTIONS)}, found {convention!r}")
    if reset is not None and reset not in RESETS:
        raise InputError(f"reset: expected one of {', '.join(RESETS)}, found {reset!r}")
    if dt is not None and (isinstance(dt, bool) or not isinstance(dt, (int, float)) or not 0 < dt < np.inf):
        raise InputError(f"dt: expected a number above 0, found {dt!r}")
    source = Path(path)
    tree = read_hdf5(source, "a NIR file", chunks=True)
    refusal = first_refusal(tree)
    if refusal is not None:
        raise ModelFileError(f"{source}: {refusal}")
    try:
        graph = tree.get("node")
        if not isinstance(graph, dict) or graph.get("type") != "NIRGraph":
            raise NetworkError(["expected a NIR graph under /node"])
        notes = graph.get("metadata")
        is_own = isinstance(notes, dict) and notes.get("writer") == WRITER
        discretization = Discrete("nir", DT, is_own=True) if is_own else _discrete(graph, convention, dt, reset)
        reading = network_of(graph, discretization, notes["readout"] if is_own and isinstance(notes, dict) else readout)
        network = reading.network
        if is_own and isinstance(notes, dict) and notes.get("fingerprint") != network.fingerprint:
            raise NetworkError(["damaged: its values do not match its fingerprint"])
    except (NetworkError, Unsupported) as error:
        raise ModelFileError(f"{source}: {error}") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(f"{source}: malformed ({type(error).__name__}: {str(error)[:200]})") from error
    for text in reading.ignored:
        warnings.warn(f"{source}: {text}; the shape of a nested graph is ignored", NestedShapeIgnored, stacklevel=3)
    if not is_own:
        _warn_of_silence(source, network, discretization)
    return network


def _warn_of_silence(source: Path, network: Network, discretization: Discrete) -> None:
    silent = silent_layers(network)
    if silent:
        warnings.warn(
            f"{source}: read with the convention {discretization.convention!r} and dt={discretization.dt:g}, no neuron "
            f"of {'layer' if len(silent) == 1 else 'layers'} {', '.join(map(str, silent))} can spike within {STEPS} "
            "time steps, whatever the input; is this the convention and the time step of the program that wrote it?",
            SilentLayers,
            stacklevel=4,  # the code that called `bl_neuro.load`
        )


def _discrete(graph: Tree, convention: Convention | None, dt: float | None, reset: Reset | None) -> Discrete:
    """The discretization of a file of another program; NetworkError if an argument is missing."""
    if convention is None:
        raise NetworkError(
            [
                f"the file does not determine how its continuous time is discretized. {suggestion(graph)}Give its "
                "convention: 'snntorch' with reset='subtract_delayed' or 'zero', 'norse', or 'nir' with dt= for NIR's "
                "literal equations; on the command line --convention, --reset, --dt"
            ]
        )
    if convention == "snntorch":
        if reset is None:
            raise NetworkError(
                [
                    "snnTorch's exporter writes v_reset = 0 for every kind of reset: give reset='subtract_delayed' "
                    "(snnTorch's default) or 'zero'"
                ]
            )
        return Discrete(convention, SNNTORCH_DT if dt is None else dt, reset)
    if reset not in (None, "zero"):
        raise NetworkError([f"reset '{reset}': {convention} files contain v_reset, to which their neurons reset"])
    if convention == "norse":
        return Discrete(convention, NORSE_DT if dt is None else dt)
    if dt is None:
        raise NetworkError(["convention 'nir' needs dt=, the time step in the file's unit of time"])
    return Discrete(convention, dt)
