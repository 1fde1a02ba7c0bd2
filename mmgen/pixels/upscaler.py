"""Pictures twice as large: a small network that adds what Lanczos leaves out.

EDSR (arXiv 1707.02921) made small, its output laid out by pixel shuffle (arXiv
1609.05158): all convolutions run at the size of the input. It predicts the
difference to bicubic scaling. Four times is twice two times.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

SCALE = 2
TILE_PX = 256
"""Side of what is worked on at once, the margin not counted."""


class _Residual(nn.Module):
    """(B, C, h, w) -> (B, C, h, w); starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.add(hidden, self.conv2(F.relu(self.conv1(hidden))))


class GarmentUpscaler(ModelMixin, ConfigMixin):
    """pixels (B, 3, H, W) in [-1, 1] -> (B, 3, 2 H, 2 W), about [-1, 1]."""

    _supports_gradient_checkpointing = False

    @register_to_config
    def __init__(self, channels: int = 32, blocks: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(_Residual(channels) for _ in range(blocks)))
        self.head = nn.Conv2d(channels, 3 * SCALE**2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    @property
    def reach_px(self) -> int:
        """How far, in input pixels, a result looks; tiles overlap by it."""
        return 2 + 2 * int(self.config.blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        smooth = F.interpolate(
            pixels.float(), scale_factor=float(SCALE), mode="bicubic", align_corners=False
        )
        stem = self.stem(pixels)
        added = F.pixel_shuffle(self.head(stem + self.body(stem)), SCALE)
        return torch.add(smooth, added)


@torch.inference_mode()
def upscale(
    net: GarmentUpscaler, pixels: NDArray[np.uint8], tile_px: int = TILE_PX
) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) -> uint8 (2 H, 2 W, 3), tile by tile; tiles leave no seam."""
    height, width = pixels.shape[:2]
    # Edge pixels are continued, so that zero padding of the convolutions is never seen.
    reach = net.reach_px
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    result = np.empty((SCALE * height, SCALE * width, 3), np.uint8)
    for top, left in itertools.product(range(0, height, tile_px), range(0, width, tile_px)):
        bottom, right = min(top + tile_px, height), min(left + tile_px, width)
        tile = padded[top : bottom + 2 * reach, left : right + 2 * reach]
        unit = torch.from_numpy(tile.copy()).permute(2, 0, 1)[None].to(net.dtype) / 127.5 - 1
        unit = unit.contiguous(memory_format=torch.channels_last)
        made = net(unit)[0].float().add(1).mul(127.5).round().clamp(0, 255)
        cut = SCALE * reach
        inner = made[:, cut : made.shape[1] - cut, cut : made.shape[2] - cut]
        window = (slice(SCALE * top, SCALE * bottom), slice(SCALE * left, SCALE * right))
        result[window] = inner.to(torch.uint8).permute(1, 2, 0).numpy()
    return result
