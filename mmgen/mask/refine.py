"""A coarse probability -> a soft mask whose edge follows that of the picture.

The guided filter (He et al. 2010, https://doi.org/10.1109/TPAMI.2012.213) fits the
mask locally as a linear function of colour; its coefficients are smooth, so they
are found at a moderate size and applied at full size (arXiv 1505.00996).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

_WORKING_PX = 384
_RADIUS_SHARE = 0.02
_SMOOTHNESS = 2e-4
_CERTAIN = (0.25, 0.75)
"""Below and above, a pixel is wholly ground or wholly garment."""


def refine(coarse: Floats, pixels: NDArray[np.uint8]) -> Floats:
    """(h, w) in [0, 1] and uint8 (H, W, 3) -> float32 (H, W) in [0, 1]."""
    height, width = pixels.shape[:2]
    scale = min(1.0, _WORKING_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    guide = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), np.float32)
    guide /= 255
    slopes, offset = _coefficients(guide, _resized(coarse, size))
    full = _resized(offset, (width, height))
    for channel in range(3):
        plane = pixels[..., channel].astype(np.float32) / 255
        full += _resized(slopes[..., channel], (width, height)) * plane
    low, high = _CERTAIN
    step = ((full - low) / (high - low)).clip(0, 1)
    soft: Floats = step * step * (3 - 2 * step)
    return soft


def _coefficients(guide: Floats, mask: Floats) -> tuple[Floats, Floats]:
    """slopes (h, w, 3) and offset (h, w), so that mask is about slopes . guide + offset."""
    from scipy.ndimage import uniform_filter

    side = 2 * max(2, round(_RADIUS_SHARE * max(mask.shape))) + 1

    def mean(values: Floats) -> Floats:
        sides = (side, side, *([1] * (values.ndim - 2)))
        smooth: Floats = uniform_filter(values, sides, mode="nearest")
        return smooth

    centre, level = mean(guide), mean(mask)
    products: Floats = guide[..., :, None] * guide[..., None, :]
    spread = mean(products) - centre[..., :, None] * centre[..., None, :]
    spread += _SMOOTHNESS * np.eye(3, dtype=np.float32)
    shared = mean(guide * mask[..., None]) - centre * level[..., None]
    slopes: Floats = np.linalg.solve(spread, shared[..., None])[..., 0].astype(np.float32)
    offset: Floats = level - (slopes * centre).sum(-1)
    return mean(slopes), mean(offset)


def _resized(plane: Floats, size: tuple[int, int]) -> Floats:
    """(h, w) -> (size[1], size[0]), bilinear."""
    if plane.shape == (size[1], size[0]):
        return plane.copy()
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.array(picture.resize(size, Image.Resampling.BILINEAR))
