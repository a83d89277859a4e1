"""A state dict and a few words on its layers as a network.

Each layer is a dict. Where a value may be a name, it is that of a tensor of the state:

    {"kind": "dense", "weight": name, "bias": name, ...neurons}
    {"kind": "conv", "weight": name, "bias": name, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, ...neurons}
    {"kind": "flatten"}    {"kind": "sum_pool", "size": 2, "stride": 2}    {"kind": "average_pool", ...}

    neurons:  "threshold": number or name; 1.0 where none is given
              "beta" or "voltage_decay" (= 1 - beta): number or name
              "alpha" or "current_decay" (= 1 - alpha): number or name; none means current_decay 1
              "reset": "zero", "subtract" or "subtract_delayed"; see `bl_neuro.CubaLIF`

"bias" is added to the weighted input, as in torch, and is refused where the current has a memory; see `interop.parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bl_neuro.arrays import FloatArray
from bl_neuro.errors import InputError, ModelFileError, NetworkError
from bl_neuro.files import what_is_at
from bl_neuro.interop.module_copy import values_of
from bl_neuro.interop.parts import Neurons, Part, Step, Synapse, assemble
from bl_neuro.layers import AveragePool, Flatten, SumPool
from bl_neuro.network import MAX_FILE_BYTES, MAX_LAYERS, Network, Readout

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


def from_state_dict(
    state: Mapping[str, Any] | str | Path,
    layers: Sequence[Mapping[str, Any]],
    input_shape: Iterable[int],
    *,
    ignore: Iterable[str] = (),
    readout: Readout = "spikes",
) -> Network:
    """The network that the tensors of `state` make, with `layers` saying what they are (see the module).

    state: tensors or arrays by name, as `module.state_dict()` returns them, or the path of a `.safetensors` file.
    input_shape: of one frame, (features,) or (channels, height, width). ignore: names of tensors that the network
    does not need, such as "lif1.reset_mechanism_val"; every other tensor has to be used.

    Raises:
        InputError: the description does not fit the state: unknown keys, tensors missing or left over; all are listed.
        Unsupported: what is described has no exact network.
        ModelFileError: the file is missing, damaged or of a kind that is not read: pickles never are.
    """
    if not isinstance(layers, Sequence) or isinstance(layers, (str, bytes)) or not 0 < len(layers) <= MAX_LAYERS:
        raise InputError(f"layers: expected a list of 1 to {MAX_LAYERS} dicts")
    names, tensor = _opened(state)
    reader = _Reader(names, tensor)
    parts: list[Part] = []
    for index, entry in enumerate(layers):
        parts += reader.parts(f"layer {index}", entry)
    ignored = set(ignore)
    left = sorted(names - reader.used - ignored)
    if left:
        shown = ", ".join(left[:10]) + (", ..." if len(left) > 10 else "")
        reader.problems.append(f"tensors that no layer uses: {shown}; name those not needed in ignore=")
    if ignored - names:
        reader.problems.append(f"ignore: no such tensors: {', '.join(sorted(map(str, ignored - names)))}")
    if reader.problems:
        raise InputError(f"{SOURCE} and its description do not fit: {'; '.join(reader.problems)}")
    return assemble(parts, input_shape, SOURCE, (), readout)


class _Reader:
    """Turns layer descriptions into parts, notes which tensors are used and what is wrong."""

    def __init__(self, names: set[str], tensor: Callable[[str], FloatArray]) -> None:
        self._names = names
        self._tensor = tensor
        self.used: set[str] = set()
        self.problems: list[str] = []

    def parts(self, place: str, entry: Any) -> list[Part]:
        """What one description stands for; empty where it cannot be read."""
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
        weight = self._value(place, entry, "weight", named=True)
        bias = self._value(place, entry, "bias", named=True) if entry.get("bias") is not None else None
        threshold = self._value(place, entry, "threshold") if "threshold" in entry else values_of(1.0)
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

    def _decay(self, place: str, entry: Mapping[str, Any], kept: str, lost: str) -> FloatArray | None:
        """The fraction lost in a step, given as such or as the fraction kept."""
        if (kept in entry) == (lost in entry):
            self.problems.append(f'{place}: expected one of "{kept}" and "{lost}"')
            return None
        value = self._value(place, entry, kept if kept in entry else lost)
        return value if value is None or lost in entry else 1.0 - value

    def _value(self, place: str, entry: Mapping[str, Any], key: str, named: bool = False) -> FloatArray | None:
        """A number, or the tensor it names; None with a problem."""
        given = entry.get(key)
        if isinstance(given, str):
            if given not in self._names:
                self.problems.append(f"{place}: {key}: there is no tensor {given!r}")
                return None
            self.used.add(given)
            try:
                return self._tensor(given)
            except (TypeError, ValueError, RuntimeError) as error:
                self.problems.append(f"{place}: {key}: tensor {given!r} holds no numbers ({error})")
                return None
        if named or isinstance(given, bool) or not isinstance(given, (int, float)):
            expected = "the name of a tensor" if named else "a number or the name of a tensor"
            self.problems.append(f"{place}: {key}: expected {expected}, found {given!r:.80}")
            return None
        return values_of(given)


def _opened(state: Any) -> tuple[set[str], Callable[[str], FloatArray]]:
    """The names of the tensors, and how to get one."""
    if isinstance(state, Mapping):
        unnamed = [name for name in state if not isinstance(name, str)]
        if unnamed:
            raise InputError(f"state: expected tensors by name, found the key {unnamed[0]!r:.80}")
        return set(state), lambda name: values_of(state[name])
    if not isinstance(state, (str, Path)):
        raise InputError(
            f"state: expected a state dict or the path of a .safetensors file, found {type(state).__name__}"
        )
    path = Path(state)
    if path.suffix != ".safetensors":
        raise ModelFileError(
            f"{path}: expected a .safetensors file; PyTorch's .pt and .pth are pickles, which are never opened here. "
            "Where you trust the file, convert it yourself: safetensors.torch.save_file(torch.load(path, "
            'weights_only=True), "weights.safetensors")'
        )
    found = what_is_at(path)
    if found != "a file":
        raise ModelFileError(f"{path}: expected a .safetensors file, found {found}")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ModelFileError(f"{path}: {size} bytes; at most {MAX_FILE_BYTES} are read")
    return _safetensors(path)


def _safetensors(path: Path) -> tuple[set[str], Callable[[str], FloatArray]]:
    """Names and reader of a file: through torch, which knows bfloat16."""
    from safetensors import SafetensorError, safe_open

    def tensor(name: str) -> FloatArray:
        try:
            with safe_open(str(path), framework="pt") as file:
                return values_of(file.get_tensor(name))
        except (SafetensorError, OSError) as error:
            raise ModelFileError(f"{path}: {name}: not readable ({error})") from error

    try:
        with safe_open(str(path), framework="pt") as file:
            return set(file.keys()), tensor
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: not a readable safetensors file ({error})") from error
