"""The judge of what is drawn: words and pictures in one space, garment and colour named.

Built unlike the towers that condition and rank, so that it does not share their
blind spots: the picture side is convolutions under a small vision transformer
(arXiv 2106.14881), the text side a bag of character n-grams
(fastText, arXiv 1607.04606). It never conditions, retrieves, ranks or stops.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import zlib
from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import Tensor, nn
from torch.nn import functional as F

LONGEST_NGRAM = 3
READABLE = 64
"""Characters of a prompt that are read."""
MOST_NGRAMS = sum(READABLE + 2 - size + 1 for size in range(1, LONGEST_NGRAM + 1))
"""Of a prompt with a mark at either end."""


@dataclasses.dataclass
class Sight(BaseOutput):
    """What the evaluator sees in pictures."""

    image_embeds: Tensor
    """(B, projection_dim), in the space shared with words; not normalised."""
    category_logits: Tensor
    """(B, len(config.categories))."""
    colour_logits: Tensor
    """(B, len(config.colours)): the main colour."""


class _Block(nn.Module):
    """Pre-norm transformer block. Attention is written as two products: on a CPU the
    backward pass of PyTorch's fused one costs more than all the rest."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1 = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        batch, length, width = hidden.shape
        qkv = self.to_qkv(self.norm1(hidden)).view(batch, length, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).softmax(-1)
        mixed = (weights.to(value.dtype) @ value).transpose(1, 2).reshape(batch, length, width)
        hidden = hidden + self.to_out(mixed)
        residual: Tensor = self.down(F.relu(self.up(self.norm2(hidden))))
        return hidden + residual


class _Convolution(nn.Module):
    """Convolution, batch norm, ReLU; with a skip where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.has_skip = stride == 1 and in_channels == out_channels

    def forward(self, hidden: Tensor) -> Tensor:
        made = F.relu(self.norm(self.conv(hidden)))
        return hidden + made if self.has_skip else made


class Evaluator(ModelMixin, ConfigMixin):
    """Pictures -> `Sight`; n-gram buckets (`buckets_of`) -> vectors of the same space.

    categories, colours  what the two heads name, in the order of their logits
    """

    _supports_gradient_checkpointing = False

    @register_to_config
    def __init__(
        self,
        categories: tuple[str, ...] = (),
        colours: tuple[str, ...] = (),
        stem_widths: tuple[int, ...] = (32, 64, 128),
        width: int = 256,
        num_layers: int = 2,
        num_heads: int = 4,
        num_buckets: int = 8192,
        bucket_dim: int = 128,
        projection_dim: int = 128,
        image_height: int = 128,
        image_width: int = 96,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        stem: list[nn.Module] = [nn.PixelUnshuffle(2), _Convolution(12, stem_widths[0])]
        for before, after in itertools.pairwise((*stem_widths, width)):
            stem += [_Convolution(before, after, stride=2), _Convolution(after, after)]
        self.stem = nn.Sequential(*stem)
        places = (image_height // 16) * (image_width // 16)
        self.position = nn.Parameter(torch.randn(places, width) * 0.02)
        self.blocks = nn.ModuleList(_Block(width, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 1)
        self.drop = nn.Dropout(dropout)
        self.image_projection = nn.Linear(2 * width, projection_dim, bias=False)
        self.category = nn.Linear(2 * width, max(1, len(categories)))
        self.colour = nn.Linear(2 * width, max(1, len(colours)))
        self.buckets = nn.Embedding(num_buckets, bucket_dim, padding_idx=0)
        nn.init.normal_(self.buckets.weight, std=0.1)
        self.text = nn.Sequential(
            nn.LayerNorm(bucket_dim),
            nn.Dropout(dropout),
            nn.Linear(bucket_dim, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, projection_dim),
        )

    def see(self, pixels: Tensor) -> Sight:
        """pixels (B, 3, image_height, image_width) in [-1, 1]."""
        hidden = self.stem(pixels).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            hidden = block(hidden)
        hidden = self.norm(hidden)
        weights = self.attention(hidden).softmax(dim=1)
        pooled = self.drop(torch.cat([(hidden * weights).sum(1), hidden.mean(1)], dim=1))
        return Sight(
            image_embeds=self.image_projection(pooled),
            category_logits=self.category(pooled),
            colour_logits=self.colour(pooled),
        )

    def read(self, buckets: Tensor) -> Tensor:
        """buckets int64 (B, L) of `buckets_of`; 0 is padding -> (B, E)."""
        vectors = self.buckets(buckets)
        count = (buckets > 0).sum(1, keepdim=True).clamp_min(1)
        embeds: Tensor = self.text(vectors.sum(1) / count.sqrt())
        return embeds

    def forward(self, pixels: Tensor, buckets: Tensor) -> tuple[Sight, Tensor]:
        """`see` and `read` in one call."""
        return self.see(pixels), self.read(buckets)


def buckets_of(prompts: Sequence[str], num_buckets: int) -> Tensor:
    """Normalised prompts -> int64 (B, MOST_NGRAMS): the hashed n-grams of each, padded with 0."""
    padded = torch.zeros(len(prompts), MOST_NGRAMS, dtype=torch.int64)
    for index, prompt in enumerate(prompts):
        buckets = _buckets_of_one(prompt[:READABLE], num_buckets)
        padded[index, : len(buckets)] = torch.tensor(buckets)
    return padded


@functools.lru_cache(maxsize=100_000)
def _buckets_of_one(prompt: str, num_buckets: int) -> list[int]:
    text = f"<{prompt}>"
    return [
        1 + zlib.crc32(text[start : start + size].encode()) % (num_buckets - 1)
        for size in range(1, LONGEST_NGRAM + 1)
        for start in range(len(text) - size + 1)
    ]
