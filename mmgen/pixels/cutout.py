"""A garment cut out of its photograph and put on a plain ground, or on none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_SOLID = 0.95
_FAINT = 0.02
_SHADOW_STRENGTH = 0.32
_SHADOW_DROP, _SHADOW_BLUR = 0.012, 0.018
"""Of the picture's height: how far the shadow falls and how soft it is."""


def on_ground(
    pixels: Pixels, garment: Floats, ground: tuple[int, int, int], *, shadow: bool = False
) -> Pixels:
    """The garment on one colour: uint8 (H, W, 3).

    `garment` (H, W) in [0, 1]. Where it is 0, and no shadow falls, a pixel is
    exactly `ground`. `shadow` adds a soft contact shadow below the garment.
    """
    alpha = opacity(garment)[..., None]
    colour = np.array(ground, np.float32)
    lit = 1 - _shadow(alpha[..., 0])[..., None] if shadow else 1.0
    mixed = without_halo(pixels, garment) * alpha + colour * lit * (1 - alpha)
    result: Pixels = np.round(mixed).clip(0, 255).astype(np.uint8)
    return result


def transparent(pixels: Pixels, garment: Floats) -> Pixels:
    """The garment alone: uint8 (H, W, 4), alpha last; fully clear pixels hold no colour."""
    alpha = np.round(opacity(garment) * 255).astype(np.uint8)
    colour = np.round(without_halo(pixels, garment)).astype(np.uint8)
    colour[alpha == 0] = 0
    return np.dstack([colour, alpha])


def opacity(garment: Floats) -> Floats:
    """The mask without its faintest traces, so that the ground is pure."""
    clear: Floats = np.where(garment < _FAINT, 0, np.where(garment > 1 - _FAINT, 1, garment))
    return clear.astype(np.float32)


def without_halo(pixels: Pixels, garment: Floats) -> Floats:
    """Edge pixels take the colour of the nearest solid garment: no rim of the old ground."""
    from scipy.ndimage import distance_transform_edt

    solid = garment >= _SOLID
    edge = (garment > 0) & ~solid
    clean = pixels.astype(np.float32)
    if solid.any() and edge.any():
        near = distance_transform_edt(~solid, return_distances=False, return_indices=True)
        keep = garment[edge][:, None]
        nearest = clean[near[0][edge], near[1][edge]]
        clean[edge] = keep * clean[edge] + (1 - keep) * nearest
    return clean


def _shadow(alpha: Floats) -> Floats:
    """(H, W) in [0, 1]: how much light the garment takes from the ground just below it."""
    from scipy.ndimage import gaussian_filter

    height = alpha.shape[0]
    drop = max(1, round(_SHADOW_DROP * height))
    fallen = np.zeros_like(alpha)
    fallen[drop:] = alpha[:-drop]
    blurred = gaussian_filter(fallen, max(1.0, _SHADOW_BLUR * height))
    rim = _fades_at_rim(alpha.shape)
    result: Floats = _SHADOW_STRENGTH * blurred * rim
    return result


def _fades_at_rim(shape: tuple[int, ...]) -> Floats:
    """1 inside, falling to 0 at the outermost pixels, which stay pure ground."""
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.04 * n) for n in shape)
    result: Floats = np.minimum.outer(rows, columns).clip(0, 1).astype(np.float32)
    return result


def border_share(pixels: Pixels, ground: tuple[int, int, int]) -> float:
    """The part of the outermost pixels that are exactly `ground`, 0 to 1."""
    rim = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    return float((rim[:, :3] == np.array(ground, np.uint8)).all(axis=1).mean())
