from __future__ import annotations

import numpy as np
import pytest

from bl_neuro import Network, Unsupported
from bl_neuro.arrays import SpikeArray
from bl_neuro.interop.checked import BATCH, DENSITIES, SEEDS, STEPS, LayerTrace, reference_traces, require_same


def test_the_same_passes(small_network: Network) -> None:
    shapes = []

    def own(spikes: SpikeArray) -> tuple[list[LayerTrace], None]:
        shapes.append(spikes.shape)
        return reference_traces(small_network, spikes), None

    require_same(small_network, own, lambda spikes: own(spikes)[0], "it")
    assert shapes == [(STEPS, BATCH, 3)] * (2 * len(SEEDS) * len(DENSITIES))


def test_one_bin_is_enough_to_refuse(small_network: Network) -> None:
    def own(spikes: SpikeArray) -> tuple[list[LayerTrace], None]:
        traces = reference_traces(small_network, spikes)
        traces[1].spikes[7, 0, 1] = 1 - traces[1].spikes[7, 0, 1]
        return traces, None

    with pytest.raises(Unsupported, match=r"it: .* 6 of 4320 bins differ, first at .* number 1, neuron \(1,\), step 7"):
        require_same(small_network, own, lambda spikes: reference_traces(small_network, spikes), "it")


def test_silent_neurons_are_compared_by_their_membrane(small_network: Network) -> None:
    def own(spikes: SpikeArray) -> tuple[list[LayerTrace], None]:
        traces = reference_traces(small_network, spikes)
        membrane = traces[0].membrane
        assert membrane is not None
        return [LayerTrace(traces[0].spikes, membrane + 1e-3), traces[1]], None

    with pytest.raises(Unsupported, match="bins differ"):
        require_same(small_network, own, lambda spikes: reference_traces(small_network, spikes), "it")


def test_a_model_that_fails_is_reported(small_network: Network) -> None:
    def own(spikes: SpikeArray) -> tuple[list[LayerTrace], None]:
        raise IndexError("seven")

    with pytest.raises(Unsupported, match=r"failed on spikes of shape .* \(IndexError: seven\)"):
        require_same(small_network, own, lambda spikes: own(spikes)[0], "it")


def test_different_shapes_are_reported(small_network: Network) -> None:
    def ours(spikes: SpikeArray) -> list[LayerTrace]:
        return [LayerTrace(np.zeros((STEPS, BATCH, 9))), LayerTrace(np.zeros((STEPS, BATCH, 2)))]

    with pytest.raises(Unsupported, match="output has shape"):
        require_same(small_network, lambda spikes: (reference_traces(small_network, spikes), None), ours, "it")
