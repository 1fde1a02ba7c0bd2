"""Pictures -> how much of which colour is where the garment probably is.

A tower that was taught by captions knows 红 from 蓝 but confuses 深灰 with 黑:
names of shades are a matter of measured lightness and chroma. These numbers are
measured, not learnt; the heads that read them learn what people call them.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

STRIDE = 3
"""Every third pixel of each row and column is looked at."""
_LEVELS = (0, 64, 128, 191, 255)
_SOFTNESS = 9.0
"""Width in CIELAB units with which a pixel counts for the palette colours around it."""
_EDGE = 0.06
"""Part of the height and width at each side that shows mostly ground."""
_VIEWS = 4
DIM = _VIEWS * (len(_LEVELS) ** 3 + 6)
"""Numbers a picture: for each view the palette's shares, mean and spread of Lab."""


def colour_evidence(pixels: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) sRGB -> float32 (B, DIM).

    Four views of each picture: its middle, the middle without the colours of
    the border, its very middle, and its border. Shares are square roots, so
    that small ones count too (Hellinger).
    """
    small = pixels[:, :, ::STRIDE, ::STRIDE]
    height, width = small.shape[2:]
    lab = lab_of(small.permute(0, 2, 3, 1)).flatten(1, 2)
    shares = _palette_shares(lab)
    middle, centre, border = (weight.expand(len(pixels), -1) for weight in _places(height, width))
    ground, seen = _mean(border, shares), _mean(middle, shares)
    is_garment = shares @ (seen / (seen + ground + 1e-4)).unsqueeze(2)
    garment = middle * is_garment.squeeze(2).square()
    views = []
    for weight in (middle, garment, centre, border):
        mean = _mean(weight, lab)
        spread = (_mean(weight, lab.square()) - mean.square()).clamp(min=0).sqrt()
        views += [_mean(weight, shares).sqrt(), mean / 50, spread / 25]
    return torch.cat(views, dim=1)


def lab_of(pixels: Tensor) -> Tensor:
    """uint8 (..., 3) sRGB -> float32 (..., 3) CIELAB under D65."""
    light = _linear()[pixels.long()]
    xyz = light @ torch.tensor(
        [
            [0.4124564 / 0.95047, 0.2126729, 0.0193339 / 1.08883],
            [0.3575761 / 0.95047, 0.7151522, 0.1191920 / 1.08883],
            [0.1804375 / 0.95047, 0.0721750, 0.9503041 / 1.08883],
        ]
    )
    root = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = root.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def _palette_shares(lab: Tensor) -> Tensor:
    """(B, N, 3) Lab -> (B, N, K): to which palette colours each pixel belongs, sums 1."""
    palette = _palette()
    squared = lab.square().sum(-1, keepdim=True) + palette.square().sum(1) - 2 * lab @ palette.T
    return (squared / (-2 * _SOFTNESS**2)).softmax(dim=-1)


def _mean(weight: Tensor, values: Tensor) -> Tensor:
    """(B, N) weights, (B, N, C) values -> (B, C)."""
    total = weight.sum(1, keepdim=True).clamp(min=1e-6)
    return ((weight / total).unsqueeze(1) @ values).squeeze(1)


@functools.lru_cache(maxsize=8)
def _places(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (H * W,) of the middle, the very middle and the border."""
    y = torch.linspace(-0.5, 0.5, height)[:, None].expand(height, width)
    x = torch.linspace(-0.5, 0.5, width)[None, :].expand(height, width)
    middle = torch.exp(-(x.square() / (2 * 0.2**2) + y.square() / (2 * 0.25**2)))
    centre = torch.exp(-(x.square() + y.square()) / (2 * 0.12**2))
    border = torch.maximum(x.abs(), y.abs()) > 0.5 - _EDGE
    return middle.flatten(), centre.flatten(), border.float().flatten()


@functools.cache
def _linear() -> Tensor:
    """float32 (256,): light of each sRGB value."""
    value = torch.arange(256) / 255
    return torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@functools.cache
def _palette() -> Tensor:
    """float32 (125, 3): CIELAB of an even grid of sRGB."""
    levels = torch.tensor(_LEVELS, dtype=torch.uint8)
    grid = torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij"), dim=-1)
    return lab_of(grid.reshape(-1, 3))
