"""CIELAB against published values; what sRGB cannot show gives up chroma alone."""

from __future__ import annotations

import numpy as np
import pytest

from mmgen.colour.lab import difference, hex_of, into_gamut, is_in_gamut, lab_of, pixels_of


def test_every_tenth_colour_of_srgb_comes_back():
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    assert np.array_equal(pixels_of(lab_of(colours)), colours)
    assert is_in_gamut(lab_of(colours)).all()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [  # Sharma et al. 2005, table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_difference_is_that_of_the_published_table(one, other, expected):
    assert difference(one, other) == pytest.approx(expected, abs=1e-4)


def test_a_colour_outside_keeps_lightness_and_hue():
    wild = np.array([[60.0, 120.0, -40.0], [95.0, -80.0, 60.0]])
    assert not is_in_gamut(wild).any()
    tamed = into_gamut(wild)
    assert is_in_gamut(tamed).all()
    assert np.allclose(tamed[:, 0], wild[:, 0])
    angles = [np.arctan2(lab[:, 2], lab[:, 1]) for lab in (wild, tamed)]
    assert np.allclose(*angles)
    assert (np.hypot(*tamed[:, 1:].T) < np.hypot(*wild[:, 1:].T)).all()


def test_a_picture_larger_than_a_chunk_is_converted_whole():
    wide = np.tile(np.array([[[10, 200, 30]]], np.uint8), (2, 2**20, 1))
    assert np.ptp(lab_of(wide).reshape(-1, 3), axis=0).max() == 0
    assert hex_of(lab_of(wide)[-1, -1]) == "#0AC81E"
