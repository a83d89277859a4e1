"""Small data files of each format, and mutations of their structure with checksums that are right again."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Generator = np.random.Generator
NUMBERS = (0, 1, 2, 3, 7, 8, 255, 256, 4095, 4096, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
SHAPES = (
    "(True, 5)", "(6, 5, True)", "(-1, 5)", "(0,)", "()", "(2, 3", "(9999999999, 2)", "(6, 2.5)", "(10**9,)",
    "(0, 9999999999999999999999)", "(1,) * 99", "(6, 5, 4)", "(5, 6, 4)", "(120,)",
)  # fmt: skip
DTYPES = ("<f4", "<f8", "|b1", "|O", "<U0", "<U9", "|S3", "<c8", "[('a', 'u1')]", ">u2", "|V4", "<M8[s]", "<i8", "<f2")


def pick(rng: Generator, options: Any) -> Any:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def noise(data: bytes, rng: Generator) -> bytes:
    """The bytes with a random change: flipped bits, a cut, a number, bytes moved, added or repeated."""
    changed = bytearray(data)
    kind = int(rng.integers(6))
    at = int(rng.integers(len(changed))) if changed else 0
    if kind == 0:
        for place in rng.integers(0, max(1, len(changed)), int(rng.integers(1, 9))):
            if changed:
                changed[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del changed[at:]
    elif kind == 2:
        changed[at : at + 4] = struct.pack(">I", pick(rng, NUMBERS))
    elif kind == 3:
        changed += rng.bytes(int(rng.integers(1, 100)))
    elif kind == 4:
        del changed[at : at + int(rng.integers(1, 40))]
    else:
        changed[at:at] = changed[: int(rng.integers(1, 400))]
    return bytes(changed)


def npy(array: np.ndarray) -> bytes:
    """The array as a `.npy` file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def mutated_npy(data: bytes, rng: Generator) -> bytes:
    """A `.npy` file with another header, or with noise."""
    if rng.random() < 0.4:
        return noise(data, rng)
    length = struct.unpack("<H", data[8:10])[0]
    values = data[10 + length :]
    header = eval(data[10 : 10 + length].decode())  # noqa: S307 - our own header
    shape, dtype = str(header["shape"]), repr(header["descr"])
    if rng.random() < 0.7:
        shape = pick(rng, SHAPES)
    if rng.random() < 0.3:
        dtype = pick(rng, DTYPES)
        dtype = dtype if dtype.startswith("[") else repr(dtype)
    text = f"{{'descr': {dtype}, 'fortran_order': {rng.random() < 0.3}, 'shape': {shape}, }}"
    if rng.random() < 0.1:
        text = pick(rng, ("[" * 9000, "{" + "1:" * 4000, "-" * 9000 + "1", text + " " * 60000))
    encoded = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + values


