"""CogView4's attention through diffusers' dispatcher, so that xformers can run it.

diffusers 0.42.1 calls PyTorch's operator there directly. After its
`CogView4AttnProcessor` (transformer_cogview4.py, Apache-2.0), without the text
mask that the pipeline never passes and that would reach the operator as +1/0.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.embeddings import apply_rotary_emb


class DispatchedCogView4Attention:
    """Joint attention over text and picture tokens; the rotary turn is the picture's alone."""

    _attention_backend: Any = None
    """Set by `set_attention_backend` of the model."""
    _parallel_config: Any = None

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(picture, text) after attention; (B, L, width) in and out."""
        assert attention_mask is None
        text = encoder_hidden_states.shape[1]
        joined = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        query, key, value = (
            project(joined).unflatten(2, (attn.heads, -1))
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        dtype = encoder_hidden_states.dtype
        if attn.norm_q is not None:
            query = attn.norm_q(query).to(dtype=dtype)
        if attn.norm_k is not None:
            key = attn.norm_k(key).to(dtype=dtype)
        if image_rotary_emb is not None:
            query, key = (
                _turned(query, text, image_rotary_emb),
                _turned(key, text, image_rotary_emb),
            )
        out = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        out = out.flatten(2, 3).type_as(query)
        out = attn.to_out[1](attn.to_out[0](out))
        return out[:, text:], out[:, :text]


def _turned(
    tokens: torch.Tensor, text: int, rotary: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """(B, L, heads, D) with the picture's tokens turned by their place."""
    picture = tokens[:, text:].transpose(1, 2)
    picture = apply_rotary_emb(picture, rotary, use_real_unbind_dim=-2).transpose(1, 2)
    return torch.cat([tokens[:, :text], picture], dim=1)


def dispatch(transformer: torch.nn.Module) -> None:
    """Give every block of a CogView4 transformer the dispatched attention."""
    processor = DispatchedCogView4Attention()
    for block in transformer.transformer_blocks:  # type: ignore[union-attr]
        block.attn1.set_processor(processor)
