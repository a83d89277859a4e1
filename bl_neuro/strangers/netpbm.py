"""Reader of untrusted PGM and PPM images: the file must hold exactly the pixels that its header promises."""

from __future__ import annotations

import re

import numpy as np

from bl_neuro.arrays import SpikeArray
from bl_neuro.strangers.budget import MOST_PIXELS

MAGIC = {b"P2": (1, True), b"P3": (3, True), b"P5": (1, False), b"P6": (3, False)}
"""Channels, and whether the numbers are text, by the first two bytes."""
MOST_HEADER = 4096
HEADER = re.compile(rb"(P[2356])" + 3 * rb"(?:[ \t\r\n\v\f]|#[^\r\n]{0,1000}[\r\n]){1,200}?([0-9]{1,9})")
SPACE = b" \t\r\n\v\f"
MOST_COMMENTS = 2**16
"""Maximum number of comments between the values, such as one for each row."""
COMMENT = re.compile(rb"#[^\r\n]*")


def is_netpbm(content: bytes) -> bool:
    """Whether this is the content of a Netpbm file of any kind, also of those that are refused."""
    return content[:2] in {b"P%d" % number for number in range(1, 8)} | {b"Pf", b"PF"}


def netpbm_size(content: bytes) -> tuple[int, int]:
    """Height and width, from the start of the file."""
    return _header(content)[2:4]


def read_netpbm(content: bytes) -> SpikeArray:
    """The image (H, W, channels) as bytes; values of a maximum below 255 are scaled to 0..255.

    Raises:
        ValueError: the file is damaged, cut short, has bytes after the image, or more than 8 bits per channel.
    """
    channels, text, height, width, most, start = _header(content)
    count = height * width * channels
    values = _text_values(content[start:], count) if text else np.frombuffer(content, np.uint8, offset=start)
    if len(values) != count:
        raise ValueError(f"damaged: its header promises {count} values, and {len(values)} follow")
    if count and int(values.max()) > most:
        raise ValueError(f"damaged: its header promises values up to {most}, and {values.max()} follows")
    if most != 255:
        scale = np.minimum(255, np.round(np.arange(256) / most * 255)).astype(np.uint8)
        values = scale[values]
    return values.astype(np.uint8).reshape(height, width, channels)


def _header(content: bytes) -> tuple[int, bool, int, int, int, int]:
    """Channels, whether the numbers are text, height, width, the maximum and the position of the first pixel."""
    if content[:2] not in MAGIC:
        raise ValueError(f"expected a PGM or PPM image (P2, P3, P5 or P6), found {content[:2].decode('latin-1')}")
    match = HEADER.match(content[:MOST_HEADER])
    if match is None or content[match.end() : match.end() + 1] not in {bytes([space]) for space in SPACE}:
        raise ValueError("damaged: its header cannot be read")
    channels, text = MAGIC[match[1]]
    width, height, most = (int(match[number]) for number in (2, 3, 4))
    if not 1 <= most <= 255:
        raise ValueError(f"expected 8 bits per channel, found values up to {most}")
    if not 1 <= width * height <= MOST_PIXELS:
        raise ValueError(f"expected 1..{MOST_PIXELS} pixels, found {height} x {width}")
    return channels, text, height, width, most, match.end() + 1


def _text_values(text: bytes, count: int) -> SpikeArray:
    """The decimal numbers in `text`, at most 255. Vectorized, since a large file holds millions."""
    comments = text.count(b"#")
    if comments > MOST_COMMENTS:
        raise ValueError(f"expected at most {MOST_COMMENTS} comments, found {comments}")
    if comments:
        text = COMMENT.sub(b" ", text)
    letters = np.frombuffer(b" " + text + b" ", np.uint8)
    digit = (letters >= ord("0")) & (letters <= ord("9"))
    if not (digit | np.isin(letters, np.frombuffer(SPACE, np.uint8))).all():
        raise ValueError("damaged: expected decimal numbers separated by white space")
    ends = np.flatnonzero(digit[:-1] & ~digit[1:])
    if len(ends) != count:
        raise ValueError(f"damaged: its header promises {count} values, and {len(ends)} follow")
    starts = np.flatnonzero(digit[1:] & ~digit[:-1]) + 1
    if len(ends) and int((ends - starts).max()) > 2:
        raise ValueError("damaged: expected numbers of at most three digits")
    values = np.zeros(count, np.int16)
    for place in range(3):
        inside = ends - place >= starts
        values[inside] += (letters[ends[inside] - place].astype(np.int16) - ord("0")) * 10**place
    if count and int(values.max()) > 255:
        raise ValueError(f"damaged: expected values up to 255, found {values.max()}")
    return values.astype(np.uint8)
