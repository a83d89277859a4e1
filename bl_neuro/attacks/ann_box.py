"""White-box access to an ANN, such as the twin of a spiking target: its outputs for images, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bl_neuro.backends.inputs import need_no_forward_derivative
from bl_neuro.checks import whole_number
from bl_neuro.errors import InputError
from bl_neuro.isolation import isolated


class AnnBox:
    """White-box access to an artificial neural network. `queries` is the number of images run so far.

    model: a torch module that maps images (B, *input_shape) in 0..1 to logits (B, classes), with the attributes
    `input_shape` and `classes`, such as `bl_neuro.training.AnnTwin`. Its training or evaluation mode is not changed.

    Raises:
        InputError: the module does not have these attributes.
    """

    def __init__(self, model: Any) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(
                f"ann box: expected a torch module with input_shape and classes, found {type(model).__name__}; "
                "for a spiking target use a WhiteBox"
            )
        shape, classes = getattr(model, "input_shape", None), whole_number(getattr(model, "classes", None))
        sides = [whole_number(side) for side in shape] if isinstance(shape, (tuple, list)) else []
        known = [side for side in sides if side is not None and side > 0]
        if not sides or len(known) != len(sides):
            raise InputError(f"ann box: expected a module with a valid input_shape, found {shape!r}")
        if classes is None or classes < 1:
            raise InputError("ann box: expected a module with its number of classes as the attribute `classes`")
        if any(parameter.is_inference() for parameter in model.parameters()):
            raise InputError(
                "ann box: expected a module with gradients, found parameters made in torch.inference_mode(), which "
                "torch does not differentiate; outside of that mode, copy.deepcopy(module) makes a module that it does"
            )
        self.model, self.queries = model, 0
        self._input_shape, self._classes = tuple(known), classes
        parameter = next(model.parameters(), None)
        self._dtype = torch.float32 if parameter is None else parameter.dtype

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return self._input_shape

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self._classes

    @isolated
    def run(self, images: Tensor) -> Tensor:
        """Logits (B, classes) for images (B, *input_shape), without gradient."""
        need_no_forward_derivative(images, "images", "AnnBox.gradient")
        with torch.no_grad():
            return self._logits(images)

    @isolated
    def gradient(self, images: Tensor, objective: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Value (B,) of `objective(logits)` at `images`, and its gradient at the images, (B, *input_shape)."""
        need_no_forward_derivative(images, "images", "AnnBox.gradient")
        inputs = images.detach().clone()
        with torch.enable_grad():
            inputs.requires_grad_()
            values = objective(self._logits(inputs))
            (gradient,) = torch.autograd.grad(values.sum(), inputs)
        return values.detach(), gradient

    def _logits(self, images: Tensor) -> Tensor:
        if tuple(images.shape[1:]) != self._input_shape:
            raise InputError(f"images: expected shape (B, {self._input_shape}), found {tuple(images.shape)}")
        self.queries += len(images)
        logits: Tensor = self.model(images.to(self._dtype))
        if tuple(logits.shape) != (len(images), self._classes):
            raise InputError(f"ann box: expected logits ({len(images)}, {self._classes}), found {tuple(logits.shape)}")
        return logits.to(images.dtype)
