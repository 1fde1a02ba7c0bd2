"""A picture in the size that a shop asks for: fitted and padded, never stretched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.errors import UnknownChoice

Pixels = NDArray[np.uint8]
Enlarge = Callable[[Pixels], Pixels]
"""uint8 (H, W, 3) -> twice the size."""

PRESETS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "taobao-main": (800, 800),
        "taobao-3x4": (750, 1000),
        "taobao-long": (800, 1200),
        "tmall-main": (800, 800),
        "jd-main": (800, 800),
        "pdd-main": (750, 750),
        "douyin-main": (800, 800),
        "douyin-3x4": (750, 1000),
        "xiaohongshu": (1080, 1440),
    }
)
"""Name -> width, height in pixels, as these shops commonly ask for; their rules change."""
FILL = 0.9
"""Part of the frame that a cut-out garment takes on its tighter side."""


def find_size(name: str, own: Mapping[str, tuple[int, int]] | None = None) -> tuple[int, int]:
    """Width and height of a preset, one's own first; raises `UnknownChoice`."""
    known = {**PRESETS, **(own or {})}
    if name not in known:
        raise UnknownChoice(name="preset", got=repr(name)[:60], allowed=", ".join(known))
    return known[name]


def padded(
    pixels: Pixels,
    size: tuple[int, int],
    ground: tuple[int, ...] | None = None,
    enlarge: Enlarge | None = None,
) -> Pixels:
    """The whole picture, uint8 (H, W, 3 or 4), as large as `size` (width, height) holds it.

    What is left over is `ground`, or the mean of the row or column it continues.
    """
    width, height = size
    fitted = scaled(pixels, min(width / pixels.shape[1], height / pixels.shape[0]), size, enlarge)
    top, left = (height - fitted.shape[0]) // 2, (width - fitted.shape[1]) // 2
    down, right = height - fitted.shape[0] - top, width - fitted.shape[1] - left
    if ground is None:
        return _continued(fitted, (top, down, left, right))
    frame = np.empty((height, width, pixels.shape[2]), np.uint8)
    frame[:] = ground
    frame[top : height - down, left : width - right] = fitted
    return frame


def _continued(fitted: Pixels, sides: tuple[int, int, int, int]) -> Pixels:
    top, down, left, right = sides
    frame = np.pad(fitted, ((top, down), (left, right), (0, 0)))
    height, width = frame.shape[:2]
    frame[:top] = fitted[0].mean(0)
    frame[height - down :] = fitted[-1].mean(0)
    frame[top : height - down, :left] = fitted[:, 0].mean(0)
    frame[top : height - down, width - right :] = fitted[:, -1].mean(0)
    return frame


def centred(
    pixels: Pixels,
    mask: NDArray[np.float32],
    size: tuple[int, int],
    enlarge: Enlarge | None = None,
) -> tuple[Pixels, NDArray[np.float32]]:
    """Picture and garment mask cut to the garment and set in the middle of `size`.

    The garment takes 90% of the tighter side. Returns uint8 (H, W, 3), with colours
    of the old ground around it, and the mask (H, W).
    """
    width, height = size
    rows, columns = np.flatnonzero((mask > 0).any(1)), np.flatnonzero((mask > 0).any(0))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    high, wide = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    scale = FILL * min(width / wide, height / high)
    cut = scaled(pixels[window], scale, size, enlarge)
    soft = np.array(
        Image.fromarray(np.ascontiguousarray(mask[window])).resize(
            (cut.shape[1], cut.shape[0]), Image.Resampling.BILINEAR
        )
    )
    top, left = (height - cut.shape[0]) // 2, (width - cut.shape[1]) // 2
    frame, placed = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.float32)
    inner = (slice(top, top + cut.shape[0]), slice(left, left + cut.shape[1]))
    frame[inner], placed[inner] = cut, soft
    return frame, placed


def scaled(
    pixels: Pixels,
    scale: float,
    most: tuple[int, int] | None = None,
    enlarge: Enlarge | None = None,
) -> Pixels:
    """The picture at `scale`, by Lanczos; doubled by `enlarge` first while it must grow."""
    high, wide = (max(1, round(side * scale)) for side in pixels.shape[:2])
    if most is not None:
        wide, high = min(wide, most[0]), min(high, most[1])
    while enlarge is not None and pixels.shape[2] == 3 and high > 1.2 * pixels.shape[0]:
        pixels = enlarge(pixels)
    if pixels.shape[:2] == (high, wide):
        return pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.array(picture.resize((wide, high), Image.Resampling.LANCZOS))
