"""Tables with which a convolution sums the weights of many spikes at once.

The bits of a receptive field are cut into pieces of at most `SPAN` neighbouring bits. For each piece, a table holds the
sums of weights of every combination of spikes, so that a place needs one addition for each piece, however many inputs
spike. Padding is masked out; the places at the same distance from the border share a mask.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bl_neuro.backends.loihi.vectors import LANES, PLACES, ROW_LANES, WORD
from bl_neuro.layers import Conv, Shape

SPANS = (4, 5, 6, 7, 8)
"""Numbers of bits of a piece that are tried."""
MAX_TABLE_BYTES = 2**18
"""Maximum size of all tables of a layer, a quarter of a typical second-level cache."""
Int32Array = npt.NDArray[np.int32]


class Lookup(NamedTuple):
    """Tables and where their bits lie; see `vectors.look_up_16`.

    guard: words of zeros around a frame. bases: (places,), the first bit of each receptive field. rows: (groups,
    places), where the masks of a place begin. pieces: (groups, pieces), the first bit of each piece within a receptive
    field. masks: flat. tables: flat, of groups, blocks of lanes, pieces, 2^span rows, and lanes. Places are padded to a
    multiple of PLACES. lanes: of a place, which may be a pair of places of the layer.
    """

    guard: int
    bases: npt.NDArray[np.int64]
    rows: Int32Array
    pieces: Int32Array
    masks: npt.NDArray[np.uint8]
    tables: npt.NDArray[np.int16]
    span: int
    lanes: int

    @property
    def additions(self) -> int:
        """Vector additions of one block of lanes for one frame."""
        return self.pieces.size * len(self.bases)


NO_LOOKUP = Lookup(
    0, np.zeros(0, np.int64), np.zeros((0, 0), np.int32), np.zeros((0, 0), np.int32), np.zeros(0, np.uint8),
    np.zeros(0, np.int16), 0, LANES,
)  # fmt: skip


class _Piece(NamedTuple):
    """A piece: its first bit, and (bit, input channel of the group, tap) of each of its weights."""

    first: int
    members: list[tuple[int, int, int]]


class _Geometry(NamedTuple):
    """A convolution's kernel without its weights. places: rows and columns of the output."""

    rows: int
    columns: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    places: tuple[int, int]


def conv_lookup(
    layer: Conv, kernels: npt.NDArray[Any], input_shape: Shape, output_shape: Shape, positions: Int32Array
) -> Lookup | None:
    """Tables of a convolution with int16 `kernels` (in, taps, lanes), or None where they do not fit.

    positions: (in * pixels,), the bits of the input. A pixel's distance from the first one must be the same in each
    channel.
    """
    channels, height, width = input_shape
    grid = positions.reshape(channels, height * width).astype(np.int64)
    pitch = int(grid[0, 1] - grid[0, 0]) if height * width > 1 else 1
    if kernels.dtype != np.int16 or (grid != grid[:, :1] + pitch * np.arange(height * width)).any():
        return None
    field = (layer.weight.shape[2], layer.weight.shape[3])
    geometry = _Geometry(*field, layer.stride, layer.padding, layer.dilation, (output_shape[1], output_shape[2]))
    if kernels.shape[2] < ROW_LANES and geometry.places[1] % 2 == 0 and geometry.dilation[1] == 1:
        geometry, kernels = _in_pairs(geometry, kernels)
    bits = _field_bits(geometry, grid[:, 0], width, pitch)
    inner = layer.weight.shape[1]
    tried = [[_pieces(bits[low : low + inner], span) for low in range(0, channels, inner)] for span in SPANS]
    sizes = [max(map(len, groups)) for groups in tried]
    row_bytes = kernels.shape[2] * kernels.itemsize * len(tried[0])
    fitting = [number for number, span in enumerate(SPANS) if (sizes[number] * row_bytes << span) <= MAX_TABLE_BYTES]
    if not fitting:
        return None
    chosen = min(fitting, key=lambda number: sizes[number])
    return _filled(tried[chosen], SPANS[chosen], sizes[chosen], geometry, kernels, (height, width), pitch, positions)


