"""From events to frames of spikes, with tonic's transforms and the BrainLeaks authors' settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bl_neuro.arrays import SpikeArray
from bl_neuro.data.event_file import Events, Sensor
from bl_neuro.data.extra import need_extra


@dataclass(frozen=True)
class Framing:
    """How events become frames.

    denoise_us: an event is dropped if no neighbouring pixel had one for so long; tonic drops none at times below
    denoise_us. window_us: how long a frame lasts. merged: both polarities in one frame, or only polarity 0 (after
    denoising with both).
    """

    sensor: Sensor
    denoise_us: int
    window_us: int
    merged: bool

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of a frame."""
        return (1, self.sensor.height, self.sensor.width)


def to_frames(events: Events, framing: Framing) -> SpikeArray:
    """The frames (T, 1, H, W) of a recording: 1 where a pixel had an event, however many.

    Windows begin with the first event that is left; the last, incomplete one is dropped. T is 0 where nothing is left.
    """
    transforms = need_extra("tonic.transforms")
    if framing.merged:
        events = transforms.MergePolarities()(events)
    events = transforms.Denoise(filter_time=framing.denoise_us)(events)
    if not len(events):
        return np.zeros((0, *framing.input_shape), dtype=np.uint8)
    sensor = (framing.sensor.width, framing.sensor.height, 1 if framing.merged else 2)
    counts = transforms.ToFrame(sensor_size=sensor, time_window=framing.window_us)(events)
    frames: SpikeArray = (counts[:, :1] != 0).astype(np.uint8)
    return frames
