"""Damaged experiment files for `fuzz_experiments`: changed in their structure, or as text."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from typing import Any

from numpy.random import Generator

from bl_neuro.experiment.experiment_file import experiment_path
from bl_neuro.experiment.ready_made import ready_made

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RICH = """\
name = "rich"
seeds = [0, 1]
restarts = 2
steps = 4
substrates = ["snntorch", "loihi"]
verify = ["snntorch", "loihi"]
[options.snntorch]
precision = "float32"
[dataset]
name = "digits"
[target]
hidden = [16]
[[evaluators]]
kind = "conv"
epochs = 1
[[attacks]]
attack = "v1"
[[attacks]]
attack = "v2"
reveals = ["counts", "scores"]
settings = { queries = 16, warm_start = 20 }
[[controls]]
kind = "untrained"
attacks = ["v1"]
[[replays]]
substrate = "lava"
of = "loihi"
[ladder]
attacks = ["v2"]
[[mitigations]]
kind = "query_cap"
queries = 8
"""
SERVED = """\
name = "served"
steps = 4
substrates = ["chip"]
[dataset]
name = "digits"
[[evaluators]]
kind = "conv"
[[attacks]]
attack = "v2"
reveals = ["counts"]
[[endpoints]]
name = "chip"
url = "http://127.0.0.1:8000/v2/models/a"
reveals = "counts"
token = "BL_NEURO_TOKEN"
input_shape = [64]
"""
ODD = (
    "true", "-1", "0", "2", "9223372036854775807", "-9223372036854775808", "1e308", "-0.0", "nan", "-inf", '""',
    '"loihi"', '"v1"', '"counts"', '"\\u0000\\u202e"', '"../../etc/passwd"', "[]", '["v1"]', "[[1], [[2]]]", "{}",
    '{ kind = "conv" }', "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "[1, 'a', true, {}]",
)  # fmt: skip
"""Values of every type of TOML, as text."""


class Written(str):
    """A value that is already TOML."""


def documents() -> list[dict[str, Any]]:
    """Valid experiments to start from."""
    shipped = [experiment_path(name).read_text(encoding="utf-8") for name in ready_made()]
    return [tomllib.loads(text) for text in (RICH, RICH, SERVED, *shipped)]


def mutated(rng: Generator, sources: list[dict[str, Any]]) -> bytes:
    """One damaged file."""
    document = copy.deepcopy(sources[rng.integers(len(sources))])
    for _ in range(rng.integers(4)):
        STRUCTURE[rng.integers(len(STRUCTURE))](document, rng)
    text = "".join(_lines(document, (), rng))
    if rng.random() < 0.25:
        text = TEXT[rng.integers(len(TEXT))](text, rng)
    data = text.encode("utf-8", "surrogatepass")
    return _noise(data, rng) if rng.random() < 0.05 else data


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of the document."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [(value, key) for key, _ in items] + [place for _, item in items for place in _places(item)]


def _place(document: dict[str, Any], rng: Generator) -> tuple[Any, Any]:
    places = _places(document) or [(document, "name")]
    return places[rng.integers(len(places))]


def _odd(rng: Generator) -> Written:
    if rng.random() < 0.1:
        length = int(rng.choice([20, 400, 4400, 20_000]))
        return Written(
            rng.choice(["9" * length, "0x" + "f" * length, "1e" + "9" * length, "[" * length + "]" * length])
        )
    return Written(ODD[rng.integers(len(ODD))])


def _replace(document: dict[str, Any], rng: Generator) -> None:
    container, key = _place(document, rng)
    container[key] = _odd(rng)


def _wrap(document: dict[str, Any], rng: Generator) -> None:
    container, key = _place(document, rng)
    value = container.get(key) if isinstance(container, dict) else container[key]
    container[key] = [value] if rng.random() < 0.5 else {"kind": value}


def _unwrap(document: dict[str, Any], rng: Generator) -> None:
    container, key = _place(document, rng)
    value = container.get(key) if isinstance(container, dict) else container[key]
    if isinstance(value, (list, dict)) and value:
        container[key] = value[0] if isinstance(value, list) else next(iter(value.values()))


def _remove(document: dict[str, Any], rng: Generator) -> None:
    container, key = _place(document, rng)
    if isinstance(container, list) or key in container:
        del container[key]


def _add(document: dict[str, Any], rng: Generator) -> None:
    tables = [document, *(item for box, key in _places(document) if isinstance(item := box[key], dict))]
    others = [key for box, key in _places(document) if isinstance(box, dict)] or ["name"]
    key = str(rng.choice([others[rng.integers(len(others))], "", "a.b", "é\n", "__class__", "k" * 300]))
    tables[rng.integers(len(tables))][key] = _odd(rng)


def _exchange(document: dict[str, Any], rng: Generator) -> None:
    (one, first), (other, second) = _place(document, rng), _place(document, rng)
    if first in (one if isinstance(one, dict) else range(len(one))):
        other[second] = copy.deepcopy(one[first])


def _repeat(document: dict[str, Any], rng: Generator) -> None:
    lists = [box[key] for box, key in _places(document) if isinstance(box[key], list) and box[key]]
    if lists:
        chosen = lists[rng.integers(len(lists))]
        chosen.extend([copy.deepcopy(chosen[-1])] * int(rng.choice([1, 30, 400])))


STRUCTURE: tuple[Callable[[dict[str, Any], Generator], None], ...] = (
    _replace, _replace, _replace, _wrap, _unwrap, _remove, _add, _exchange, _repeat,
)  # fmt: skip


def _many(text: str, rng: Generator) -> str:
    count = int(rng.choice([10, 990]))
    line = str(
        rng.choice(["k{} = 1\n", "[k{}]\n", "[[controls]]\n# {}\n", "a.b{} = {{}}\n", "[[attacks]]\nattack = 'x{}'\n"])
    )
    return "".join(line.format(number) for number in range(count)) + text


def _dotted(text: str, rng: Generator) -> str:
    key = ".".join("a" * int(rng.choice([3, 200, 999, 5000])))
    return str(rng.choice([f"{key} = 1\n", f"[{key}]\n", f"[[{key}]]\n", f"x = {{ {key} = 1 }}\n"])) + text


def _inserted(text: str, rng: Generator) -> str:
    at = int(rng.integers(len(text) + 1))
    words = ['"', "'''", '"""', "[", "]]", "{", "}", "#", "\n", "=", "\\", "\ufeff", "\x00", "\r", "\u2028", ","]
    return text[:at] + str(words[rng.integers(len(words))]) + text[at:]


