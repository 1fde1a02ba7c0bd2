"""Two pictures -> whether one is the other, cropped, mirrored, recompressed or recoloured.

The towers find what looks alike; whether it is the same picture is decided here,
by laying the smaller over the larger at every place and several sizes and
correlating their edges (normalised cross-correlation, computed with the Fourier
transform as in Lewis, "Fast normalized cross-correlation", 1995).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

SAME = 0.78
"""Correlation from which on two pictures are one; see tests/benchmarks/collision.py."""
_SIDE_PX = 80
"""Longer side of the picture that the other is laid over."""
_SMALLEST = 0.6
"""Part of the height or width that a crop has left at least."""
_STEP = 0.96
_BLUR = (0.7, 3.0)
"""Pixels: finer than the first is compression, coarser than the second is light and shape."""

Array = NDArray[np.float64]


def alignment(one: Image.Image, other: Image.Image) -> float:
    """The best correlation, about 0 for strangers and 1 for the same picture.

    Either may be the crop of the other, at least 60% of its sides, and mirrored.
    """
    return max(
        _laid_over(one, other),
        _laid_over(one.transpose(Image.Transpose.FLIP_LEFT_RIGHT), other),
        _laid_over(other, one),
        _laid_over(other.transpose(Image.Transpose.FLIP_LEFT_RIGHT), one),
    )


def _laid_over(small: Image.Image, large: Image.Image) -> float:
    """The best correlation of `small`, at several sizes, with a place of `large`."""
    scale = _SIDE_PX / max(large.size)
    width, height = (max(8, round(side * scale)) for side in large.size)
    ground = _Ground(_edges(large, (width, height)))
    fits = min(width / small.width, height / small.height)
    best, size = 0.0, 1.0
    while size >= _SMALLEST:
        shape = (
            max(8, min(width, round(small.width * fits * size))),
            max(8, min(height, round(small.height * fits * size))),
        )
        best = max(best, ground.correlate(_edges(small, shape)))
        size *= _STEP
    return best


def _edges(picture: Image.Image, size: tuple[int, int]) -> Array:
    """Luminance between two blurs (a band-pass), float64 (height, width)."""
    grey = picture.convert("L").resize(size, Image.Resampling.BOX)
    fine, coarse = (grey.filter(ImageFilter.GaussianBlur(radius)) for radius in _BLUR)
    return np.asarray(fine, np.float64) - np.asarray(coarse, np.float64)


class _Ground:
    """A picture with what every comparison needs: its transform and sums over rectangles."""

    def __init__(self, pixels: Array) -> None:
        self.shape = pixels.shape
        self.padded = (2 * pixels.shape[0], 2 * pixels.shape[1])
        self.transform = np.fft.rfft2(pixels, self.padded)
        self.sums = np.pad(pixels.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        self.squares = np.pad((pixels**2).cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def correlate(self, patch: Array) -> float:
        """The best normalised correlation of `patch` with any place that it fits in."""
        height, width = patch.shape
        even = patch - patch.mean()
        energy = float((even**2).sum())
        turned = np.fft.rfft2(even, self.padded).conj()
        products = np.fft.irfft2(self.transform * turned, self.padded)
        down, right = self.shape[0] - height + 1, self.shape[1] - width + 1
        total = _boxes(self.sums, height, width)
        spread = _boxes(self.squares, height, width) - total**2 / (height * width)
        # A flat place correlates with nothing; without the floor, noise would decide.
        floor = 0.05 * energy + height * width
        return float((products[:down, :right] / np.sqrt(energy * spread.clip(floor) + 1e-9)).max())


def _boxes(sums: Array, height: int, width: int) -> Array:
    """Sums over every rectangle of this size, from the table of sums."""
    result: Array = (
        sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
    ) + sums[:-height, :-width]
    return result
