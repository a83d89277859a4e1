"""The contract suite of backends: what every substrate must do.

In your test module:

    class TestMySubstrate(BackendContract):
        substrate = "mine"              # its name in the entry-point group bl_neuro.backends

Needs pytest. A backend may reject a network with an error that names layer, parameter and substrate. A network that it
opens must produce the same spikes as `bl_neuro.reference` if the backend declares `arithmetic = "real"`, and the same
as Loihi's integers if it declares `"loihi"`. For a backend with an arithmetic of its own, override `oracle`; without,
the comparisons with it are skipped.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from bl_neuro.backends import find_backend
from bl_neuro.backends import target as target_module
from bl_neuro.backends.target import Response, Target
from bl_neuro.deploy.quantize import quantize
from bl_neuro.errors import InputError, TargetClosed, Unsupported
from bl_neuro.layers import AveragePool, Conv, Dense, Flatten, SumPool
from bl_neuro.network import Network
from bl_neuro.neuron import RESETS, CubaLIF
from bl_neuro.reference import ReferenceRun, simulate
from bl_neuro.testing.fixed_point import simulate_fixed_point
from bl_neuro.testing.gradient_contract import GradientContract
from bl_neuro.testing.random_networks import ConvEnd, Spikes, random_conv, random_dense, random_pooled, random_spikes
from bl_neuro.testing.substrate_fixture import BIASED, PLAIN, Opener


def _dense(**neuron: Any) -> Network:
    weight = np.random.default_rng(5).normal(0.1, 0.4, (6, 8))
    return Network((8,), [Dense(weight, CubaLIF(**neuron)), Dense(weight[:, :6], CubaLIF(**neuron))])


def _with_weight(value: float) -> Network:
    return Network((4,), [Dense(np.full((3, 4), value), CubaLIF())])


def _pooled(pool: type[SumPool | AveragePool]) -> Network:
    conv = Conv(np.random.default_rng(6).normal(0.3, 0.5, (2, 1, 3, 3)), CubaLIF())
    return Network((1, 6, 6), [conv, pool(2), Flatten(), Dense(np.full((3, 8), 0.3), CubaLIF())])


HARD: dict[str, tuple[str, Network]] = {
    **{f"reset {reset}": ("reset", _dense(reset=reset)) for reset in RESETS[1:]},
    **{f"filtered, reset {reset}": ("reset", _dense(reset=reset, current_decay=0.4)) for reset in RESETS[1:]},
    "no current decay": ("current_decay", _dense(current_decay=0.0, voltage_decay=0.5)),
    "no voltage decay": ("voltage_decay", _dense(voltage_decay=0.0)),
    "no memory": ("voltage_decay", _dense(voltage_decay=1.0)),
    "large weights": ("weight", _with_weight(1e6)),
    "tiny weights": ("weight", _with_weight(1e-6)),
    "no weights": ("weight", _with_weight(0.0)),
    "large bias": ("bias", _dense(bias=1e9)),
    "sum pooling": ("SumPool", _pooled(SumPool)),
    "average pooling": ("AveragePool", _pooled(AveragePool)),
}
"""Networks with edge cases, and the words that an error must contain if they are rejected."""

BAD_SPIKES: dict[str, tuple[Any, str]] = {
    "too few axes": (np.zeros((3, 12)), "shape"),
    "wrong features": (np.zeros((3, 2, 11)), "shape"),
    "no steps": (np.zeros((0, 2, 12)), "at least one step"),
    "no samples": (np.zeros((3, 0, 12)), "at least one"),
    "two": (np.eye(12)[None] * 2, r"only 0 and 1, found 2.0 at index \(0, 0, 0\)"),
    "a half": (torch.full((1, 1, 12), 0.5), "only 0 and 1, found 0.5"),
    "NaN": (torch.full((1, 1, 12), torch.nan), "only 0 and 1, found nan"),
    "complex": (np.zeros((1, 1, 12), complex), "complex"),
    "sparse": (torch.zeros(1, 1, 12).to_sparse(), "(?i)sparse"),
    "text": (["spikes"], "spikes"),
    "ragged": ([[1, 2], [3]], "spikes"),
    "nothing": (None, "spikes"),
}


class BackendContract(GradientContract):
    """What every backend must do; see the module.

    dense_networks, conv_networks, pooled_networks: numbers of random networks to compare. cold_batch: number of samples
    that are compared with a cold start. steps: number of time steps of the comparisons.
    """

    dense_networks: ClassVar[int] = 24
    conv_networks: ClassVar[int] = 6
    pooled_networks: ClassVar[int] = 4
    cold_batch: ClassVar[int] = 4
    steps: ClassVar[int] = 50

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Creates one test per random network."""
        for kind in ("dense", "conv", "pooled"):
            if f"{kind}_seed" in metafunc.fixturenames:
                metafunc.parametrize(f"{kind}_seed", range(getattr(metafunc.cls, f"{kind}_networks")))

    def oracle(self, network: Network, spikes: Spikes, start: str) -> ReferenceRun:
        """The expected response."""
        if self.arithmetic == "real":
            return simulate(network, spikes, start)
        if self.arithmetic != "loihi":
            pytest.skip(f"bl-neuro has no reference for the arithmetic '{self.arithmetic}'; override `oracle`")
        recording = simulate_fixed_point(quantize(network), spikes, start)
        assert not recording.overflowed, "choose another seed: a state left 24 bits"
        return recording

    def check_against_oracle(self, target: Target, spikes: Spikes, start: Any = "aligned") -> None:
        """Compares the spikes of every layer bin by bin, and the membrane potential."""
        expected = self.oracle(target.network, spikes, start)
        response = target.run(spikes, layers=True, start=start)
        assert response.layers is not None
        for number, (spiked, wanted) in enumerate(zip(response.layers, expected.layer_spikes)):
            wrong = int((spiked.numpy() != wanted.reshape(spiked.shape)).sum())
            assert wrong == 0, f"{self.substrate}, {start}: {wrong} of {wanted.size} bins of spiking layer {number}"
        assert np.array_equal(response.spikes.numpy(), expected.spikes)
        if response.membrane is not None:
            tolerance = 1e-9 if response.membrane.dtype == torch.float64 else 1e-5
            np.testing.assert_allclose(response.membrane.numpy(), expected.membrane, rtol=tolerance, atol=tolerance)

    # What a target does, on one network

    def test_the_response_is_as_documented(self, opener: Opener) -> None:
        """Shape, dtype and values are as documented, and only requested fields are present."""
        target = opener()
        response = target.run(random_spikes(PLAIN, 0, steps=8))
        assert response.spikes.shape == (8, 4, 6)
        assert response.spikes.is_floating_point()
        assert 0 < response.spikes.mean() < 1, "this network is neither silent nor saturated"
        assert set(response.spikes.unique().tolist()) <= {0.0, 1.0}
        assert (response.membrane is not None) == target.reveals_membrane
        assert response.layers is None
        assert not response.spikes.requires_grad

    def test_the_membrane_is_before_the_reset_over_the_threshold(self, opener: Opener) -> None:
        """A neuron spikes if and only if its membrane potential is above 1. White boxes reveal it."""
        target = opener()
        response = target.run(random_spikes(PLAIN, 0, steps=8))
        if response.membrane is None:
            assert not target.reveals_membrane
            assert not target.differentiable, "an attacker with gradients sees the membrane"
            return
        assert response.membrane.shape == response.spikes.shape
        assert torch.equal(response.membrane > 1, response.spikes.bool())

    def test_every_kind_of_input_is_the_same(self, opener: Opener) -> None:
        """Bool, integers and floats, from torch or NumPy, in any memory layout, give equal responses."""
        target = opener()
        spikes = random_spikes(PLAIN, 1, steps=8)
        expected = target.run(spikes)
        frozen = spikes.copy()
        frozen.setflags(write=False)
        strided = np.ascontiguousarray(spikes[::-1, :, ::-1])[::-1, :, ::-1]
        kinds: list[Any] = [spikes.astype(bool), spikes.astype(np.float32), spikes.astype(np.int64), frozen, strided]
        kinds += [torch.from_numpy(spikes), torch.from_numpy(spikes).bool(), torch.from_numpy(spikes).double()]
        kinds += [torch.from_numpy(spikes).float(), torch.from_numpy(spikes).half(), spikes.tolist()]
        for kind in kinds:
            _assert_equal(target.run(kind), expected)

    def test_a_held_frame_is_the_same_as_repeated_ones(self, opener: Opener) -> None:
        """An expanded frame gives the same response as copies of it, even if it is computed once."""
        frame = torch.from_numpy(random_spikes(PLAIN, 12, steps=1)).float()
        for held in (frame.expand(8, -1, -1), frame.bool().expand(8, -1, -1)):
            _assert_equal(opener().run(held), opener().run(frame.repeat(8, 1, 1)))

    def test_the_input_is_left_alone(self, opener: Opener) -> None:
        """A run does not write to its input."""
        spikes = torch.from_numpy(random_spikes(PLAIN, 1, steps=8)).double()
        kept = spikes.clone()
        opener().run(spikes)
        assert torch.equal(spikes, kept)

    def test_a_batch_equals_its_samples_one_by_one(self, opener: Opener) -> None:
        """The samples of a batch do not affect each other."""
        target = opener()
        spikes = random_spikes(PLAIN, 2, steps=8, batch=5)
        together = target.run(spikes).spikes
        apart = torch.cat([target.run(spikes[:, index : index + 1]).spikes for index in range(5)], dim=1)
        assert torch.equal(together, apart)

    def test_batches_run_in_parts_equal_the_whole(self, opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
        """Large batches are run in parts, which does not affect the response."""
        target = opener()
        spikes = random_spikes(PLAIN, 3, steps=8, batch=5)
        whole = target.run(spikes)
        monkeypatch.setattr(target_module, "CHUNK_VALUES", 2 * 8 * 16)
        _assert_equal(target.run(spikes), whole)

    def test_no_state_is_kept_between_runs(self, opener: Opener) -> None:
        """The same input gives the same response, whatever ran in between."""
        target = opener()
        spikes = random_spikes(PLAIN, 4, steps=8)
        first = target.run(spikes)
        target.run(np.ones_like(spikes))
        _assert_equal(target.run(spikes), first)

    def test_without_biases_both_starts_are_the_same(self, opener: Opener) -> None:
        """`start` only matters for networks with biases."""
        target = opener()
        spikes = random_spikes(PLAIN, 5, steps=8)
        _assert_equal(target.run(spikes, start="cold"), target.run(spikes, start="aligned"))

    def test_samples_are_counted(self, opener: Opener) -> None:
        """Samples that ran are counted, rejected ones are not."""
        target = opener()
        before = target.samples
        target.run(random_spikes(PLAIN, 6, steps=8, batch=3))
        with pytest.raises(InputError):
            target.run(np.zeros((8, 3, 1)))
        assert target.samples == before + 3

    def test_no_global_random_numbers_are_drawn(self, opener: Opener) -> None:
        """Opening and running do not use the global random generators."""
        torch.manual_seed(7)
        np.random.seed(7)  # noqa: NPY002 - the global state must be left alone
        state, numpy_state = torch.get_rng_state(), repr(np.random.get_state())  # noqa: NPY002
        opener.fresh(BIASED)
        opener().run(random_spikes(PLAIN, 7, steps=8))
        assert torch.equal(torch.get_rng_state(), state)
        assert repr(np.random.get_state()) == numpy_state  # noqa: NPY002

    def test_torch_settings_are_left_alone(self, opener: Opener) -> None:
        """Default dtype, gradient mode and number of threads do not change."""
        before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
        opener().run(random_spikes(PLAIN, 7, steps=8))
        assert (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()) == before

    @pytest.mark.parametrize("what", BAD_SPIKES)
    def test_bad_spikes_are_refused(self, opener: Opener, what: str) -> None:
        """The error contains what was expected and what was found."""
        spikes, message = BAD_SPIKES[what]
        with pytest.raises(InputError, match=message):
            opener().run(spikes)

    def test_an_unknown_start_is_refused(self, opener: Opener) -> None:
        """The error contains the two valid values."""
        with pytest.raises(InputError, match=r"start.*'aligned' or 'cold', found 'warm'"):
            opener().run(random_spikes(PLAIN, 0, steps=8), start="warm")  # type: ignore[arg-type]

    def test_an_unknown_option_is_refused(self, opener: Opener) -> None:
        """The error contains the names of substrate and option."""
        with pytest.raises(InputError, match=f"'{self.substrate}'.*wheels"):
            opener.fresh(PLAIN, wheels=4)

    # What takes a target of its own

    def test_every_layer_is_shown_on_request(self, opener: Opener) -> None:
        """The response contains one tensor per spiking layer, the output last."""
        response = opener().run(random_spikes(PLAIN, 8, steps=8), layers=True)
        assert response.layers is not None
        assert [tuple(layer.shape) for layer in response.layers] == [(8, 4, 16), (8, 4, 6)]
        assert torch.equal(response.layers[-1], response.spikes)

    def test_one_step_of_one_sample(self, opener: Opener) -> None:
        """T = 1 and B = 1 keep their axes."""
        response = opener().run(np.ones((1, 1, 12)))
        assert response.spikes.shape == (1, 1, 6)
        expected = self.oracle(PLAIN, np.ones((1, 1, 12), np.uint8), "aligned")
        assert np.array_equal(response.spikes.numpy(), expected.spikes)

    def test_closing(self, opener: Opener) -> None:
        """A target is closed at the end of `with` or by hand, also twice; using it afterwards raises an error."""
        with opener.fresh() as target:
            assert isinstance(target, Target)
        assert "closed" in repr(target)
        for _ in range(2):
            target.close()
        with pytest.raises(TargetClosed, match=self.substrate):
            target.run(random_spikes(PLAIN, 0, steps=8))

    def test_biases_act_from_the_requested_start(self, opener: Opener) -> None:
        """Aligned and cold starts give different results for a network with biases."""
        target = opener(BIASED)
        spikes = random_spikes(BIASED, 9, steps=8, batch=self.cold_batch)
        answers = [target.run(spikes, start=start).spikes.numpy() for start in ("aligned", "cold")]
        assert np.array_equal(answers[0], self.oracle(BIASED, spikes, "aligned").spikes)
        assert np.array_equal(answers[1], self.oracle(BIASED, spikes, "cold").spikes)
        assert not np.array_equal(*answers), "this network tells the two starts apart"

    # Exact, or refused

    def test_dense_networks_are_exact(self, opener: Opener, dense_seed: int) -> None:
        """Every layer of three dense layers is exact, for both starts."""
        seed = dense_seed
        network = random_dense(seed, grid=seed % 4 > 1, biases=seed % 2 == 0, filtered=seed % 5 != 4)
        self._check_both_starts(opener, network, seed)

    def test_convolutional_networks_are_exact(self, opener: Opener, conv_seed: int) -> None:
        """Convolutions with strides, padding, dilation and groups are exact."""
        ends: list[ConvEnd] = ["dense", "flatten", "image"]
        network = random_conv(conv_seed, grid=conv_seed > 2, biases=conv_seed % 3 == 1, end=ends[conv_seed % 3])
        self._check_both_starts(opener, network, conv_seed)

    def test_pooled_networks_are_exact(self, opener: Opener, pooled_seed: int) -> None:
        """Pooling is exact or rejected, since some substrates do not support it."""
        network = random_pooled(pooled_seed, grid=pooled_seed % 2 == 1)
        problems = find_backend(self.substrate).problems(network)
        if problems:
            pytest.skip(f"substrate '{self.substrate}' declines: {problems[0]}")
        self._check_both_starts(opener, network, pooled_seed)

    @pytest.mark.parametrize("what", HARD)
    def test_the_edges_are_exact_or_refused(self, opener: Opener, what: str) -> None:
        """Edge cases are exact or raise an error that names layer, parameter and substrate."""
        named, network = HARD[what]
        problems = find_backend(self.substrate).problems(network)
        if problems:
            with pytest.raises(Unsupported, match=f"(?s)'{self.substrate}'.*layer [01].*{named}"):
                opener.fresh(network)
        else:
            spikes = random_spikes(network, 10, steps=12, density=0.4)
            with opener.fresh(network) as target:
                self.check_against_oracle(target, spikes)

    def _check_both_starts(self, opener: Opener, network: Network, seed: int) -> None:
        spikes = random_spikes(network, seed, self.steps)
        with opener.fresh(network) as target:
            self.check_against_oracle(target, spikes)
            if network.has_bias:
                self.check_against_oracle(target, spikes[:, : self.cold_batch], "cold")


def _assert_equal(actual: Response, expected: Response) -> None:
    assert torch.equal(actual.spikes, expected.spikes)
    assert (actual.membrane is None) == (expected.membrane is None)
    if actual.membrane is not None and expected.membrane is not None:
        np.testing.assert_allclose(actual.membrane, expected.membrane, rtol=1e-6, atol=1e-9)
