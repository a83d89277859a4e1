"""Code of the caller that torch would run inside a computation is refused by name; torch.compile is kept out."""

from __future__ import annotations

import importlib
import runpy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import bl_neuro as bl
import bl_neuro.isolation as bl_isolation
from bl_neuro import BlackBox, InputError, WhiteBox
from bl_neuro.attacks import AnnBox
from bl_neuro.attacks.registry import ATTACKS
from bl_neuro.isolation import isolation
from bl_neuro.testing.all_calls import ANN, CLASSES, NETWORK, SMALL, SPIKES, STEPS, TWIN, calls, weighed
from bl_neuro.testing.global_settings import REFUSED, SETTINGS, visible_interceptors, visible_settings

COMPILER: Any = importlib.import_module("torch._dynamo")
IMAGES = torch.linspace(0, 1, 2 * ANN.input_shape[0]).reshape(2, *ANN.input_shape)
set_frame_compiler: Any = COMPILER.eval_frame.set_eval_frame
SUBSTRATES = [
    pytest.param(name, marks=getattr(pytest.mark, name) if name != "loihi" else ())
    for name in ("loihi", "snntorch", "norse", "slayer", "lava")
]


def unchanged_while_refused(call: Callable[[], Any]) -> Any:
    """Makes a call that is refused, and checks that the refusal changes nothing that is active."""
    before = visible_interceptors()
    try:
        return call()
    finally:
        assert visible_interceptors() == before


@pytest.mark.parametrize("substrate", SUBSTRATES)
def test_code_that_torch_would_run_inside_is_refused_by_name(substrate: str, needs: Callable[[str], None]) -> None:
    needs(substrate)
    with bl.open_target(NETWORK, substrate) as target:
        entry_points = calls(target)
        ann = AnnBox(ANN)
        entry_points["ann box"] = lambda: ann.run(IMAGES)
        entry_points["ann gradient"] = lambda: ann.gradient(IMAGES, lambda logits: logits.sum(1))
        entry_points["open"] = lambda: bl.open_target(NETWORK, substrate)
        if target.backend.shows_states:
            entry_points["states"] = lambda: target.run_with_states(SPIKES)
        before = visible_settings()
        for setting, under in REFUSED.items():
            for call in entry_points.values():
                with pytest.raises(InputError, match=f"torch: .*{setting}"):
                    under(partial(unchanged_while_refused, call))
        assert visible_settings() == before
        assert target.samples == ann.queries == 0


def test_all_settings_that_are_refused_are_named_together() -> None:
    with torch.device("cpu"), FakeTensorMode(), pytest.raises(InputError) as error:
        REFUSED["vmap"](lambda: REFUSED["RoundedFunctions"](lambda: TWIN.run(SPIKES)))
    for name in ("RoundedFunctions", "FakeTensorMode", "vmap"):
        assert name in str(error.value)
    assert "DeviceContext" not in str(error.value)


def test_a_forward_mode_derivative_is_refused() -> None:
    spikes = torch.from_numpy(SPIKES).float()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(spikes, torch.ones_like(spikes))
        for call in (TWIN.run, BlackBox(TWIN).query, partial(WhiteBox(TWIN).gradient, objective=weighed)):
            with pytest.raises(InputError, match=r"forward-mode derivative .*WhiteBox\.gradient"):
                call(dual)
        assert torch.equal(TWIN.run(spikes).spikes, TWIN.run(SPIKES).spikes)


def test_an_ann_box_refuses_a_forward_mode_derivative() -> None:
    ann = AnnBox(ANN)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(IMAGES, torch.ones_like(IMAGES))
        for call in (ann.run, partial(ann.gradient, objective=lambda logits: logits.sum(1))):
            with pytest.raises(InputError, match=r"images: .* forward-mode derivative .*AnnBox\.gradient"):
                call(dual)
    assert ann.queries == 0


@pytest.mark.slow
@pytest.mark.parametrize("substrate", [substrate for substrate in SUBSTRATES if "lava" not in substrate.values])
def test_torch_compile_runs_a_call_as_it_is(substrate: str, needs: Callable[[str], None]) -> None:
    needs(substrate)
    if not COMPILER.is_dynamo_supported():
        pytest.skip("torch.compile does not support this version of Python")
    spikes = torch.from_numpy(SPIKES)
    with bl.open_target(NETWORK, substrate) as target:
        black, white, ann = BlackBox(target, "scores"), WhiteBox(target), AnnBox(ANN)
        attack = ATTACKS.find("v1")(**SMALL["v1"])
        functions: list[Callable[[Tensor], Tensor]] = [
            lambda values: target.run(values).spikes * 2 + 1,
            lambda values: black.query(values) * 2,
            lambda values: white.gradient(values.clone(), weighed)[1] * 2,
            lambda values: ann.run(IMAGES) + values.sum(),
            lambda values: attack(white, classes=CLASSES, steps=STEPS).spikes + values.sum(),
        ]
        for function in functions:
            COMPILER.reset()
            compiled: Any = torch.compile(function, backend="eager")
            before = set_frame_compiler(None)
            assert torch.equal(compiled(spikes), function(spikes))
            assert set_frame_compiler(before) is None


def test_the_compiler_goes_on_after_a_call() -> None:
    """Code around a call of a target is still compiled."""
    set_frame_compiler(False)
    try:
        with isolation():
            inside = set_frame_compiler(None)
        with pytest.raises(InputError), FakeTensorMode(), isolation():
            pass
    finally:
        after = set_frame_compiler(None)
    assert (inside, after) == (None, False)


def test_activation_checkpointing_around_a_run_gives_the_same_gradient() -> None:
    def objective(values: Tensor) -> Tensor:
        return weighed(TWIN.run(values)).sum()

    spikes = torch.from_numpy(SPIKES).double().requires_grad_()
    (expected,) = torch.autograd.grad(objective(spikes), spikes)
    (gradient,) = torch.autograd.grad(checkpoint(objective, spikes, use_reentrant=False), spikes)
    assert torch.equal(gradient, expected)


def test_a_torch_without_the_private_functions_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them, only modes that replace tensors are noticed."""
    names = (
        "_len_torch_function_stack",
        "_len_torch_dispatch_stack",
        "_functorch",
        "_is_tracing",
        "_dynamo",
        "_autograd",
    )
    with monkeypatch.context() as patch:
        for name in names:
            patch.delattr(torch._C, name)
        module = runpy.run_path(str(bl_isolation.__file__))
    decorated = module["isolated"](lambda: torch.empty(0).dtype)
    with SETTINGS["all at once"]():
        before = visible_settings()
        assert decorated() == torch.float32
        assert visible_settings() == before
    with FakeTensorMode(), pytest.raises(InputError, match="every tensor a FakeTensor"):
        decorated()
