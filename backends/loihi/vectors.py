"""Vector operations of the kernels as LLVM code: Numba itself has no vectors, masks, or narrow integers.

They name no instruction set: LLVM chooses AVX-512, AVX2, NEON or others. All arrays are contiguous and flat, and all
offsets count values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types as _types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

types: Any = _types
cgutils: Any = _cgutils
WORD = 64
"""Number of spikes in one word of bits."""
LANES = 16
"""Number of int32 values in a vector; widths of layers are padded to a multiple."""
ROW_LANES = 32
"""Number of weights in a vector; widths of tiles are a multiple."""
_I1, _I8, _I16, _I32, _I64 = (ir.IntType(width) for width in (1, 8, 16, 32, 64))
_ROW = ir.VectorType(_I16, ROW_LANES)
_WIDE_ROW = ir.VectorType(_I32, ROW_LANES)
VECTOR = ir.VectorType(_I32, LANES)


def index(value: int) -> Any:
    """A constant index."""
    return ir.Constant(_I64, value)


def splat(value: float, kind: Any = VECTOR) -> Any:
    """A constant vector whose lanes all hold `value`."""
    return ir.Constant(kind, [ir.Constant(kind.element, value)] * kind.count)


def repeated(builder: Any, value: Any, kind: Any = VECTOR) -> Any:
    """A vector whose lanes all hold `value`."""
    empty = ir.Constant(kind, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(_I32, kind.count), None)
    return builder.shuffle_vector(builder.insert_element(empty, value, ir.Constant(_I32, 0)), empty, zeros)


class Arrays:
    """Pointers into the array arguments of an intrinsic."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self._context, self._builder = context, builder
        self._signature, self._arguments = signature, arguments

    def pointer(self, argument: int, offset: Any = None) -> Any:
        """A pointer to the first value of an array, or to the value at `offset`."""
        array = self._context.make_array(self._signature.args[argument])
        data = array(self._context, self._builder, self._arguments[argument]).data
        return data if offset is None else self._builder.gep(data, [offset])

    def length(self, argument: int) -> Any:
        """The number of values of a one-dimensional array."""
        array = self._context.make_array(self._signature.args[argument])
        made = array(self._context, self._builder, self._arguments[argument])
        return self._builder.extract_value(made.shape, 0)

    def vector(self, pointer: Any, kind: Any, offset: Any = None) -> Any:
        """A pointer, moved by `offset` values, as one to a vector."""
        moved = pointer if offset is None else self._builder.gep(pointer, [offset])
        return self._builder.bitcast(moved, kind.as_pointer())


