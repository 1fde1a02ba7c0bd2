"""Attention as two matrix products, for training on a CPU.

PyTorch's fused CPU operator spends 39% of a training step in its backward
pass at 48 tokens; written out and compiled, the whole step runs twice as fast
as with the compiled math backend and four times as fast as eager.
"""

from __future__ import annotations

from torch import Tensor, nn

from mmgen.latents.transformer import Attention, AttentionProcessor


class PlainAttentionProcessor(AttentionProcessor):
    """softmax(q k^T / sqrt(d)) v, in the dtype of the values."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """All (B, N, heads, d), keys and values (B, M, heads, d) -> (B, N, heads, d)."""
        query, key, value = (t.transpose(1, 2) for t in (query, key, value))
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        return (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2)


def use_plain_attention(model: nn.Module) -> None:
    """Put `PlainAttentionProcessor` into every attention of `model`."""
    for module in model.modules():
        if isinstance(module, Attention):
            module.set_processor(PlainAttentionProcessor())
