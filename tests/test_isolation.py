"""Global settings of the calling program change no result of a target or an attack, and are left as they were.

`test_isolation_refusals.py` tests those that are refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor

import bl_neuro as bl
from bl_neuro import InputError, WhiteBox
from bl_neuro.attacks import AnnBox
from bl_neuro.attacks.registry import ATTACKS
from bl_neuro.backends import Target, find_backend
from bl_neuro.isolation import isolated, isolation
from bl_neuro.testing.all_calls import CLASSES, NETWORK, SMALL, SPIKES, STEPS, TWIN, network, results, weighed
from bl_neuro.testing.global_settings import SETTINGS, visible_settings
from bl_neuro.testing.reference_target import EasyAnn

SUBSTRATES = [
    pytest.param(name, marks=getattr(pytest.mark, name) if name != "loihi" else ())
    for name in ("loihi", "snntorch", "norse", "slayer", "lava")
]


def exact(substrate: str, setting: str) -> bool:
    """Whether a substrate has the same bits under a setting: all but floating-point sums that threads share."""
    return setting != "two threads" or find_backend(substrate).arithmetic != "real"


EXACT = [
    pytest.param(*substrate.values, setting, marks=substrate.marks)
    for substrate in SUBSTRATES
    for setting in SETTINGS
    if exact(str(substrate.values[0]), setting)
]


def tensors(result: Any) -> list[Any]:
    """All tensors and numbers of a result, in order."""
    if isinstance(result, (list, tuple)):
        return [tensor for part in result for tensor in tensors(part)]
    if isinstance(result, dict):
        return [tensor for part in result.values() for tensor in tensors(part)]
    return (
        [result]
        if result is None or not hasattr(result, "__dict__") or isinstance(result, Tensor)
        else (tensors(vars(result)))
    )


def assert_identical(result: Any, expected: Any, what: str) -> None:
    """Asserts equal bits, dtypes and devices, and tensors that can be differentiated."""
    pairs = list(zip(tensors(result), tensors(expected), strict=True))
    for value, wanted in pairs:
        if isinstance(wanted, Tensor):
            assert (value.dtype, value.device, value.is_inference()) == (wanted.dtype, wanted.device, False), what
            assert value.requires_grad == wanted.requires_grad, what
            assert value.numpy().tobytes() == wanted.numpy().tobytes(), what
        else:
            assert value == wanted, what


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[[str], tuple[Target, dict[str, Any]]]]:
    """An open target of a substrate, and its results under standard settings."""
    with ExitStack() as stack:
        made: dict[str, tuple[Target, dict[str, Any]]] = {}

        def get(substrate: str) -> tuple[Target, dict[str, Any]]:
            if substrate not in made:
                target = stack.enter_context(bl.open_target(NETWORK, substrate))
                made[substrate] = target, results(target)
            return made[substrate]

        yield get


@pytest.mark.slow
@pytest.mark.parametrize(("substrate", "setting"), EXACT)
def test_no_setting_changes_a_bit(
    substrate: str, setting: str, needs: Callable[[str], None], opened: Callable[[str], tuple[Target, dict[str, Any]]]
) -> None:
    needs(substrate)
    target, expected = opened(substrate)
    with SETTINGS[setting]():
        before = visible_settings()
        made = results(target)
        after = visible_settings()
    assert after == before
    assert made.keys() == expected.keys()
    for what, result in made.items():
        assert_identical(result, expected[what], what)


@pytest.mark.slow
@pytest.mark.parametrize("substrate", SUBSTRATES)
def test_no_setting_changes_layers_and_states(substrate: str, needs: Callable[[str], None]) -> None:
    """In one test, since Lava starts another simulation for these."""
    needs(substrate)
    with bl.open_target(NETWORK, substrate) as target:

        def recorded() -> Any:
            return target.run_with_states(SPIKES) if target.backend.shows_states else target.run(SPIKES, layers=True)

        expected = recorded()
        for setting, made in SETTINGS.items():
            if not exact(substrate, setting):
                continue
            with made():
                result = recorded()
            assert_identical(result, expected, setting)


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("substrate", [one for one in SUBSTRATES if "lava" not in one.values])
def test_a_target_opened_under_a_setting_is_the_same(
    substrate: str, setting: str, needs: Callable[[str], None], opened: Callable[[str], tuple[Target, dict[str, Any]]]
) -> None:
    needs(substrate)
    expected = opened(substrate)[1]
    with SETTINGS[setting]():
        target = bl.open_target(network(), substrate)
    with target:
        assert_identical(target.run(SPIKES), expected["run"], "run")
        assert_identical(target.run(SPIKES, start="cold"), expected["cold"], "cold")
        assert_identical(WhiteBox(target).gradient(torch.from_numpy(SPIKES), weighed), expected["gradient"], "gradient")


def test_the_table_has_every_attack() -> None:
    assert SMALL.keys() == set(ATTACKS.ours)


@pytest.mark.parametrize(
    "setting",
    ["autocast to bfloat16", "inference_mode", "default device meta", "saved tensors in bfloat16", "all at once"],
)
def test_an_attack_on_the_emulator_is_the_same_quickly(setting: str) -> None:
    """What the slow table tests, for the settings that matter most."""
    attack = ATTACKS.find("v1")(**SMALL["v1"])
    with bl.open_target(NETWORK, "loihi") as target:
        expected = attack(WhiteBox(target), classes=CLASSES, steps=STEPS)
        with SETTINGS[setting]():
            result = attack(WhiteBox(target), classes=CLASSES, steps=STEPS)
    assert_identical(result, expected, "v1")


def test_torch_no_grad_around_a_run_stays_in_force() -> None:
    spikes = torch.from_numpy(SPIKES).double().requires_grad_()
    assert TWIN.run(spikes).spikes.requires_grad
    for setting in ("no_grad", "inference_mode", "gradients disabled"):
        with SETTINGS[setting]():
            assert not TWIN.run(spikes).spikes.requires_grad


def test_a_gradient_reaches_inputs_made_in_inference_mode() -> None:
    with torch.inference_mode():
        spikes = torch.from_numpy(SPIKES).double().requires_grad_()
        plain = torch.from_numpy(SPIKES).double().clone()
    (gradient,) = torch.autograd.grad(weighed(TWIN.run(spikes)).sum(), spikes)
    assert torch.equal(gradient, WhiteBox(TWIN).gradient(plain, weighed)[1])


def test_a_module_made_in_inference_mode_is_refused() -> None:
    with torch.inference_mode():
        module = EasyAnn()
    with pytest.raises(InputError, match=r"ann box: .*made in torch.inference_mode"):
        AnnBox(module)


def test_settings_return_after_an_error() -> None:
    with SETTINGS["all at once"]():
        before = visible_settings()
        with pytest.raises(ZeroDivisionError), isolation():
            raise ZeroDivisionError
        assert visible_settings() == before


def test_settings_made_inside_are_undone_by_whoever_made_them() -> None:
    """A callback may have settings of its own; what it calls is isolated from them and restores them."""

    @isolated
    def inner() -> torch.dtype:
        return torch.empty(0).dtype

    with isolation():
        torch.set_default_dtype(torch.float64)
        assert inner() == torch.float32
        assert torch.get_default_dtype() == torch.float64
        torch.set_default_dtype(torch.float32)


def test_the_last_thread_restores_the_settings_of_the_process() -> None:
    inside, over = threading.Event(), threading.Event()
    dtypes: list[torch.dtype] = []

    def first() -> None:
        with isolation():
            inside.set()
            over.wait(10)
            dtypes.append(torch.empty(0).dtype)

    with SETTINGS["default dtype float64"]():
        thread = threading.Thread(target=first)
        thread.start()
        assert inside.wait(10)
        with isolation():
            pass
        dtypes.append(torch.get_default_dtype())  # the other thread still computes
        over.set()
        thread.join()
        dtypes.append(torch.get_default_dtype())
    assert dtypes == [torch.float32, torch.float32, torch.float64]


DTYPES = ("bool", "int8", "uint16", "int32", "uint64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float64")


@pytest.mark.parametrize("substrate", SUBSTRATES)
def test_spikes_of_any_dtype_are_the_same(
    substrate: str, needs: Callable[[str], None], opened: Callable[[str], tuple[Target, dict[str, Any]]]
) -> None:
    needs(substrate)
    target, expected = opened(substrate)
    for name in DTYPES:
        values = torch.from_numpy(SPIKES).to(getattr(torch, name))
        assert_identical(target.run(values), expected["run"], name)
        if target.differentiable:
            gradient = WhiteBox(target).gradient(values, weighed)[1]
            tolerance = 1e-5 if name == "float64" else 0.0
            torch.testing.assert_close(
                gradient, expected["gradient"][1], rtol=tolerance, atol=tolerance, check_dtype=False
            )
        two = (torch.from_numpy(SPIKES).float() * 2).to(values.dtype)
        if name != "bool":
            with pytest.raises(InputError, match="only 0 and 1, found 2"):
                target.run(two)


def test_spikes_without_values_are_refused() -> None:
    with pytest.raises(InputError, match="a tensor with values, found a tensor on device meta"):
        TWIN.run(torch.zeros(SPIKES.shape, device="meta"))
    quantized = torch.quantize_per_tensor(torch.from_numpy(SPIKES).float(), 1.0, 0, torch.quint8)
    with pytest.raises(InputError, match=r"found torch.quint8"):
        TWIN.run(quantized)
