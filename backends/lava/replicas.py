"""How many samples one simulation processes at once, its replicas: chosen by the network and the sizes of batches."""

from __future__ import annotations

from bl_neuro.backends.lava.simulation import CHANNEL_MESSAGES, shared_memory_free
from bl_neuro.deploy.quantize import FixedPointNetwork
from bl_neuro.layers import Dense

MAX_REPLICAS = 32
"""More of them are hardly faster: the time of a round is then that of the products."""
MAX_REQUESTED_REPLICAS = 256
ROUNDS_PER_START = 40
"""Number of rounds of one sample in a small network for which starting another simulation, which takes seconds, is
worthwhile."""
SYNAPSES_PER_STEP = 5 * 2**20
"""Products of a weight and a message that take as long as all else in a time step (1 ms, 5 products per ns)."""
WASTE = 4
"""A simulation for more than this times as many samples as a batch has is replaced by a smaller one."""
NOT_REPLICABLE = "several samples at once need dense layers without delays and recurrent synapses"


class Replicas:
    """The number of samples that simulations of a network process at once.

    Args:
        fixed: the network.
        requested: the fixed number, or None to choose it by the sizes of batches.
        runtimes: number of simulations at the same time, which share the free shared memory.
    """

    def __init__(self, fixed: FixedPointNetwork, requested: int | None, runtimes: int) -> None:
        self._fixed, self._runtimes = fixed, runtimes
        self._requested = requested if can_replicate(fixed) else 1
        self._unfit_rounds = 0.0
        self.count = self._requested or 1
        """The number at present."""
        self._chosen = self._requested is not None

    def choose(self, steps: int, batch: int) -> int:
        """The number for a batch of `batch` samples of `steps` time steps.

        It changes at once before the first round, and later only after enough rounds of batches which it does not fit:
        the time lost to them and the time to start another simulation are then about equal.
        """
        if self._requested is not None:
            return self._requested
        wanted = min(1 << (batch - 1).bit_length(), self._largest(steps))
        if not self._chosen or self.count > self._largest(steps):
            self._take(wanted)
        elif wanted <= self.count <= WASTE * wanted:
            self._unfit_rounds = 0.0
        else:
            self._unfit_rounds += -(-batch // self.count) * self._cost
            if self._unfit_rounds >= ROUNDS_PER_START:
                self._take(wanted)
        return self.count

    def starts_worthwhile(self, rounds: int) -> int:
        """The number of simulations that it is worthwhile to start for `rounds` rounds."""
        return int(rounds * self._cost) // ROUNDS_PER_START

    @property
    def _cost(self) -> float:
        """The time of a round, as a multiple of that of one sample in a small network."""
        synapses = sum(layer.weight.size for layer in self._fixed.layers)
        return 1 + self.count * synapses / SYNAPSES_PER_STEP if can_replicate(self._fixed) else 1.0

    def _take(self, count: int) -> None:
        self.count, self._unfit_rounds, self._chosen = count, 0.0, True

    def _largest(self, steps: int) -> int:
        """The largest power of two whose messages need at most a quarter of the free shared memory."""
        free = shared_memory_free()
        if free is None:
            return MAX_REPLICAS
        layers = [layer.weight.shape for layer in self._fixed.layers]
        neurons = sum(shape[0] for shape in layers)
        messages = (steps + len(layers) + 1) * (layers[0][1] + neurons) + 2 * CHANNEL_MESSAGES * neurons
        fitting = free // (4 * self._runtimes) // (4 * messages)
        return min(MAX_REPLICAS, 1 << max(0, int(fitting).bit_length() - 1))


def can_replicate(fixed: FixedPointNetwork) -> bool:
    """Whether all layers are dense, without delays and recurrent synapses."""
    sources = [layer.source for layer in fixed.layers]
    return all(isinstance(source, Dense) and source.delay is None and source.recurrent is None for source in sources)
