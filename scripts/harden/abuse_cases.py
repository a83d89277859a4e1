"""Hostile requests to an endpoint (`abuse_serve.py`): request n of them is drawn from the seed and n."""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import Callable

import numpy as np

TOKEN = "a-token-of-the-honest-client"
INFER = "/v2/models/easy/infer"
SEED = 7
JSON = '{{"inputs":[{{"name":"spikes","datatype":"{}","shape":{},"data":{}}}]}}'
BOMB = gzip.compress(b" " * 2**24)
PATHS = (
    "/", "//v2", "/v2/", "/v2/models/", "/v2/models/easy/../../../etc/passwd", "/v2/models/%2e%2e/%2e%2e/infer",
    "/v2/models/easy%00/infer", "/v2/models/easy/infer/", "/V2", "/metrics", "/v2/models/easy/versions/9/infer",
    "/v2/models/" + "a" * 9000, "/v2/models/easy;x/infer", "*",
)  # fmt: skip
VALUES = ("NaN", "Infinity", "-1", "2", "0.5", "1e400", '"1"', "null", "true", "{}", "[]", "9" * 400, "9" * 5000)
SHAPES = ("[]", "[0,1,12]", "[-1,1,12]", "[1,1]", "[1,1,13]", "[4294967296,4294967296,12]", "[1e3,1,12]",
          '["1",1,12]', "[1,1,12,1]", "[true,1,12]", "null", "9", "[9223372036854775808,1,12]",
          "[1,1000000,12]")  # fmt: skip
HEADERS = (
    "Content-Encoding: gzip", "Inference-Header-Content-Length: -1", "Inference-Header-Content-Length: 99999999",
    "Inference-Header-Content-Length: x", "Idempotency-Key: " + "k" * 999, "Transfer-Encoding: chunked",
    "Expect: 100-continue", "Content-Type: text/\xff", "X: " + "y" * 100_000, "Content-Length: 5", "Cookie: \x00",
    "Upgrade: websocket", "Upgrade: h2c", "Connection: upgrade",
)  # fmt: skip
POST = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = (
    (b"GET /", b"a"), (POST + b"X: ", b"a"), (POST, b"a"), (POST, b"a:\r\n"), (CHUNKED + b"1;x=", b"a"),
    (CHUNKED, b"0"), (CHUNKED + b"0\r\nX: ", b"a"), (CHUNKED + b"0\r\n", b"a: b\r\n"), (b"", b"\r\n"),
)  # fmt: skip
"""What begins, and what then never ends."""
Case = Callable[[np.random.Generator], bytes]


def good(rng: np.random.Generator) -> bytes:
    return JSON.format("UINT8", "[1,1,12]", rng.integers(0, 2, 12).tolist()).replace(" ", "").encode()


def post(body: bytes, *headers: str, path: str = INFER, token: str = TOKEN, length: int | None = None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *headers, "Connection: close"]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def values(rng: np.random.Generator) -> bytes:
    data = ["1"] * 12
    data[rng.integers(12)] = str(rng.choice(VALUES))
    datatype = str(rng.choice(["UINT8", "FP32", "FP64", "INT64", "BOOL", "BYTES", "", "UINT8\\u0000"]))
    return post(JSON.format(datatype, "[1,1,12]", f"[{','.join(data)}]").encode())


def shapes(rng: np.random.Generator) -> bytes:
    return post(JSON.format("UINT8", rng.choice(SHAPES), "[" + ",".join("1" * int(rng.integers(0, 40))) + "]").encode())


def nested(rng: np.random.Generator) -> bytes:
    depth = int(rng.integers(1, 20_000))
    return post(JSON.format("UINT8", "[1,1,12]", "[" * depth + "]" * depth).encode())


def lying_length(rng: np.random.Generator) -> bytes:
    return post(good(rng), length=int(rng.choice([0, 1, 50, 10**4, 10**9, 10**18])))


def odd_header(rng: np.random.Generator) -> bytes:
    return post(good(rng), str(rng.choice(HEADERS)))


def bomb(rng: np.random.Generator) -> bytes:
    return post(BOMB, *(["Content-Encoding: gzip"] if rng.random() < 0.5 else []))


def binary(rng: np.random.Generator) -> bytes:
    size = int(rng.choice([0, 11, 12, 13, 2**31, 2**63, -1]))
    shape = rng.choice(["[1,1,12]", "[2,1,12]", "[1024,1024,12]"])
    parameters = f'"parameters":{{"binary_data_size":{size}}}'
    head = f'{{"inputs":[{{"name":"spikes","datatype":"UINT8","shape":{shape},{parameters}}}]}}'.encode()
    length = len(head) + int(rng.choice([0, 0, 0, 1, -1]))
    return post(head + rng.bytes(int(rng.choice([0, 12, 24]))), f"Inference-Header-Content-Length: {length}")