def _in_pairs(geometry: _Geometry, kernels: npt.NDArray[Any]) -> tuple[_Geometry, npt.NDArray[Any]]:
    """The same convolution as one of half as many places, each with the lanes of two neighbours."""
    channels, _, lanes = kernels.shape
    step = geometry.stride[1]
    wide = np.zeros((channels, geometry.rows, geometry.columns + step, 2 * lanes), kernels.dtype)
    own = kernels.reshape(channels, geometry.rows, geometry.columns, lanes)
    wide[:, :, : geometry.columns, :lanes] = own
    wide[:, :, step:, lanes:] = own
    paired = geometry._replace(
        columns=geometry.columns + step,
        stride=(geometry.stride[0], 2 * step),
        places=(geometry.places[0], geometry.places[1] // 2),
    )
    return paired, wide.reshape(channels, -1, 2 * lanes)


def _filled(
    groups: list[list[_Piece]],
    span: int,
    count: int,
    geometry: _Geometry,
    kernels: npt.NDArray[Any],
    image: tuple[int, int],
    pitch: int,
    positions: Int32Array,
) -> Lookup:
    bases, inside = _places(geometry, image, pitch)
    classes, members = np.unique(inside, axis=0, return_inverse=True)
    first = np.array([[piece.first for piece in pieces] + [0] * (count - len(pieces)) for pieces in groups])
    masks = np.zeros((len(groups), len(classes), count), np.uint8)
    for group, pieces in enumerate(groups):
        for number, piece in enumerate(pieces):
            for bit, _, tap in piece.members:
                masks[group, :, number] |= np.where(classes[:, tap], np.uint8(1 << bit), np.uint8(0))
    lowest, highest = int(bases.min() + first.min()), int(bases.max() + first.max())
    guard = -(-max(-lowest, highest - int(positions.max()), 0) // WORD) + 1
    rows = (np.arange(len(groups))[:, None] * len(classes) + members.reshape(-1)) * count
    padding = -len(bases) % PLACES
    return Lookup(
        guard, np.pad(bases + guard * WORD, (0, padding), "edge"),
        np.pad(rows, ((0, 0), (0, padding)), "edge").astype(np.int32), first.astype(np.int32), masks.reshape(-1),
        _tables(groups, count, span, kernels), span, kernels.shape[2],
    )  # fmt: skip


def _field_bits(geometry: _Geometry, origin: npt.NDArray[np.int64], width: int, pitch: int) -> npt.NDArray[np.int64]:
    """The bit of each channel and tap of a receptive field, counted from the field's first pixel, (in, taps)."""
    rows, columns = np.arange(geometry.rows), np.arange(geometry.columns)
    y, x = np.meshgrid(rows * geometry.dilation[0], columns * geometry.dilation[1], indexing="ij")
    bits: npt.NDArray[np.int64] = origin[:, None] + ((y * width + x) * pitch).reshape(-1)
    return bits


def _pieces(bits: npt.NDArray[np.int64], span: int) -> list[_Piece]:
    """Cuts the bits (in, taps) of a group's receptive field into pieces."""
    pieces: list[_Piece] = []
    for number in np.argsort(bits, axis=None, kind="stable"):
        channel, tap = divmod(int(number), bits.shape[1])
        bit = int(bits[channel, tap])
        if not pieces or bit >= pieces[-1].first + span:
            pieces.append(_Piece(bit, []))
        pieces[-1].members.append((bit - pieces[-1].first, channel, tap))
    return pieces


def _places(
    geometry: _Geometry, image: tuple[int, int], pitch: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The first bit of each place's receptive field, and which taps lie inside the image, (places, taps)."""
    y, x = (
        (np.arange(count) * stride - padding)
        for count, stride, padding in zip(geometry.places, geometry.stride, geometry.padding, strict=True)
    )
    at_y, at_x = np.repeat(y, len(x))[:, None], np.tile(x, len(y))[:, None]
    tap_y, tap_x = np.divmod(np.arange(geometry.rows * geometry.columns), geometry.columns)
    tap_y, tap_x = at_y + tap_y * geometry.dilation[0], at_x + tap_x * geometry.dilation[1]
    inside = (tap_y >= 0) & (tap_y < image[0]) & (tap_x >= 0) & (tap_x < image[1])
    return ((at_y * image[1] + at_x) * pitch).reshape(-1).astype(np.int64), inside


def _tables(groups: list[list[_Piece]], count: int, span: int, kernels: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    lanes, inner = kernels.shape[2], len(kernels) // len(groups)
    tables = np.zeros((len(groups), count, 2**span, lanes), np.int16)
    combinations = np.arange(2**span)
    for group, pieces in enumerate(groups):
        for number, piece in enumerate(pieces):
            for bit, channel, tap in piece.members:
                chosen = (combinations >> bit & 1).astype(np.int16)
                tables[group, number] += chosen[:, None] * kernels[group * inner + channel, tap]
    block = min(lanes, ROW_LANES)
    apart = tables.reshape(len(groups), count, 2**span, lanes // block, block).transpose(0, 3, 1, 2, 4)
    return np.ascontiguousarray(apart).reshape(-1)