def _on_word(name: str, emit: Callable[[Any, Any], Any]) -> Any:
    """An operation on one uint64 word that returns an integer."""

    def typed(typing_context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return emit(builder, arguments[0])

        return (types.int64(types.uint64), generate) if word == types.uint64 else None

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


lowest_bit: Any = _on_word("lowest_bit", lambda builder, word: builder.cttz(word, ir.Constant(_I1, 0)))
count_bits: Any = _on_word("count_bits", lambda builder, word: builder.ctpop(word))


def _pack_word(typing_context: Any, values: Any, offset: Any) -> Any:
    """64 values as (a word of the bits that are not zero, a word of the bits of values other than 0 and 1)."""
    element = values.dtype
    lanes = 512 // element.bitwidth

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = Arrays(context, builder, signature, arguments)
        start = arrays.pointer(0, arguments[1])
        kind = ir.VectorType(context.get_value_type(element), lanes)
        mask = ir.IntType(lanes)
        is_float = isinstance(element, types.Float)
        zero, one = (splat(value, kind) for value in ((0.0, 1.0) if is_float else (0, 1)))
        compare: Any = builder.fcmp_unordered if is_float else builder.icmp_unsigned
        bits: Any = index(0)
        wrong: Any = bits
        for piece in range(WORD // lanes):
            vector = builder.load(arrays.vector(start, kind, index(piece * lanes)), align=1)
            spikes = compare("!=", vector, zero)
            invalid = builder.and_(spikes, compare("!=", vector, one))
            shift = index(piece * lanes)
            bits = builder.or_(bits, builder.shl(_as_word(builder, spikes, mask), shift))
            wrong = builder.or_(wrong, builder.shl(_as_word(builder, invalid, mask), shift))
        return context.make_tuple(builder, signature.return_type, (bits, wrong))

    return types.UniTuple(types.uint64, 2)(values, types.intp), generate


def _as_word(builder: Any, mask: Any, kind: Any) -> Any:
    bits = builder.bitcast(mask, kind)
    return bits if kind.width == WORD else builder.zext(bits, _I64)


pack_word: Any = intrinsic(_pack_word)


def _row_adder(vectors: int) -> Any:
    """Adds listed rows of weights, int8 or int16, each of `vectors` vectors, to int32 sums.

    The sums of one call are held in registers, in 16 bits: the caller lists no more rows than fit without overflow.
    """

    def add(
        typing_context: Any, weights: Any, offset: Any, lists: Any, begin: Any, end: Any, sums: Any, sign: Any
    ) -> Any:
        element = ir.VectorType(ir.IntType(weights.dtype.bitwidth), ROW_LANES)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = Arrays(context, builder, signature, arguments)
            matrix, listed, totals = arrays.pointer(0, arguments[1]), arrays.pointer(2), arrays.pointer(5)
            held = [cgutils.alloca_once(builder, _ROW) for _ in range(vectors)]
            for place in held:
                builder.store(ir.Constant(_ROW, None), place)
            with cgutils.for_range_slice(builder, arguments[3], arguments[4], index(1), _I64) as (at, _):
                row = builder.zext(builder.load(builder.gep(listed, [at])), _I64)
                start = builder.gep(matrix, [builder.mul(row, index(vectors * ROW_LANES))])
                for number, place in enumerate(held):
                    values = builder.load(arrays.vector(start, element, index(number * ROW_LANES)), align=1)
                    if weights.dtype.bitwidth == 8:
                        values = builder.sext(values, _ROW)
                    builder.store(builder.add(builder.load(place), values), place)
            factor = repeated(builder, arguments[6], _WIDE_ROW)
            for number, place in enumerate(held):
                target = arrays.vector(totals, _WIDE_ROW, index(number * ROW_LANES))
                added = builder.mul(builder.sext(builder.load(place), _WIDE_ROW), factor)
                builder.store(builder.add(builder.load(target, align=4), added), target, align=4)
            return context.get_dummy_value()

        signature = types.void(weights, types.intp, lists, types.intp, types.intp, sums, types.int32)
        return signature, generate

    add.__name__ = add.__qualname__ = f"add_rows_{vectors}"
    return intrinsic(add)


add_rows_1, add_rows_2, add_rows_4 = _row_adder(1), _row_adder(2), _row_adder(4)


def _lane_adder(lanes: int) -> Any:
    """Adds `lanes` values of one array to those of another of the same integer type."""

    def add(typing_context: Any, sums: Any, target: Any, values: Any, source: Any) -> Any:
        kind = ir.VectorType(ir.IntType(sums.dtype.bitwidth), lanes)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = Arrays(context, builder, signature, arguments)
            place = arrays.vector(arrays.pointer(0, arguments[1]), kind)
            added = builder.load(arrays.vector(arrays.pointer(2, arguments[3]), kind), align=2)
            builder.store(builder.add(builder.load(place, align=2), added), place, align=2)
            return context.get_dummy_value()

        return (types.void(sums, types.intp, values, types.intp), generate) if sums.dtype == values.dtype else None

    add.__name__ = add.__qualname__ = f"add_lanes_{lanes}"
    return intrinsic(add)


add_lanes_16, add_lanes_32 = _lane_adder(16), _lane_adder(32)


PLACES = 4
"""Number of places that one lookup sums at a time."""


def _lookup(lanes: int) -> Any:
    """Sums of `lanes` int16 values of one row of each of several tables, chosen by bits, for PLACES places.

    Table j has 2^span rows. For the place k, its row is the number that `masks[rows[k] + j]` cuts from the bits that
    begin `bases[k] + pieces[j]` bits into `bits`. The sums of place k are written to `sums`, from `target + k step`
    on.
    """
    kind = ir.VectorType(_I16, lanes)

    def look_up(
        typing_context: Any, bits: Any, bases: Any, rows: Any, place: Any, pieces: Any, masks: Any, tables: Any,
        offset: Any, span: Any, sums: Any, target: Any, step: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = Arrays(context, builder, signature, arguments)
            stream, listed = arrays.pointer(0), arrays.pointer(4)
            table = arrays.pointer(6, arguments[7])
            held, firsts, cuts = [], [], []
            for number in range(PLACES):
                at = builder.add(arguments[3], index(number))
                firsts.append(builder.load(arrays.pointer(1, at)))
                cuts.append(arrays.pointer(5, builder.sext(builder.load(arrays.pointer(2, at)), _I64)))
                held.append(cgutils.alloca_once(builder, kind))
                builder.store(ir.Constant(kind, None), held[-1])
            with cgutils.for_range(builder, arrays.length(4)) as loop:
                moved = builder.sext(builder.load(builder.gep(listed, [loop.index])), _I64)
                start = builder.shl(loop.index, arguments[8])
                for first, cut, place_sum in zip(firsts, cuts, held, strict=True):
                    bit = builder.add(first, moved)
                    word = builder.gep(stream, [builder.lshr(bit, index(3))])
                    loaded = builder.load(builder.bitcast(word, _I16.as_pointer()), align=1)
                    shifted = builder.lshr(builder.zext(loaded, _I64), builder.and_(bit, index(7)))
                    chosen = builder.zext(builder.load(builder.gep(cut, [loop.index])), _I64)
                    row = builder.mul(builder.add(start, builder.and_(shifted, chosen)), index(lanes))
                    values = builder.load(arrays.vector(table, kind, row), align=2)
                    builder.store(builder.add(builder.load(place_sum), values), place_sum)
            for number, place_sum in enumerate(held):
                moved = builder.add(arguments[10], builder.mul(arguments[11], index(number)))
                builder.store(builder.load(place_sum), arrays.vector(arrays.pointer(9, moved), kind), align=2)
            return context.get_dummy_value()

        signature = types.void(
            bits, bases, rows, types.intp, pieces, masks, tables, types.intp, types.intp, sums, types.intp, types.intp
        )  # fmt: skip
        return signature, generate

    look_up.__name__ = look_up.__qualname__ = f"look_up_{lanes}"
    return intrinsic(look_up)


look_up_16, look_up_32 = _lookup(LANES), _lookup(ROW_LANES)


def _move_lanes(typing_context: Any, sums: Any, target: Any, values: Any, source: Any) -> Any:
    """Copies LANES values of one array to another of the same type."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = Arrays(context, builder, signature, arguments)
        kind = ir.VectorType(ir.IntType(sums.dtype.bitwidth), LANES)
        values = builder.load(arrays.vector(arrays.pointer(2, arguments[3]), kind), align=2)
        builder.store(values, arrays.vector(arrays.pointer(0, arguments[1]), kind), align=2)
        return context.get_dummy_value()

    return (types.void(sums, types.intp, values, types.intp), generate) if sums.dtype == values.dtype else None


move_lanes: Any = intrinsic(_move_lanes)
