"""Operations on int32: Numba widens every integer operation to 64 bits, which halves the width of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I32 = types.int32


def _binary(name: str, emit: Callable[[Any, Any, Any], Any]) -> Any:
    """An operation on two int32; it wraps around."""

    def typed(typing_context: Any, left: Any, right: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return emit(builder, *arguments)

        return (_I32(_I32, _I32), generate) if left == right == _I32 else None

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


def _smaller(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.icmp_signed("<", left, right), left, right)


def _larger(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.icmp_signed(">", left, right), left, right)


add = _binary("add", lambda builder, left, right: builder.add(left, right))
sub = _binary("sub", lambda builder, left, right: builder.sub(left, right))
mul = _binary("mul", lambda builder, left, right: builder.mul(left, right))
shl = _binary("shl", lambda builder, left, right: builder.shl(left, right))
shr = _binary("shr", lambda builder, left, right: builder.ashr(left, right))
bits = _binary("bits", lambda builder, left, right: builder.and_(left, right))
smaller = _binary("smaller", _smaller)
larger = _binary("larger", _larger)


def _store_pair(typing_context: Any, array: Any, index: Any, pair: Any) -> Any:
    """Writes two int32, the halves of a uint64, into an int32 array at `index` and `index + 1`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]])
        builder.store(arguments[2], builder.bitcast(place, ir.IntType(64).as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), generate


store_pair: Any = intrinsic(_store_pair)


def _add_eight(typing_context: Any, array: Any, index: Any, others: Any, other: Any) -> Any:
    """Adds others[other : other + 8] to array[index : index + 8], both flat int32, as one vector."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), 8).as_pointer()

        def place(which: int) -> Any:
            data = context.make_array(signature.args[which])(context, builder, arguments[which]).data
            return builder.bitcast(builder.gep(data, [arguments[which + 1]]), vector)

        target, source = place(0), place(2)
        values = builder.add(builder.load(target, align=4), builder.load(source, align=4))
        builder.store(values, target, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, others, types.intp), generate


add_eight: Any = intrinsic(_add_eight)
