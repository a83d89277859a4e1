"""An animation holds every step of every inversion, exactly."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bl_neuro import InputError
from bl_neuro.drawing import Animation, animation, event_animation
from bl_neuro.drawing.animation import GAP, LABEL, LAST_MS, LEVELS
from bl_neuro.drawing.pixels import colours
from bl_neuro.errors import ReportError

SPIKES = (np.random.default_rng(0).random((5, 3, 2, 8, 6)) < 0.3).astype(np.uint8)


def frames(made: Animation) -> tuple[list[np.ndarray], list[int]]:
    """The frames as RGB, and how long each is shown, in ms."""
    gif = Image.open(io.BytesIO(made.gif))
    pictures, lasting = [], []
    for place in range(gif.n_frames):  # type: ignore[attr-defined]
        gif.seek(place)
        pictures.append(np.asarray(gif.convert("RGB")))
        lasting.append(gif.info["duration"])
    return pictures, lasting


def tile(frame: np.ndarray, place: int, columns: int, height: int = 8, width: int = 6, scale: int = 14) -> np.ndarray:
    """One tile of a frame, a pixel for each input."""
    line, column = divmod(place, columns)
    top = LABEL + line * (LABEL + height * scale + GAP)
    left = GAP + column * (width * scale + GAP)
    return frame[top : top + height * scale : scale, left : left + width * scale : scale]


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_step_is_shown(channels: int) -> None:
    spikes = SPIKES[:, :, [0, 1, 0][:channels]]
    drawn, lasting = frames(event_animation(spikes, columns=2, trail=0.0))
    assert len(drawn) == 5
    assert lasting == [80] * 4 + [LAST_MS]
    for step, frame in enumerate(drawn):
        for place in range(3):
            assert np.array_equal(tile(frame, place, 2), colours(spikes[step, place].astype(float)))


def test_spikes_fade() -> None:
    pulse = np.zeros((4, 1, 8, 6), np.uint8)
    pulse[0, 0, 2, 3] = 1
    drawn, _ = frames(event_animation(pulse, trail=0.5))
    seen = [tile(frame, 0, 1)[2, 3].tolist() for frame in drawn]
    expected = [colours(np.array([[[round(0.5**k * LEVELS) / LEVELS]]]))[0, 0].tolist() for k in range(4)]
    assert seen == expected
    assert seen[0] < seen[1] < seen[2]


def test_it_repeats_and_has_alternative_text() -> None:
    made = event_animation(SPIKES, ["a", "b", "ü"])
    gif = Image.open(io.BytesIO(made.gif))
    assert gif.info["loop"] == 0
    assert made.alt.startswith("Animation of 3 inversions (a, b, ü) over 5 steps")
    assert made.alt.endswith("Blue is ON, orange OFF.")
    assert gif.info["comment"] == made.alt.encode("ascii", "replace")


def test_equal_spikes_are_equal_bytes(tmp_path: Path) -> None:
    one, two = event_animation(SPIKES), event_animation(SPIKES.astype(bool))
    assert one.gif == two.gif
    assert one.save(tmp_path / "new" / "a.gif").read_bytes() == one.gif
    with pytest.raises(ReportError, match="expected a file that can be written"):
        one.save(tmp_path)


def test_names_are_cut_to_their_tile() -> None:
    short, long = (event_animation(SPIKES[:, :1], [name]) for name in ("x", "x" * 300))
    one, two = (frames(made)[0][0] for made in (short, long))
    assert one.shape == two.shape
    assert "x" * 300 in long.alt


def test_a_narrow_sheet_has_no_room_for_a_bar() -> None:
    frames(event_animation(np.ones((2, 1, 40, 1), np.uint8)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spikes": SPIKES * 2}, "spikes: expected 0/1"),
        ({"spikes": SPIKES / 0.5}, "spikes: expected 0/1"),
        ({"spikes": SPIKES.astype(str)}, "spikes: expected 0/1"),
        ({"spikes": SPIKES[:0]}, r"spikes: expected \(T, K, H, W\)"),
        ({"spikes": SPIKES[0, 0]}, r"spikes: expected \(T, K, H, W\)"),
        ({"names": ["a"]}, "names: expected 3, found 1"),
        ({"step_ms": 10}, "step_ms: expected at least 20"),
        ({"trail": 1.0}, "trail: expected a value from 0 to below 1"),
        ({"trail": np.nan}, "trail: expected a value from 0 to below 1"),
        ({"columns": 0}, "columns: expected"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        event_animation(**{"spikes": SPIKES, **changes})


def test_refuses_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "MOST_PIXELS", 1000)
    with pytest.raises(InputError, match=r"expected at most 2\^28 pixels, found 5 frames of"):
        event_animation(SPIKES)
