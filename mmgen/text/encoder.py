"""Token ids -> text features: one vector a token, and one for the whole prompt."""

from __future__ import annotations

import dataclasses

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import Tensor, nn
from torch.nn import functional as F


@dataclasses.dataclass
class TextEncoderOutput(BaseOutput):
    """What `TextEncoder` gives."""

    last_hidden_state: Tensor
    """(B, L, hidden_size); rows of padding carry no meaning."""
    text_embeds: Tensor
    """(B, projection_dim), in the space shared with pictures; not normalised."""


class TextBlock(nn.Module):
    """Pre-norm transformer block: self-attention, then a two-layer perceptron."""

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1 = nn.LayerNorm(hidden_size)
        self.to_qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.to_out = nn.Linear(hidden_size, hidden_size)
        self.norm2 = nn.LayerNorm(hidden_size)
        self.up = nn.Linear(hidden_size, 4 * hidden_size)
        self.down = nn.Linear(4 * hidden_size, hidden_size)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = hidden.shape
        qkv = self.to_qkv(self.norm1(hidden))
        query, key, value = qkv.view(batch, length, 3, self.num_heads, -1).unbind(2)
        mixed = self.attend(query, key, value, bias.to(query.dtype))
        hidden = hidden + self.to_out(mixed.reshape(batch, length, width))
        residual: Tensor = self.down(F.gelu(self.up(self.norm2(hidden)), approximate="tanh"))
        return hidden + residual

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """All (B, L, heads, d), bias (B, 1, L, L) -> (B, L, heads, d)."""
        mixed: Tensor = dispatch_attention_fn(query, key, value, attn_mask=bias)
        return mixed


class TextEncoder(ModelMixin, ConfigMixin):
    """A BERT-shaped character transformer with a projection.

    The prompt's vector is read at the first position ([CLS]). Padding is kept
    out of attention by an additive mask, never a boolean one: xformers' path
    in diffusers would turn that into biases of 1 and 0.
    """

    _supports_gradient_checkpointing = False

    @register_to_config
    def __init__(
        self,
        vocab_size: int = 1200,
        max_length: int = 64,
        hidden_size: int = 256,
        num_layers: int = 4,
        num_heads: int = 4,
        projection_dim: int = 256,
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, hidden_size)
        self.position_embedding = nn.Parameter(torch.randn(max_length, hidden_size) * 0.02)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(TextBlock(hidden_size, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.projection = nn.Linear(hidden_size, projection_dim, bias=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextEncoderOutput:
        """Both int64 (B, L), L up to `max_length`; the mask is 1 on text, 0 on padding."""
        hidden = self.token_embedding(input_ids) + self.position_embedding[: input_ids.shape[1]]
        bias = (attention_mask[:, None, None, :] == 0).to(hidden.dtype) * -1e4
        bias = bias.expand(-1, 1, input_ids.shape[1], -1)
        for block in self.blocks:
            hidden = block(hidden, bias)
        hidden = self.norm(hidden)
        return TextEncoderOutput(
            last_hidden_state=hidden, text_embeds=self.projection(hidden[:, 0])
        )
