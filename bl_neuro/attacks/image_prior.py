"""Priors on images: neighbouring pixels are similar, and the object is in the centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from bl_neuro.arrays import FloatArray, IntArray
from bl_neuro.attacks.base import Attack, Box
from bl_neuro.errors import InputError


class ImagePrior:
    """Modifies directions in input space (K, *input_shape) if the input is an image; otherwise returns them unchanged.

    blur: standard deviation of a Gaussian blur in pixels, 0 for none. window: standard deviation of a centred Gaussian
    mask in pixels, or None. image_shape: (H, W) of a flat input.
    """

    def __init__(
        self, input_shape: tuple[int, ...], blur: float, window: float | None, image_shape: tuple[int, int] | None
    ) -> None:
        if image_shape is not None and len(input_shape) == 1 and image_shape[0] * image_shape[1] != input_shape[0]:
            raise InputError(f"image_shape: expected the shape of {input_shape[0]} inputs, found {image_shape}")
        flat = (1, *image_shape) if image_shape is not None else None
        if window is not None and flat is None and len(input_shape) != 3:
            raise InputError(f"window: inputs of shape {input_shape} are not images; give image_shape=(height, width)")
        self._input_shape = input_shape
        self._image = input_shape if len(input_shape) == 3 else flat
        self._blur, self._window = blur, window
        self._mask: FloatArray | None = None
        if window is not None and self._image is not None:
            rows, columns = (np.arange(size) - (size - 1) / 2 for size in self._image[1:])
            self._mask = np.exp(-(rows[:, None] ** 2 + columns[None] ** 2) / (2 * window**2))

    @property
    def active(self) -> list[str]:
        """Descriptions of the enabled priors."""
        if self._image is None:
            return []
        blur = [f"neighbouring pixels agree (blur of {self._blur:g} pixels)"] if self._blur > 0 else []
        window = [] if self._mask is None else [f"the object is in the middle (window of {self._window:g} pixels)"]
        return blur + window

    @property
    def is_image(self) -> bool:
        """Whether the input is an image, so that priors apply."""
        return self._image is not None

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of the image, or None if the input is not an image."""
        return None if self._image is None else self._image[-2:]

    @property
    def mask(self) -> FloatArray:
        """The mask of the window at each input, in 0..1, (*input_shape); 1 everywhere without a window."""
        whole = np.ones(self._image or self._input_shape)
        return np.asarray((whole if self._mask is None else whole * self._mask).reshape(self._input_shape))

    def uniform(self, shape: tuple[int, ...], blur: float, rng: np.random.Generator) -> FloatArray:
        """Uniform random numbers for each input, (*shape, *input_shape), correlated between neighbours if blur > 0.

        Each number by itself is uniform in 0..1. Together they form a Gaussian copula of noise blurred by `blur`
        pixels. Frames drawn with them contain strokes, to which a target responds more than to single pixels.
        """
        if self._image is None or blur <= 0:
            return rng.random((*shape, *self._input_shape))
        noise = rng.normal(size=(int(np.prod(shape)), *self._image))
        smooth = gaussian_filter(noise, (0, 0, blur, blur), mode="wrap")
        kernel = gaussian_filter(_point(self._image), (0, blur, blur), mode="wrap")
        return np.asarray(ndtr(smooth / np.sqrt((kernel**2).sum()))).reshape(*shape, *self._input_shape)

    def shifts(self, count: int, most: int, rng: np.random.Generator) -> IntArray:
        """Random shifts (count, 2), down and right, of at most `most` pixels in each direction; 0 if not an image."""
        if self._image is None or most == 0:
            return np.zeros((count, 2), dtype=np.int64)
        return rng.integers(-most, most + 1, size=(count, 2))

    def shifted(self, frames: FloatArray, shifts: IntArray) -> FloatArray:
        """Frames (B, *input_shape), shifted by `shifts` (B, 2) and padded with 0."""
        if self._image is None or not shifts.any():
            return frames
        images = frames.reshape(-1, *self._image)
        moved = np.zeros_like(images)
        height, width = self._image[1:]
        bounded = np.clip(shifts, (-height, -width), (height, width))
        for image, place, (down, right) in zip(images, moved, bounded.tolist()):
            place[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = image[
                :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
            ]
        return moved.reshape(frames.shape)

    def shape(self, direction: FloatArray) -> FloatArray:
        """`direction` (K, *input_shape) blurred and masked."""
        if self._image is None:
            return direction
        images: FloatArray = direction.reshape(-1, *self._image)
        if self._blur > 0:
            images = gaussian_filter(images, (0, 0, self._blur, self._blur), mode="constant")
        if self._mask is not None:
            images = images * self._mask
        return np.asarray(images.reshape(direction.shape))

    def in_every_channel(self, images: FloatArray) -> FloatArray:
        """Images (B, H, W) copied to every channel of inputs (B, *input_shape)."""
        channels = 1 if self._image is None else self._image[0]
        return np.repeat(images[:, None], channels, axis=1).reshape(len(images), *self._input_shape)

    def probes(self, count: int, densities: tuple[float, float], blur: float, rng: np.random.Generator) -> FloatArray:
        """Random binary inputs (count, *input_shape), each with a density drawn uniformly from `densities`.

        For images they are blobs, blurred noise above a quantile, because some classes never respond to unstructured
        noise.
        """
        field = rng.normal(size=(count, *self._input_shape))
        if self._image is not None and blur > 0:
            images = field.reshape(count, *self._image)
            images = gaussian_filter(images, (0, 0, blur, blur), mode="reflect")
            field = np.asarray(images / images.std(axis=(1, 2, 3), keepdims=True))
            if self._mask is not None:
                field = field + 1.5 * np.log(np.maximum(self._mask, 1e-3))
        flat = np.argsort(np.argsort(-field.reshape(count, self.mask.size), axis=1), axis=1)
        lit = np.round(rng.uniform(*densities, size=(count, 1)) * flat.shape[1])
        probes: FloatArray = (flat < lit).astype(np.float64)
        return probes.reshape(count, *self._input_shape)


def _point(image: tuple[int, ...]) -> FloatArray:
    """An image with one pixel set in the first channel."""
    point = np.zeros(image)
    point[0, 0, 0] = 1.0
    return point


FARTHEST = 1024
"""Maximum of blur and window, in pixels."""
NARROWEST = 0.1
"""Minimum width of a window in pixels; a narrower one would remove everything if the side is even."""


@dataclass(frozen=True, kw_only=True)
class AttackWithPriors(Attack[Box]):
    """An attack that modifies its directions in input space by image priors; see `ImagePrior`.

    blur: standard deviation of a Gaussian blur in pixels, 0 for none, which makes neighbouring pixels similar. window:
    standard deviation of a centred Gaussian mask in pixels, or None, for objects in the centre. image_shape: (H, W) of
    a flat input.
    """

    blur: float = 0.0
    window: float | None = None
    image_shape: tuple[int, int] | None = None

    def problems(self) -> list[str]:
        """See `Attack.problems`."""
        rules = [
            (0 <= self.blur <= FARTHEST, f"blur: expected at least 0 pixels, at most {FARTHEST}, found {self.blur}"),
            (
                self.window is None or NARROWEST <= self.window <= FARTHEST,
                f"window: expected above 0 pixels ({NARROWEST}..{FARTHEST}), found {self.window}",
            ),
            (
                self.image_shape is None or min(self.image_shape) >= 1,
                f"image_shape: expected height and width of at least 1 pixel, found {self.image_shape}",
            ),
        ]
        return [message for holds, message in rules if not holds]

    def prior(self, input_shape: tuple[int, ...]) -> ImagePrior:
        """The priors for inputs of this shape. Raises InputError if they do not apply to it."""
        return ImagePrior(input_shape, self.blur, self.window, self.image_shape)

    def assumptions(self, box: Box) -> list[str]:
        """See `Attack.assumptions`: the image priors that apply to this box."""
        return self.prior(box.input_shape).active
