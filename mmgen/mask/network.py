"""A small U-Net (arXiv 1505.04597) that says of each pixel whether it is garment.

It sees 64 x 48 pixels, pixel-unshuffled so that nothing runs at full size, with
three planes more: where a pixel stands in the frame, and how unlike the border of
the picture it is. Both say much in photographs of clothes, and spare a small
network from finding them out. `refine.py` makes the edge sharp.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from mmgen.mask.border import unlike_border

LONG_SIDE_PX = 64
_STEP = 8
"""The network halves its input three times, the first time by unshuffling."""
UNLIKE_SCALE = 30.0
"""Lab distance from the border's colours that the network sees as 1."""


class _Block(nn.Module):
    """(B, C, h, w) -> (B, D, h, w)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm1 = nn.GroupNorm(8, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, out_channels)

    def forward(self, hidden: Tensor) -> Tensor:
        first = F.silu(self.norm1(self.conv1(hidden)))
        return F.silu(first + self.norm2(self.conv2(first)))


class GarmentMaskNet(ModelMixin, ConfigMixin):
    """Four planes (B, 4, H, W) -> logits (B, 1, H, W); H and W multiples of 8.

    The planes: red, green, blue in [-1, 1], and `unlike_border` / 30, at most 2.
    """

    _supports_gradient_checkpointing = False

    @register_to_config
    def __init__(self, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        self.stem = _Block(4 * 6, widths[0])
        self.down = nn.ModuleList(_Block(a, b) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(
            _Block(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, planes: Tensor) -> Tensor:
        rows, columns = (
            torch.linspace(-1, 1, side, device=planes.device, dtype=planes.dtype)
            for side in planes.shape[2:]
        )
        place = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        place = place.expand(len(planes), -1, -1, -1)
        hidden = self.stem(F.pixel_unshuffle(torch.cat([planes, place], 1), 2))
        kept = []
        for block in self.down:
            kept.append(hidden)
            hidden = block(F.avg_pool2d(hidden, 2))
        for block, before in zip(self.up, reversed(kept), strict=True):
            grown = F.interpolate(hidden, scale_factor=2.0, mode="nearest")
            hidden = block(torch.cat([grown, before], 1))
        return F.pixel_shuffle(self.head(hidden), 2)


@torch.inference_mode()
def garment_probability(net: GarmentMaskNet, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (H, W, 3) of any size -> float32 (h, w) in [0, 1] at the network's own size.

    The longer side becomes 64 px; the answer is the mean over the picture and its
    mirror image, so that left and right are treated alike.
    """
    height, width = pixels.shape[:2]
    scale = LONG_SIDE_PX / max(height, width)
    small = (max(2, round(width * scale)), max(2, round(height * scale)))
    picture = np.array(Image.fromarray(pixels).resize(small, Image.Resampling.BOX))
    planes = planes_of(picture)
    down, right = (-side % _STEP for side in picture.shape[:2])
    top, left = down // 2, right // 2
    framed = np.pad(planes, ((0, 0), (top, down - top), (left, right - left)), mode="edge")
    one = torch.from_numpy(framed)[None]
    both = net(torch.cat([one, one.flip(3)]).to(net.dtype)).float().sigmoid()
    mean = (both[0] + both[1].flip(2))[0] / 2
    cut: NDArray[np.float32] = mean[top : top + small[1], left : left + small[0]].numpy()
    return cut


def planes_of(
    pixels: NDArray[np.uint8], inside: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """uint8 (h, w, 3) -> what the network sees, float32 (4, h, w); `inside` as in `border.py`."""
    from skimage.color import rgb2lab

    unlike = unlike_border(rgb2lab(pixels).astype(np.float32), inside) / UNLIKE_SCALE
    colours = pixels.astype(np.float32) / 127.5 - 1
    return np.concatenate([colours.transpose(2, 0, 1), unlike.clip(0, 2)[None]])
