"""One time step of Loihi's CUBA neuron in 32-bit integers, for a range of neurons.

    u = tz(u (4096 - iDecay) >> 12) + 64 a, wrapped once to 24 bits;   v = clip(tz(v (4096 - vDecay) >> 12) + u + bias)
    s = v > 64 vThMant;   v = 0 where s

tz shifts the magnitude and restores the sign: with x = 4096 h + l and 0 <= l < 4096, it is h k + ((l k + r) >> 12),
where r = 4095 for negative x and 0 otherwise. The product of 31 and 12 bits therefore needs no 64-bit integers.
Source: lava-nc 0.10.0, `AbstractPyLifModelFixed`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from bl_neuro.backends.loihi.compiled import compiled
from bl_neuro.backends.loihi.vectors import LANES, VECTOR, Arrays, cgutils, index, repeated, splat, types

_LIMIT = 1 << 23
_TURN = 1 << 24
_MAX = (1 << 23) - 1
_LOW = 4095
_TWELVE = 12
_TILE = 1024


class _Update:
    """Emits the update of one vector of neurons."""

    def __init__(self, builder: Any, memoryless: bool) -> None:
        self._builder = builder
        self._memoryless = memoryless

    def decayed(self, state: Any, keep: Any) -> Any:
        """The state times keep / 4096, rounded toward zero."""
        build = self._builder
        up = build.and_(build.ashr(state, splat(31)), splat(_LOW))
        low = build.ashr(build.add(build.mul(build.and_(state, splat(_LOW)), keep), up), splat(_TWELVE))
        return build.add(build.mul(build.ashr(state, splat(_TWELVE)), keep), low)

    def wrapped(self, current: Any) -> Any:
        """A current wrapped once into 24 bits."""
        build = self._builder
        below = build.icmp_signed("<=", current, splat(-_LIMIT))
        risen = build.select(below, build.add(current, splat(_TURN)), current)
        return build.select(build.icmp_signed(">", current, splat(_LIMIT)), build.sub(current, splat(_TURN)), risen)

    def current(self, drive: Any, current: Any, keep: Any) -> Any:
        """The synaptic current after a drive."""
        return self.wrapped(drive if self._memoryless else self._builder.add(drive, self.decayed(current, keep)))

    def voltage(self, current: Any, voltage: Any, keep: Any, bias: Any) -> Any:
        """The voltage before the reset."""
        build = self._builder
        value = build.add(build.add(self.decayed(voltage, keep), current), bias)
        for comparison, limit in (("<", splat(_MAX)), (">", splat(-_MAX))):
            value = build.select(build.icmp_signed(comparison, value, limit), value, limit)
        return value


def _step(
    typing_context: Any, sums: Any, right: Any, left: Any, current: Any, voltage: Any, keep_current: Any,
    keep_voltage: Any, bias: Any, threshold: Any, memoryless: Any, fired: Any, byte: Any, before: Any, offset: Any,
) -> Any:  # fmt: skip
    """Updates the neurons of int32 arrays, as many as `voltage` has, a multiple of LANES, for one time step.

    Of the other arrays, those of LANES values stand for one that repeats them, which saves memory traffic where all
    neurons are alike, or where nothing that is written will be read.

    The drive is (sum >> right) << left; `sums` is int32 or int16. A neuron's spike is a bit of the bytes `fired` from
    `byte` on; its voltage before the reset is written to `before` from `offset` on. memoryless: whether the current
    decays completely in each step.
    """
    states = ir.VectorType(ir.IntType(sums.dtype.bitwidth), LANES)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = Arrays(context, builder, signature, arguments)
        summed, written, bits = arrays.pointer(0), arrays.pointer(12, arguments[13]), arrays.pointer(10, arguments[11])
        places = [arrays.pointer(number) for number in range(3, 8)]
        size = arrays.length(4)
        moves = [_moves(builder, arrays.length(number)) for number in (3, 4, 5, 6, 7, 12)]
        shift_right, shift_left, limit = (repeated(builder, arguments[number]) for number in (1, 2, 8))

        def loop(update: _Update) -> None:
            with cgutils.for_range_slice(builder, index(0), size, index(LANES), size.type) as (at, _):
                total = builder.load(arrays.vector(summed, states, at), align=2)
                if states != VECTOR:
                    total = builder.sext(total, VECTOR)
                vectors = [
                    arrays.vector(place, VECTOR, builder.and_(at, move))
                    for place, move in zip([*places, written], moves, strict=True)
                ]
                u, v, keep_u, keep_v, bias = (builder.load(vector, align=4) for vector in vectors[:5])
                u = update.current(builder.shl(builder.ashr(total, shift_right), shift_left), u, keep_u)
                v = update.voltage(u, v, keep_v, bias)
                spikes = builder.icmp_signed(">", v, limit)
                builder.store(v, vectors[5], align=4)
                builder.store(u, vectors[0], align=4)
                builder.store(builder.select(spikes, splat(0), v), vectors[1], align=4)
                word = ir.IntType(LANES)
                target = arrays.vector(bits, word, builder.lshr(at, index(3)))
                builder.store(builder.bitcast(spikes, word), target, align=1)

        with builder.if_else(cgutils.as_bool_bit(builder, arguments[9])) as (then, otherwise):
            with then:
                loop(_Update(builder, memoryless=True))
            with otherwise:
                loop(_Update(builder, memoryless=False))
        return context.get_dummy_value()

    number = types.int32
    signature = types.void(
        sums, number, number, current, voltage, keep_current, keep_voltage, bias, number, types.boolean, fired,
        types.intp, before, types.intp,
    )  # fmt: skip
    return signature, generate


def _moves(builder: Any, length: Any) -> Any:
    """All bits set if an array has more than LANES values, else none."""
    longer = builder.icmp_signed(">", length, ir.Constant(length.type, LANES))
    return builder.sext(longer, length.type)


step_neurons: Any = intrinsic(_step)


@compiled(forceinline=True)
def part_of(values: Any, low: int, high: int) -> Any:
    """The values of the neurons from `low` to before `high`, of an array that may stand for a longer one."""
    return values if values.size == LANES else values[low:high]


@compiled()
def run_neurons(
    sums: Any,
    left: int,
    keep_current: Any,
    keep_voltage: Any,
    bias: Any,
    threshold: Any,
    memoryless: bool,
    fired: Any,
    final_current: Any,
    final_voltage: Any,
) -> None:
    """Runs neurons on sums (T, B, N), int32, which are overwritten with the voltages before the reset.

    The arrays of parameters and final states are padded to a multiple of LANES, or the former have LANES values for all
    neurons. fired: (B, T, bytes), uint8.
    """
    steps, batch, width = sums.shape
    padded = final_current.shape[1]
    current = np.empty(_TILE, np.int32)
    voltage = np.empty(_TILE, np.int32)
    drive = np.zeros(_TILE, np.int32)
    before = np.empty(_TILE, np.int32)
    nothing = np.int32(0)
    for sample in range(batch):
        for low in range(0, padded, _TILE):
            high = min(padded, low + _TILE)
            size, used = high - low, min(width, high) - low
            current[:] = 0
            voltage[:] = 0
            for step in range(steps):
                drive[:used] = sums[step, sample, low : low + used]
                drive[used:] = 0
                step_neurons(
                    drive[:size], nothing, np.int32(left), current[:size], voltage[:size],
                    part_of(keep_current, low, high), part_of(keep_voltage, low, high), part_of(bias, low, high),
                    threshold, memoryless, fired[sample, step], low // 8, before, 0,
                )  # fmt: skip
                sums[step, sample, low : low + used] = before[:used]
            final_current[sample, low:high] = current[:size]
            final_voltage[sample, low:high] = voltage[:size]