def packed(rng: np.random.Generator) -> bytes:
    """Wrong sizes, lying shapes, unknown packings, bits left over; by chance all is well."""
    shape = rng.choice(["[1,1,12]", "[3,1,12]", "[1024,1,12]", "[1024,1024,12]", "[1025,1,12]", "[9,0,12]", *SHAPES])
    raw = rng.bytes(int(rng.choice([0, 1, 2, 2, 2, 3, 5, 1536])))
    if rng.random() < 0.5 and raw:
        raw = raw[:-1] + bytes([raw[-1] & 15])
    size = rng.choice([str(len(raw))] * 4 + ["-1", "1e0", "true", "null", str(2**63)])
    packing = rng.choice(['"bits"', '"held"', '"held"', '"zip"', "null", "7", "true", '["bits"]', '{"a":1}'])
    datatype = rng.choice(["UINT8"] * 5 + ["BOOL", "FP32", "INT64", "BYTES"])
    data = rng.choice(["", "", "", ',"data":[1]', ',"data":null'])
    parameters = f'"parameters":{{"binary_data_size":{size},"packed":{packing}}}'
    head = f'{{"inputs":[{{"name":"spikes","datatype":"{datatype}","shape":{shape},{parameters}{data}}}]}}'.encode()
    return post(head + raw, *([f"Inference-Header-Content-Length: {len(head)}"] if rng.random() < 0.95 else []))


def stranger(rng: np.random.Generator) -> bytes:
    return post(good(rng), token=str(rng.choice(["", "x", TOKEN[:-1], TOKEN + "x", "\xff" * 20, "a b c", "y" * 5000])))


def wrong_path(rng: np.random.Generator) -> bytes:
    method = str(rng.choice(["GET", "POST", "PUT", "DELETE", "TRACE", "HEAD", "PATCH", "CONNECT", "FOO"]))
    lines = f"{method} {rng.choice(PATHS)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    return (lines + f"Authorization: Bearer {TOKEN}\r\n\r\n").encode()


def mutated(rng: np.random.Generator) -> bytes:
    body = bytearray(good(rng))
    for _ in range(int(rng.integers(1, 6))):
        body[rng.integers(len(body))] = int(rng.integers(256))
    return post(bytes(body))


def mutated_whole(rng: np.random.Generator) -> bytes:
    request = bytearray(post(good(rng)))
    for _ in range(int(rng.integers(1, 6))):
        request[rng.integers(len(request))] = int(rng.integers(256))
    return bytes(request)


def cut(rng: np.random.Generator) -> bytes:
    request = post(good(rng))
    return request[: rng.integers(len(request))]


def endless(rng: np.random.Generator) -> bytes:
    start, more = ENDLESS[rng.integers(len(ENDLESS))]
    return start + more * (2**19 // len(more))


def chunked(rng: np.random.Generator) -> bytes:
    """Chunks that lie about their size, are none, or are there beside a length."""
    body = good(rng)
    size = rng.choice([f"{len(body):x}", f"{len(body) - 1:x}", f"{len(body) + 9:x}", "-1", "g", "f" * 17, "1;a=\x00"])
    start = CHUNKED if rng.random() < 0.7 else POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    return (
        start + size.encode() + b"\r\n" + body + rng.choice([b"\r\n0\r\n\r\n", b"0\r\n\r\n", b"\r\n0\r\nX: y\r\n\r\n"])
    )


def pipelined(rng: np.random.Generator) -> bytes:
    """Requests behind one another, too many or with something else behind them."""
    get = f"GET {rng.choice(PATHS)} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    one = POST + b"Content-Length: " + str(len(body := good(rng))).encode() + b"\r\n\r\n" + body
    repeated = [get, one][rng.integers(2)] * int(rng.choice([1, 3, 20, 500]))
    return repeated + [b"", rng.bytes(400), one[: rng.integers(len(one))], b"\r\n\r\n\x00"][rng.integers(4)]


def stalled(rng: np.random.Generator) -> bytes:
    """A body whose end does not come."""
    body = good(rng)
    if rng.random() < 0.3:
        return CHUNKED + b"%x\r\n" % (len(body) + 9) + body
    return post(body, length=len(body) + int(rng.choice([1, 1000, 2**20])))


def dribbled(rng: np.random.Generator) -> bytes:
    """A body that comes by the byte."""
    return post(b" ", length=int(rng.choice([100, 2**20])))


CASES: tuple[Case, ...] = (
    values, shapes, nested, lying_length, odd_header, bomb, binary, packed, stranger, wrong_path, mutated,
    mutated_whole, cut, endless, chunked, pipelined, stalled, dribbled,
)  # fmt: skip
SLOW = (chunked, pipelined, stalled, dribbled)
"""They may wait for the server's deadline."""
HALF_CLOSED = (cut, lying_length, mutated_whole, endless)
"""Or the server would wait for the rest of them until its deadline."""


def case_of(number: int) -> Case:
    return CASES[number % len(CASES)]


def send(address: tuple[str, int], number: int) -> tuple[str, str]:
    """The name of request `number` and the status that it got; "closed" where the server hung up without one."""
    case = case_of(number)
    request = case(np.random.default_rng([SEED, number]))
    try:
        with socket.create_connection(address, timeout=60) as line:
            line.sendall(request)
            if case in HALF_CLOSED:
                line.shutdown(socket.SHUT_WR)
            answer = _dribble(line) if case is dribbled else line.recv(4096)
        status = re.match(rb"HTTP/1\.1 (\d{3})", answer)
        return case.__name__, "traceback" if b"Traceback" in answer else status[1].decode() if status else "closed"
    except TimeoutError:
        return case.__name__, "no answer"
    except OSError:
        return case.__name__, "closed"


def _dribble(line: socket.socket) -> bytes:
    """Sends a byte now and then until there is an answer."""
    line.settimeout(0.2)
    for _ in range(300):
        try:
            return line.recv(4096)
        except TimeoutError:
            line.sendall(b" ")
    raise TimeoutError
