"""Pictures -> image features, in the space shared with prompts.

The image tower of the two-tower model (as in Wenlan/BriVL, arXiv 2103.06561,
and Chinese-CLIP, arXiv 2211.01335), as a small convolutional network. Its
other half is `mmgen.text.encoder.TextEncoder`, trained with it.
"""

from __future__ import annotations

import dataclasses

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import Tensor, nn
from torch.nn import functional as F


@dataclasses.dataclass
class ImageEncoderOutput(BaseOutput):
    """What `ImageEncoder` gives."""

    last_hidden_state: Tensor
    """(B, grid_height * grid_width, hidden_size): features with some place left in them."""
    image_embeds: Tensor
    """(B, projection_dim), in the space shared with prompts; not normalised."""


class ConvBlock(nn.Module):
    """Convolution, batch norm, GELU; with a skip where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.has_skip = stride == 1 and in_channels == out_channels

    def forward(self, hidden: Tensor) -> Tensor:
        made = F.gelu(self.norm(self.conv(hidden)))
        return hidden + made if self.has_skip else made


class ImageEncoder(ModelMixin, ConfigMixin):
    """pixels (B, 3, image_height, image_width) in [-1, 1] -> `ImageEncoderOutput`.

    The whole picture's vector joins an attention-weighted mean (where is the
    garment?) and a plain mean (what is around it?).
    """

    _supports_gradient_checkpointing = False

    @register_to_config
    def __init__(
        self,
        widths: tuple[int, ...] = (32, 64, 128, 256),
        blocks: tuple[int, ...] = (0, 1, 1, 2),
        projection_dim: int = 256,
        image_height: int = 128,
        image_width: int = 96,
        grid_height: int = 4,
        grid_width: int = 3,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level, width in enumerate(widths):
            layers.append(ConvBlock(widths[level - 1] if level else 3, width, stride=2))
            layers += [ConvBlock(width, width) for _ in range(blocks[level])]
        self.body = nn.Sequential(*layers)
        self.attention = nn.Linear(widths[-1], 1)
        self.projection = nn.Linear(2 * widths[-1], projection_dim, bias=False)
        self.grid = (grid_height, grid_width)

    def feature_map(self, pixels: Tensor) -> Tensor:
        """(B, hidden_size, image_height / 16, image_width / 16), before any pooling."""
        hidden: Tensor = self.body(pixels)
        return hidden

    def forward(self, pixels: Tensor) -> ImageEncoderOutput:
        hidden = self.feature_map(pixels)
        places = hidden.flatten(2).transpose(1, 2)
        weights = self.attention(places).softmax(dim=1)
        pooled = torch.cat([(places * weights).sum(1), places.mean(1)], dim=1)
        grid = F.adaptive_avg_pool2d(hidden, self.grid).flatten(2).transpose(1, 2)
        return ImageEncoderOutput(last_hidden_state=grid, image_embeds=self.projection(pooled))
