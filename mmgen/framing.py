"""A picture of any size -> a frame of one size, never stretched."""

from __future__ import annotations

import numpy as np
from PIL import Image

CROP_TOLERANCE = 0.12
"""A picture whose ratio is this near the frame's (log scale) is cropped; others are padded."""


def letterbox(
    picture: Image.Image, height: int, width: int
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """The whole picture in a frame of height x width, so that it can be cut out again.

    Returns pixels uint8 (H, W, 3), padded as `fit` does, and where the picture is:
    top, left, bottom, right in pixels.
    """
    picture = picture.convert("RGB")
    scale = min(height / picture.height, width / picture.width)
    size = (
        min(width, max(1, round(picture.width * scale))),
        min(height, max(1, round(picture.height * scale))),
    )
    pixels = np.array(picture.resize(size, Image.Resampling.LANCZOS))
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    return _padded(pixels, height, width, top, left), (top, left, top + size[1], left + size[0])


def fit(picture: Image.Image, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture in a frame of height x width.

    Near the frame's ratio it is cropped at the centre; else it is padded, each
    side with the mean colour of the border row it continues.
    Returns pixels uint8 (H, W, 3) and box float32 (4,), the part of the frame
    that is picture: top, left, bottom, right in [0, 1].
    """
    picture = picture.convert("RGB")
    ratio = (picture.width / picture.height) / (width / height)
    is_near = abs(np.log(ratio)) < CROP_TOLERANCE
    scales = (height / picture.height, width / picture.width)
    scale = max(scales) if is_near else min(scales)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    pixels = np.array(picture.resize(size, Image.Resampling.LANCZOS))
    top, left = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    if is_near:
        pixels = pixels[-top:, -left:][:height, :width]
        return np.ascontiguousarray(pixels), np.array([0, 0, 1, 1], np.float32)
    bottom, right = top + pixels.shape[0], left + pixels.shape[1]
    frame = _padded(pixels, height, width, top, left)
    box = np.array([top / height, left / width, bottom / height, right / width], np.float32)
    return frame, box


def _padded(pixels: np.ndarray, height: int, width: int, top: int, left: int) -> np.ndarray:
    """`pixels` in a frame, each side filled with the mean of the row or column it continues."""
    frame = np.empty((height, width, 3), np.uint8)
    bottom, right = top + pixels.shape[0], left + pixels.shape[1]
    frame[:top], frame[bottom:] = pixels[0].mean(0), pixels[-1].mean(0)
    frame[top:bottom, :left] = pixels[:, 0].mean(0)[None]
    frame[top:bottom, right:] = pixels[:, -1].mean(0)[None]
    frame[top:bottom, left:right] = pixels
    return frame
