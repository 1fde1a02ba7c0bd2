"""Grounds are pure, edges keep no rim of the old one, nothing is ever stretched."""

from __future__ import annotations

import numpy as np
import pytest

from mmgen.errors import UnknownChoice
from mmgen.pixels import cutout, sizes

WHITE = (255, 255, 255)


def garment() -> tuple[np.ndarray, np.ndarray]:
    """A blue disc on green, with a soft edge."""
    y, x = np.mgrid[:80, :60]
    soft = (20.5 - np.hypot(y - 40, x - 30)).clip(-1, 1) / 2 + 0.5
    mask = soft.astype(np.float32)
    mixed = mask[..., None] * np.array([20, 40, 160]) + (1 - mask[..., None]) * [40, 200, 60]
    return mixed.round().astype(np.uint8), mask


@pytest.mark.parametrize("shadow", [False, True])
def test_the_rim_of_a_white_ground_is_white(shadow):
    pixels, mask = garment()
    made = cutout.on_ground(pixels, mask, WHITE, shadow=shadow)
    assert cutout.border_share(made, WHITE) == 1
    assert shadow == bool((made[mask == 0] != 255).any())


def test_the_edge_keeps_no_colour_of_the_old_ground():
    pixels, mask = garment()
    made = cutout.on_ground(pixels, mask, WHITE).astype(int)
    greenness = made[..., 1] - np.maximum(made[..., 0], made[..., 2])
    assert greenness.max() <= 3


def test_a_rim_that_is_not_pure_is_counted():
    made = np.full((10, 10, 3), 255, np.uint8)
    made[0, :9] = 254
    assert cutout.border_share(made, WHITE) == pytest.approx(27 / 36)


def test_transparent_pixels_hold_no_colour():
    pixels, mask = garment()
    made = cutout.transparent(pixels, mask)
    assert made.shape == (80, 60, 4)
    assert not made[made[..., 3] == 0].any()
    assert made[40, 30].tolist() == [20, 40, 160, 255]


@pytest.mark.parametrize("size", [(100, 100), (80, 200), (37, 53)])
def test_padding_keeps_the_shape(size):
    pixels, _ = garment()
    for ground in (None, WHITE):
        made = sizes.padded(pixels, size, ground)
        assert made.shape == (size[1], size[0], 3)
        blue = made[..., 2].astype(int) - made[..., 1] > 50
        rows, columns = np.flatnonzero(blue.any(1)), np.flatnonzero(blue.any(0))
        assert abs(len(rows) / len(columns) - 1) < 0.12


def test_a_garment_is_centred_and_fills_the_frame():
    pixels, mask = garment()
    _, placed = sizes.centred(pixels, cutout.opacity(mask), (200, 200))
    rows = np.flatnonzero((placed > 0).any(1))
    assert rows[0] + rows[-1] == pytest.approx(199, abs=2)
    assert len(rows) / 200 == pytest.approx(sizes.FILL, abs=0.02)


def test_growing_uses_what_enlarges():
    calls = []

    def double(pixels: np.ndarray) -> np.ndarray:
        calls.append(pixels.shape)
        return pixels.repeat(2, 0).repeat(2, 1)

    assert sizes.scaled(garment()[0], 3.0, enlarge=double).shape == (240, 180, 3)
    assert len(calls) == 2
    assert sizes.scaled(garment()[0], 0.5, enlarge=double).shape == (40, 30, 3)
    assert len(calls) == 2


def test_presets():
    assert sizes.find_size("taobao-main") == (800, 800)
    assert sizes.find_size("mine", {"mine": (900, 1200)}) == (900, 1200)
    with pytest.raises(UnknownChoice, match="taobao-main"):
        sizes.find_size("ebay")
