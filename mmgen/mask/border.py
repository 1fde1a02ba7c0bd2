"""How unlike the border of its picture each pixel is: the oldest sign of a foreground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_COLOURS = 5
_RIM = 0.05
"""Part of the shorter side that counts as border."""
_WEIGHTS = np.array([0.7, 1.0, 1.0], np.float32)
"""Shadows change lightness and not what is there."""


def unlike_border(lab: Floats, inside: NDArray[np.bool_] | None = None) -> Floats:
    """CIELAB (h, w, 3) -> weighted distance (h, w) from the nearest of five border colours.

    `inside`: bool (h, w), the rectangle that is picture and not padding.
    """
    from scipy.cluster.vq import kmeans2

    sample = (lab[border(lab.shape[:2], inside)] * _WEIGHTS).astype(np.float64)
    # A border of one colour leaves clusters empty; this much noise fills them.
    noise = np.random.default_rng(0)
    sample += noise.normal(0, 0.01, sample.shape)
    centres, _ = kmeans2(sample, min(_COLOURS, len(sample)), minit="++", rng=noise)
    distances = [np.linalg.norm(lab * _WEIGHTS - centre, axis=-1) for centre in centres]
    nearest: Floats = np.min(distances, axis=0).astype(np.float32)
    return nearest


def border(shape: tuple[int, ...], inside: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """bool (h, w): the outer 5% of the picture, two pixels at least."""
    inside = np.ones(shape, bool) if inside is None else inside
    y, x = np.nonzero(inside)
    rim = max(2, round(_RIM * min(np.ptp(y), np.ptp(x))))
    inner = np.zeros_like(inside)
    inner[y.min() + rim : y.max() + 1 - rim, x.min() + rim : x.max() + 1 - rim] = True
    result: NDArray[np.bool_] = inside & ~inner
    return result