def _cut(text: str, rng: Generator) -> str:
    return text[: int(rng.integers(len(text) + 1))]


def _windows(text: str, rng: Generator) -> str:
    return "\ufeff" * int(rng.integers(2)) + text.replace("\n", "\r\n")


TEXT: tuple[Callable[[str, Generator], str], ...] = (_many, _dotted, _inserted, _cut, _windows)


def _noise(data: bytes, rng: Generator) -> bytes:
    changed = bytearray(data)
    for at in rng.integers(len(changed), size=3) if changed else ():
        changed[at] = rng.integers(256)
    return bytes(changed)


def _lines(table: dict[str, Any], path: tuple[str, ...], rng: Generator) -> list[str]:
    """The document as TOML; tables as headers, as dotted keys or within one line."""
    plain, below = [], []
    for key, value in table.items():
        name = (*path, json.dumps(key))
        if isinstance(value, dict) and rng.random() < 0.8:
            below += [f"[{'.'.join(name)}]\n", *_lines(value, name, rng)]
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value) and rng.random() < 0.8:
            for item in value:
                below += [f"[[{'.'.join(name)}]]\n", *_lines(item, name, rng)]
        else:
            plain.append(f"{name[-1]} = {_value(value, rng)}\n")
    return plain + below


def _value(value: Any, rng: Generator) -> str:
    if isinstance(value, Written):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(item, rng)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        gap = str(rng.choice([" ", "\n  ", " # note ]\n"]))
        return f"[{gap}" + f",{gap}".join(_value(item, rng) for item in value) + f"{gap}]"
    if isinstance(value, str) and "'''" not in value and not value.endswith("'") and rng.random() < 0.1:
        return f"'''\n{value}'''"
    return json.dumps(value, default=str)
