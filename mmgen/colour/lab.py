"""sRGB <-> CIELAB (D65, 2 degrees), the difference CIEDE2000, and what sRGB can show.

The formulas are scikit-image's; what stands here is the gamut: a colour outside
it keeps lightness and hue and gives up chroma, as CSS Color 4 section 13 does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TOLERANCE = 1e-3
"""Of linear light; far below half a step of 8 bits."""
_HALVINGS = 12
_CHUNK = 2**20
"""Pixels worked on at a time, so that a large picture does not need its size in doubles."""


def lab_of(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (..., 3) sRGB -> float32 (..., 3): L 0 to 100, a and b about -128 to 127."""
    from skimage.color import rgb2lab

    flat = pixels.reshape(-1, 3)
    lab = np.empty(flat.shape, np.float32)
    for start in range(0, len(flat), _CHUNK):
        lab[start : start + _CHUNK] = rgb2lab(flat[start : start + _CHUNK])
    return lab.reshape(pixels.shape)


def pixels_of(lab: ArrayLike) -> NDArray[np.uint8]:
    """(..., 3) CIELAB -> uint8 (..., 3) sRGB, brought into the gamut by chroma alone."""
    values = np.asarray(lab, np.float32)
    flat = values.reshape(-1, 3)
    pixels = np.empty(flat.shape, np.uint8)
    for start in range(0, len(flat), _CHUNK):
        light = _encoded(_linear(into_gamut(flat[start : start + _CHUNK])))
        pixels[start : start + _CHUNK] = np.round(light * 255)
    return pixels.reshape(values.shape)


def difference(one: ArrayLike, other: ArrayLike) -> NDArray[np.float64]:
    """CIEDE2000 of (..., 3) CIELAB values, (...,); 1 is about what an eye can just see."""
    from skimage.color import deltaE_ciede2000

    result: NDArray[np.float64] = deltaE_ciede2000(np.asarray(one, float), np.asarray(other, float))
    return result


def is_in_gamut(lab: ArrayLike) -> NDArray[np.bool_]:
    """(..., 3) CIELAB -> bool (...,): whether sRGB shows it as it is."""
    light = _linear(np.asarray(lab, float))
    fits = (light >= -_TOLERANCE) & (light <= 1 + _TOLERANCE)
    return np.asarray(fits.all(axis=-1))


def into_gamut(lab: ArrayLike) -> NDArray[np.float64]:
    """(..., 3) CIELAB with chroma lowered, at equal L and hue, as far as sRGB needs."""
    values = np.array(lab, float)
    values[..., 0] = values[..., 0].clip(0, 100)
    outside = ~is_in_gamut(values)
    if not outside.any():
        return values
    chosen = values[outside]
    low, high = np.zeros(len(chosen)), np.ones(len(chosen))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = is_in_gamut(np.column_stack([chosen[:, :1], chosen[:, 1:] * middle[:, None]]))
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    chosen[:, 1:] *= low[:, None]
    values[outside] = chosen
    return values


def hex_of(lab: ArrayLike) -> str:
    """The nearest `#RRGGBB` of one CIELAB colour."""
    red, green, blue = pixels_of(np.asarray(lab, float).reshape(1, 3))[0]
    return f"#{red:02X}{green:02X}{blue:02X}"


def _linear(lab: NDArray[np.floating]) -> NDArray[np.floating]:
    """CIELAB -> linear sRGB light, outside [0, 1] where the gamut ends.

    Not skimage's `lab2rgb`: that clips, and says so by a warning.
    """
    from skimage.color.colorconv import rgb_from_xyz

    y = (lab[..., 0] + 16) / 116
    whole = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(whole > 6 / 29, whole**3, (whole - 16 / 116) * 3 * (6 / 29) ** 2)
    light: NDArray[np.floating] = (xyz * [0.95047, 1.0, 1.08883]) @ rgb_from_xyz.T
    return light


def _encoded(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """Linear light -> the curve of sRGB (IEC 61966-2-1), clipped to [0, 1]."""
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
