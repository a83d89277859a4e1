"""A state dict and a description of its layers as a network.

Each layer is described by a dict. A name refers to a tensor of the state:

    {"kind": "dense", "weight": name, "bias": name, ...neurons}
    {"kind": "conv", "weight": name, "bias": name, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, ...neurons}
    {"kind": "flatten"}    {"kind": "sum_pool", "size": 2, "stride": 2}    {"kind": "average_pool", ...}

    neurons:  "threshold": number or name; 1.0 by default
              "beta" or "voltage_decay" (= 1 - beta): number or name
              "alpha" or "current_decay" (= 1 - alpha): number or name; by default current_decay is 1
              "reset": "zero", "subtract" or "subtract_delayed"; see `bl_neuro.CubaLIF`

"bias" is added to the weighted input, as in torch, and is refused if current_decay is below 1; see `interop.parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError, ModelFileError, NetworkError
from bl_neuro.files import what_is_at
from bl_neuro.interop.assembly import assemble
from bl_neuro.interop.parts import Neurons, Part, Step, Synapse
from bl_neuro.interop.plain_values import values_of
from bl_neuro.isolation import isolated
from bl_neuro.layers import AveragePool, Flatten, SumPool
from bl_neuro.network import MAX_FILE_BYTES, MAX_LAYERS, Network, Readout
from bl_neuro.strangers.safetensors_header import need_numbers, tensor_types

SOURCE = "the state dict"
_NEURON = ("threshold", "beta", "voltage_decay", "alpha", "current_decay", "reset")
_GEOMETRY = ("stride", "padding", "dilation", "groups")
_KEYS: dict[str, tuple[str, ...]] = {
    "dense": ("weight", "bias", *_NEURON),
    "conv": ("weight", "bias", *_GEOMETRY, *_NEURON),
    "flatten": (),
    "sum_pool": ("size", "stride"),
    "average_pool": ("size", "stride"),
}


@isolated
def from_state_dict(
    state: Mapping[str, Any] | str | Path,
    layers: Sequence[Mapping[str, Any]],
    input_shape: Iterable[int],
    *,
    ignore: Iterable[str] = (),
    readout: Readout = "spikes",
) -> Network:
    """Converts the tensors of `state` to a network; `layers` describes them (see the module).

    state: tensors or arrays by name, as `module.state_dict()` returns them, or the path of a `.safetensors` file.
    input_shape: shape of one frame, (features,) or (channels, height, width). ignore: names of tensors that are not
    needed, such as "lif1.reset_mechanism_val"; all other tensors must be used.

    Raises:
        InputError: the description does not match the state: unknown keys, missing or unused tensors; all are listed.
        Unsupported: the described model has no exact network.
        ModelFileError: the file is missing, damaged or of an unsupported kind, such as a pickle.
    """
    if not isinstance(layers, Sequence) or isinstance(layers, (str, bytes)) or not 0 < len(layers) <= MAX_LAYERS:
        raise InputError(f"layers: expected a list of 1 to {MAX_LAYERS} dicts")
    ignored = _names(ignore)
    names, tensor = _opened(state)
    reader = _Reader(names, tensor)
    parts: list[Part] = []
    for index, entry in enumerate(layers):
        parts += reader.parts(f"layer {index}", entry)
    unused = sorted(names - reader.used - ignored)
    if unused:
        names_shown = ", ".join(unused[:10]) + (", ..." if len(unused) > 10 else "")
        reader.problems.append(f"tensors that no layer uses: {names_shown}; name those not needed in ignore=")
    if ignored - names:
        reader.problems.append(f"ignore: no such tensors: {', '.join(sorted(map(str, ignored - names)))}")
    if reader.problems:
        raise InputError(f"{SOURCE} does not match its description: {'; '.join(reader.problems)}")
    return assemble(parts, input_shape, SOURCE, (), readout)


def _names(ignore: Any) -> set[str]:
    if isinstance(ignore, Iterable) and not isinstance(ignore, (str, bytes)):
        names = list(ignore)
        if all(isinstance(name, str) for name in names):
            return set(names)
    raise InputError(f"ignore: expected a list of names of tensors, found {ignore!r:.80}")


class _Reader:
    """Converts layer descriptions to parts and records used tensors and problems."""

    def __init__(self, names: set[str], tensor: Callable[[str], FloatArray]) -> None:
        self._names = names
        self._tensor = tensor
        self.used: set[str] = set()
        self.problems: list[str] = []

    def parts(self, place: str, entry: Any) -> list[Part]:
        """The parts of one description; empty if it is invalid."""
        kind = entry.get("kind") if isinstance(entry, Mapping) else None
        if not isinstance(kind, str) or kind not in _KEYS:
            self.problems.append(
                f'{place}: expected a dict with "kind": one of {", ".join(_KEYS)}, found {entry!r:.80}'
            )
            return []
        unknown = [str(key) for key in entry if key != "kind" and key not in _KEYS[kind]]
        if unknown:
            self.problems.append(f"{place}: unknown keys for a {kind}: {', '.join(unknown)}")
        try:
            if kind == "flatten":
                return [Step(place, Flatten())]
            if kind.endswith("pool"):
                pool = SumPool if kind == "sum_pool" else AveragePool
                return [Step(place, pool(entry.get("size"), entry.get("stride")))]
        except NetworkError as error:
            self.problems += [f"{place}: {problem}" for problem in error.problems]
            return []
        return self._spiking(place, kind, entry)

    def _spiking(self, place: str, kind: str, entry: Mapping[str, Any]) -> list[Part]:
        weight = self._value(place, entry, "weight", must_be_name=True)
        bias = self._value(place, entry, "bias", must_be_name=True) if entry.get("bias") is not None else None
        threshold = self._value(place, entry, "threshold") if "threshold" in entry else np.ones(())
        voltage = self._decay(place, entry, "beta", "voltage_decay")
        current: Any = 1.0
        if "alpha" in entry or "current_decay" in entry:
            current = self._decay(place, entry, "alpha", "current_decay")
        dimensions = 2 if kind == "dense" else 4
        if weight is not None and weight.ndim != dimensions:
            self.problems.append(
                f"{place}: weight: expected {dimensions} axes for a {kind}, found shape {weight.shape}"
            )
        if "reset" not in entry:
            self.problems.append(f'{place}: "reset" is missing: "zero", "subtract" or "subtract_delayed"')
        if weight is None or threshold is None or voltage is None or current is None:
            return []
        geometry = {key: entry[key] for key in _GEOMETRY if key in entry} if kind == "conv" else {}
        neurons = Neurons(f"{place}, neurons", threshold, current, voltage, reset=entry.get("reset", "zero"))
        return [Synapse(place, weight, bias, geometry), neurons]

    def _decay(self, place: str, entry: Mapping[str, Any], retained_name: str, decay_name: str) -> FloatArray | None:
        """The fraction lost per time step, given directly or as the fraction retained."""
        if (retained_name in entry) == (decay_name in entry):
            self.problems.append(f'{place}: expected one of "{retained_name}" and "{decay_name}"')
            return None
        value = self._value(place, entry, retained_name if retained_name in entry else decay_name)
        return value if value is None or decay_name in entry else 1.0 - value

    def _value(self, place: str, entry: Mapping[str, Any], key: str, must_be_name: bool = False) -> FloatArray | None:
        """A number, or the tensor of the given name; None with a problem."""
        value = entry.get(key)
        if isinstance(value, str):
            if value not in self._names:
                self.problems.append(f"{place}: {key}: there is no tensor {value!r}")
                return None
            self.used.add(value)
            return self._numbers(place, key, lambda: self._tensor(value))
        if must_be_name or isinstance(value, bool) or not isinstance(value, (int, float)):
            expected = "the name of a tensor" if must_be_name else "a number or the name of a tensor"
            self.problems.append(f"{place}: {key}: expected {expected}, found {value!r:.80}")
            return None
        return self._numbers(place, key, lambda: values_of(value, "the number"))

    def _numbers(self, place: str, key: str, read: Callable[[], FloatArray]) -> FloatArray | None:
        """The array that `read` returns; None with its problems."""
        try:
            return read()
        except NetworkError as error:
            self.problems += [f"{place}: {key}: {problem}" for problem in error.problems]
            return None


def _opened(state: Any) -> tuple[set[str], Callable[[str], FloatArray]]:
    """The names of the tensors, and a function that returns one."""
    if isinstance(state, Mapping):
        unnamed = [name for name in state if not isinstance(name, str)]
        if unnamed:
            raise InputError(f"state: expected a dict with strings as keys, found the key {unnamed[0]!r:.80}")
        return set(state), lambda name: values_of(state[name], f"tensor {name!r}")
    if not isinstance(state, (str, Path)):
        raise InputError(
            f"state: expected a state dict or the path of a .safetensors file, found {type(state).__name__}"
        )
    path = Path(state)
    if path.suffix != ".safetensors":
        raise ModelFileError(
            f"{path}: expected a .safetensors file; PyTorch's .pt and .pth are pickles, which bl_neuro never opens. "
            "If you trust the file, convert it yourself: safetensors.torch.save_file(torch.load(path, "
            'weights_only=True), "weights.safetensors")'
        )
    content = what_is_at(path)
    if content != "a file":
        raise ModelFileError(f"{path}: expected a .safetensors file, found {content}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ModelFileError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {size}")
    return _safetensors(path)


def _safetensors(path: Path) -> tuple[set[str], Callable[[str], FloatArray]]:
    """Names and reader function of a file; reads through torch, which supports bfloat16."""
    from safetensors import SafetensorError, safe_open

    types = tensor_types(path)

    def tensor(name: str) -> FloatArray:
        need_numbers(path, types, name)
        try:
            with safe_open(str(path), framework="pt") as file:
                value = file.get_tensor(name)
        except (SafetensorError, AttributeError, OSError, TypeError, ValueError, RuntimeError) as error:
            raise ModelFileError(f"{path}: {name}: not readable by this PyTorch ({error})") from error
        return values_of(value, f"tensor {name!r}")

    try:
        with safe_open(str(path), framework="pt") as file:
            return set(file.keys()), tensor
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: not a readable safetensors file ({error})") from error
