"""A dyed garment: the colour is reached, folds stay, all else keeps its bytes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mmgen.colour.lab import difference, lab_of, pixels_of
from mmgen.colour.names import parse_colour
from mmgen.colour.recolour import NothingToRecolour, find_main, measure, recolour

HEIGHT, WIDTH = 96, 72
GARMENT = (slice(16, 80), slice(12, 60))
PRINT = (slice(36, 52), slice(26, 46))


def photograph(cloth: str, stamp: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A garment with folds and grain on a warm wall, and its mask."""
    noise = np.random.default_rng(3)
    lab = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    lab[:] = (72, 3, 12)
    lab[GARMENT] = parse_colour(cloth).lab
    if stamp:
        lab[PRINT] = parse_colour(stamp).lab
    folds = gaussian_filter(noise.normal(0, 1, (HEIGHT, WIDTH)), (8, 2)) * 22
    grain = gaussian_filter(noise.normal(0, 1, (HEIGHT, WIDTH)), 0.7) * 3
    lab[..., 0] = (lab[..., 0] + folds + grain).clip(0, 100)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[GARMENT] = 1
    return pixels_of(lab), mask


def dye(pixels: np.ndarray, mask: np.ndarray, target: str):
    return recolour(pixels, find_main(lab_of(pixels), mask), parse_colour(target).lab)


def fine_detail(pixels: np.ndarray) -> np.ndarray:
    lightness = lab_of(pixels)[GARMENT][..., 0]
    return (lightness - gaussian_filter(lightness, 4)).ravel()


@pytest.mark.parametrize(
    ("cloth", "target"),
    [
        ("黑", "白"),
        ("黑", "柠檬黄"),
        ("白", "黑"),
        ("白", "藏青"),
        ("红", "宝蓝"),
        ("红", "浅灰"),
        ("灰", "红"),
        ("酒红", "米白"),
        ("牛仔蓝", "军绿"),
    ],
)
def test_the_colour_is_reached_and_the_folds_stay(cloth, target):
    pixels, mask = photograph(cloth)
    made = dye(pixels, mask, target)
    assert made.delta_e < 1.5
    assert difference(measure(made.pixels, mask), parse_colour(target).lab) < 3
    assert np.corrcoef(fine_detail(pixels), fine_detail(made.pixels))[0, 1] > 0.95
    assert np.array_equal(made.pixels[mask == 0], pixels[mask == 0])


def test_a_print_keeps_its_colour():
    pixels, mask = photograph("白", stamp="红")
    made = dye(pixels, mask, "藏青")
    before, after = lab_of(pixels)[PRINT], lab_of(made.pixels)[PRINT]
    assert np.median(difference(before, after)) < 0.5


def test_the_same_input_gives_the_same_bytes():
    pixels, mask = photograph("蓝", stamp="白")
    assert np.array_equal(dye(pixels, mask, "红").pixels, dye(pixels, mask, "红").pixels)


def test_a_target_beyond_srgb_is_approached_and_the_rest_is_said():
    pixels, mask = photograph("蓝")
    made = recolour(pixels, find_main(lab_of(pixels), mask), (60, 120, -40))
    assert made.delta_e > 2
    assert made.after[0] == pytest.approx(60, abs=6)


def test_a_mask_of_a_few_pixels_is_refused():
    pixels, mask = photograph("蓝")
    mask[:] = 0
    mask[20:22, 20:22] = 1
    with pytest.raises(NothingToRecolour, match="4 pixels"):
        find_main(lab_of(pixels), mask)


def test_a_garment_of_one_flat_colour_is_recoloured():
    pixels = np.full((32, 32, 3), 90, np.uint8)
    made = dye(pixels, np.ones((32, 32), np.float32), "红")
    assert made.delta_e < 1