def npz(folder: Path, rng: Generator) -> None:
    """An archive of arrays, mutated array by array, or in its own structure."""
    frames = rng.random() < 0.3
    shape = (6, 3, 5, 4) if frames else (6, 5, 4)
    values = rng.integers(0, 2 if frames else 256, shape).astype(pick(rng, ("u1", "f4")) if frames else "u1")
    arrays = {"frames" if frames else "images": npy(values), "labels": npy(np.arange(6) % 3)}
    if rng.random() < 0.5:
        arrays["class_names"] = npy(np.array(["a", "b", "\ud800" if rng.random() < 0.3 else "c"]))
    if rng.random() < 0.01:  # small on disk, large unpacked
        size = int(pick(rng, (2**24, 2**27, 2**28)))
        header = npy(np.zeros((0, 64, 64), "u1")).replace(b"(0, 64, 64)", b"(%d, 64, 64)" % (size // 4096))
        arrays["images"] = header[:8] + struct.pack("<H", len(header) - 10) + header[10:] + bytes(size)
        arrays["labels"] = npy(np.zeros(size // 4096, np.int64))
    elif rng.random() < 0.8:
        name = pick(rng, sorted(arrays))
        arrays[name] = mutated_npy(arrays[name], rng)
    packing = pick(rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    file = io.BytesIO()
    if rng.random() < 0.02:
        arrays |= {str(number): b"" for number in range(3000)}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # without the current time, so that a seed gives the same bytes
            archive.writestr(member, content, packing, compresslevel=1)
    data = file.getvalue()
    if rng.random() < 0.2:
        data = noise(data, rng)
    elif rng.random() < 0.15:  # the sizes in the list of contents
        place = data.find(b"PK\1\2") + pick(rng, (16, 20, 24))
        data = data[:place] + struct.pack("<I", pick(rng, NUMBERS)) + data[place + 4 :]
    (folder / "own.npz").write_bytes(data)


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a whole PNG."""
    chunks, place = [], 8
    while place < len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        chunks.append((name, data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def png_file(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of these chunks, with right checksums."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def mutated_png(data: bytes, rng: Generator) -> bytes:
    """A PNG with changed chunks and right checksums."""
    chunks = png_chunks(data)
    number = int(rng.integers(len(chunks)))
    name, content = chunks[number]
    kind = int(rng.integers(8))
    if kind == 0:
        chunks[number] = name, noise(content, rng)
    elif kind == 1:
        fields = list(struct.unpack(">IIBBBBB", chunks[0][1]))
        field = int(rng.integers(7))
        fields[field] = pick(rng, NUMBERS) if field < 2 else int(rng.integers(0, 17))
        chunks[0] = b"IHDR", struct.pack(">IIBBBBB", *fields)
    elif kind == 2:  # small on disk, large unpacked
        width = int(pick(rng, (64, 1024, 4096, 8192, 16384)))
        colour, channels = pick(rng, ((0, 1), (2, 3), (6, 4), (4, 2)))
        rows = bytes(width * (1 + width * channels)) if width < 8192 else bytes(2**20)
        chunks = [
            (b"IHDR", struct.pack(">IIBBBBB", width, width, 8, colour, 0, 0, 0)), (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        ]  # fmt: skip
    elif kind == 3:
        turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
        bomb = b"a\0\0" + zlib.compress(bytes(10**6))
        extra = pick(
            rng,
            (
                (b"tRNS", rng.bytes(6)), (b"acTL", bytes(8)), (b"PLTE", rng.bytes(9)), (b"eXIf", noise(turned, rng)),
                (b"zTXt", bomb), (b"iCCP", bomb), (b"XXXX", b""),
            ),
        )  # fmt: skip
        chunks.insert(number, extra)
    elif kind == 4:
        chunks.insert(number, pick(rng, chunks))
    elif kind == 5:
        del chunks[number]
    elif kind == 6:
        packed = b"".join(content for name, content in chunks if name == b"IDAT")
        rows = noise(zlib.decompress(packed), rng)
        chunks = [chunk for chunk in chunks if chunk[0] not in (b"IDAT", b"IEND")]
        chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    else:
        return noise(data, rng)
    return png_file(chunks)


def mutated_jpeg(data: bytes, rng: Generator) -> bytes:
    """A JPEG with another size, segments added, removed or cut, or noise."""
    kind = int(rng.integers(6))
    frame = next(place for place in range(len(data)) if data[place : place + 2] in (b"\xff\xc0", b"\xff\xc2"))
    changed = bytearray(data)
    if kind == 0:
        place = frame + pick(rng, (4, 5, 7, 9, 10, 11))
        changed[place : place + 2] = struct.pack(">H", pick(rng, NUMBERS) % 65536)
    elif kind == 1:
        at = int(rng.integers(2, len(data)))
        changed[at:at] = pick(rng, (b"\xff\xd9", b"\xff\xd0", b"\xff\xd8", b"\xff\xdd\0\4\0\1", b"\xff\xfe\xff\xff"))
    elif kind == 2:
        scan = data.find(b"\xff\xda")
        changed[scan:scan] = data[scan:-2] * int(rng.integers(1, 100))
    elif kind == 3:
        changed[2:2] = (
            b"\xff\xe1" + struct.pack(">H", 40) + noise(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12" + bytes(21), rng)
        )
    else:
        return noise(data, rng)
    return bytes(changed)


def mutated_netpbm(data: bytes, rng: Generator) -> bytes:
    """A PGM or PPM with another header, or noise."""
    kind = int(rng.integers(4))
    if kind == 0:
        return data.replace(pick(rng, (b"6", b"5", b"255")), str(pick(rng, NUMBERS)).encode(), 1)
    if kind == 1:
        return data.replace(b"\n", pick(rng, (b"\r\n", b" # comment\n", b"\t", b"#", b"")))
    if kind == 2:
        return pick(rng, (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf")) + data[2:]
    return noise(data, rng)


def images(folder: Path, rng: Generator) -> None:
    """A folder of images in two classes; one of them is mutated, or the folder is."""
    mutators: dict[str, Callable[[bytes, Generator], bytes]] = {
        "png": mutated_png, "jpg": mutated_jpeg, "pgm": mutated_netpbm, "ppm": mutated_netpbm,
    }  # fmt: skip
    suffix = str(pick(rng, sorted(mutators)))
    root = folder / "own.images"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        mode = "RGB" if suffix == "ppm" else "L" if suffix == "pgm" else pick(rng, ("L", "RGB"))
        values = rng.integers(0, 256, (6, 5, 3) if mode == "RGB" else (6, 5)).astype(np.uint8)
        image = Image.fromarray(values)
        if suffix == "png" and rng.random() < 0.3:
            image = image.convert(pick(rng, ("P", "RGBA", "LA", "1")))
        options: dict[str, Any] = {"progressive": bool(rng.random() < 0.5), "quality": 90} if suffix == "jpg" else {}
        image.save(root / name / f"1.{suffix}", **options)
    path = root / "a" / f"1.{suffix}"
    if suffix == "pgm" and rng.random() < 0.3:
        path.write_text("P2\n5 6\n255\n" + " ".join(map(str, rng.integers(0, 256, 30))) + "\n")
    if rng.random() < 0.9:
        path.write_bytes(mutators[suffix](path.read_bytes(), rng))
    elif rng.random() < 0.5:
        pick(rng, (_fifo, _link_out, _foreign))(root, rng)


def _fifo(root: Path, rng: Generator) -> None:
    import os

    os.mkfifo(root / "b" / "2.png")


def _link_out(root: Path, rng: Generator) -> None:
    (root / "b" / "2.png").symlink_to(pick(rng, ("/dev/zero", "/etc/passwd", "2.png", "/nowhere", "../a")))


def _foreign(root: Path, rng: Generator) -> None:
    (root / pick(rng, ("__MACOSX", ".git", "c", "d\udce9"))).mkdir()


def idx(folder: Path, rng: Generator) -> None:
    """MNIST's four files, one of them mutated."""
    raw = folder / "own.idx" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 8), ("t10k", 4)):
        pixels = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8).tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, count, 28, 28) + pixels)
        labels = bytes(number % 10 for number in range(count))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, count) + labels)
    path = pick(rng, sorted(raw.iterdir()))
    data = path.read_bytes()
    kind = int(rng.integers(5))
    if kind == 0:
        place = 4 * int(rng.integers(4))
        data = data[:place] + struct.pack(">I", pick(rng, NUMBERS)) + data[place + 4 :]
    elif kind == 1:
        data = gzip.compress(data, mtime=0)
    elif kind == 2:
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
        return
    elif kind == 3:
        data = pick(rng, sorted(raw.iterdir())).read_bytes()
    else:
        data = noise(data, rng)
    path.write_bytes(data)


