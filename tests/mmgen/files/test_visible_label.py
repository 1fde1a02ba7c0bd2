"""T48: the ink of the smallest glyph, the frame, the contrast, on any ground."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from mmgen import errors
from mmgen.files.visible_label import CORNERS, TEXT, draw_visible_label, smallest_ink_px

SIZES = [
    (64, 64), (192, 256), (256, 192), (256, 256), (320, 320), (512, 512), (768, 1024),
    (1024, 768), (1024, 1024), (64, 4096), (4096, 64), (2048, 1152), (4096, 1024),
    (1024, 4096), (2048, 2048),
]  # fmt: skip
GROUNDS = ("light", "dark", "busy")


def ground_of(kind: str, size: tuple[int, int]) -> Image.Image:
    if kind == "busy":
        noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        return Image.fromarray(noise)
    return Image.new("RGB", size, {"light": (255, 255, 255), "dark": (0, 0, 0)}[kind])


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB values, WCAG 2.2."""
    values = pixels.astype(float) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    result: np.ndarray = linear @ [0.2126, 0.7152, 0.0722]
    return result


def coverage_of(size: tuple[int, int]) -> np.ndarray:
    """How much of each pixel the letters cover, 0 to 255: on black the plate vanishes."""
    return np.asarray(draw_visible_label(Image.new("RGB", size)))[..., 0]


def extent(mask: np.ndarray) -> tuple[slice, slice]:
    """The box of a mask, as slices of rows and columns."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_glyph_has_five_percent_of_the_shorter_side(size: tuple[int, int]) -> None:
    ink = coverage_of(size) >= 128
    columns = np.flatnonzero(ink.any(axis=0))
    glyphs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    assert len(glyphs) == len(TEXT)  # A, I, 生, 成, with a gap between each
    heights = [np.ptp(np.flatnonzero(ink[:, glyph].any(axis=1))) + 1 for glyph in glyphs]
    assert min(heights) >= math.ceil(0.05 * min(size))
    assert min(heights) >= smallest_ink_px(*size) >= 9


@pytest.mark.parametrize("kind", GROUNDS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_mark_is_inside_and_legible(size: tuple[int, int], kind: str) -> None:
    ground = ground_of(kind, size)
    marked = np.asarray(draw_visible_label(ground))
    whole = np.asarray(draw_visible_label(Image.new("RGB", size, (255, 255, 255))))
    rows, columns = extent((whole != 255).any(axis=2))
    assert 0 < rows.start < rows.stop < size[1]
    assert 0 < columns.start < columns.stop < size[0]
    coverage = coverage_of(size)
    text = extent(coverage > 0)
    # Strokes of small letters are never covered whole: four fifths count as stroke.
    light, letters = luminance(marked[text]), coverage[text]
    contrast = (light[letters >= 200].min() + 0.05) / (light[letters == 0].max() + 0.05)
    assert contrast >= 4.5


@pytest.mark.parametrize("corner", CORNERS)
def test_the_corner_can_be_chosen(corner: str) -> None:
    marked = np.asarray(draw_visible_label(Image.new("RGB", (192, 256)), corner))[..., 0]
    rows, columns = np.nonzero(marked)
    assert (rows.mean() > 128) == ("bottom" in corner)
    assert (columns.mean() > 96) == ("right" in corner)


def test_the_picture_given_is_not_changed_and_the_rest_of_it_neither() -> None:
    ground = ground_of("busy", (192, 256))
    before = ground.tobytes()
    marked = np.asarray(draw_visible_label(ground))
    assert ground.tobytes() == before
    changed = (marked != np.asarray(ground)).any(axis=2)
    assert changed.mean() < 0.06
    assert np.array_equal(marked, np.asarray(draw_visible_label(ground)))


def test_a_wrong_corner_and_a_tiny_picture_are_refused() -> None:
    with pytest.raises(errors.UnknownChoice, match="corner"):
        draw_visible_label(Image.new("RGB", (64, 64)), "middle")
    with pytest.raises(errors.OutOfRange, match="width"):
        draw_visible_label(Image.new("RGB", (48, 64)))