def events(folder: Path, rng: Generator) -> None:
    """Recordings of gestures in either format and a file of labels, or N-MNIST; one of them is mutated."""
    root = folder / "own.events"
    count = int(pick(rng, (1, 2, 50, 1000)))
    time = np.sort(rng.integers(0, int(pick(rng, (1, 1000, 900_000, 8_000_000))), count)) & (2**23 - 1)
    x, y = rng.integers(0, 34, count), rng.integers(0, 34, count)
    packed = np.stack([x, y, (time >> 16) & 127, (time >> 8) & 255, time & 255], axis=1).astype(np.uint8).tobytes()
    kind = int(rng.integers(3))
    if kind == 0:
        path = root / "NMNIST/Train/3/00001.bin"
    elif kind == 1:
        path = root / "DVSGesture/1.bs2"
    else:
        path = root / "DVSGesture/ibmGestureTrain/user1/2.npy"
    path.parent.mkdir(parents=True)
    if kind == 2:
        path.write_bytes(mutated_npy(npy(np.stack([x, y, x & 1, time // 1000], axis=1)), rng))
        return
    if rng.random() < 0.3:  # the clock overflows
        packed += bytes([0, 240, 0, 0, 0]) * int(pick(rng, (1, 100, 10_000, 1_000_000)))
    path.write_bytes(noise(packed, rng) if rng.random() < 0.8 else packed)
    if kind == 1:
        labels = pick(
            rng, (b"1.bs2 1 clap\n", b"\xef\xbb\xbf1.bs2 1 clap\n", b"1.bs2 1 a\n1.bs2 2 b\n", b"\xff\xfe1\0")
        )
        (path.parent / "labels.txt").write_bytes(noise(labels, rng) if rng.random() < 0.5 else labels)


FORMATS: dict[str, Callable[[Path, Generator], None]] = {"npz": npz, "images": images, "idx": idx, "events": events}
"""Writers of one mutated example of each format into a folder, from a random generator."""
