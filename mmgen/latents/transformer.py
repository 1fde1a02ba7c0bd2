"""Noisy latents, time, text and reference features -> velocity.

A diffusion transformer (DiT, arXiv 2212.09748) with one shared modulation for
all blocks (adaLN-single, PixArt-alpha, arXiv 2310.00426), cross-attention to
text and reference tokens, and normalised queries and keys.

Text and references always fill a fixed number of tokens; what is absent is a
learnt null token. So every shape is static, and no attention mask exists:
diffusers' xformers path would silently turn a boolean one into biases.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from mmgen.latents.packed_linear import Linear, linear_gelu

Memory = tuple[Tensor, Tensor]
"""Keys and values of a context, both (B, M, heads, d)."""


class AttentionProcessor:
    """Runs one attention through diffusers' dispatcher, with the backend set on the model."""

    _attention_backend: Any = None
    _parallel_config: Any = None

    def __call__(self, attention: Attention, hidden: Tensor, memory: Memory | None) -> Tensor:
        batch, length, width = hidden.shape
        heads = attention.num_heads
        if memory is None:
            query, key, value = attention.to_qkv(hidden).view(batch, length, 3, heads, -1).unbind(2)
            key = _normed(key, attention.norm_k)
        else:
            query = attention.to_q(hidden).view(batch, length, heads, -1)
            key, value = memory
        mixed = self.attend(_normed(query, attention.norm_q), key, value)
        out: Tensor = attention.to_out(mixed.reshape(batch, length, width))
        return out

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """All (B, N, heads, d), keys and values (B, M, heads, d) -> (B, N, heads, d)."""
        mixed: Tensor = dispatch_attention_fn(
            query,
            key,
            value,
            backend=self._attention_backend,
            parallel_config=self._parallel_config,
        )
        return mixed


def _normed(tensor: Tensor, norm: nn.RMSNorm) -> Tensor:
    """`norm` in the tensor's own dtype: under autocast a mixed pair would run unfused."""
    return F.rms_norm(tensor, norm.normalized_shape, norm.weight.to(tensor.dtype), norm.eps)


class Attention(nn.Module, AttentionModuleMixin):
    """Self-attention (B, N, D), or cross-attention to what `remember` made of a context."""

    _default_processor_cls = AttentionProcessor
    _available_processors: ClassVar = [AttentionProcessor]
    _supports_qkv_fusion = False

    to_qkv: nn.Linear
    to_q: nn.Linear
    to_kv: nn.Linear
    """to_qkv in self-attention, to_q and to_kv in cross-attention."""

    def __init__(self, width: int, num_heads: int, context_dim: int | None = None) -> None:
        super().__init__()
        self.num_heads = num_heads
        if context_dim is None:
            self.to_qkv = Linear(width, 3 * width)
        else:
            self.to_q = Linear(width, width)
            self.to_kv = Linear(context_dim, 2 * width)
        self.norm_q = nn.RMSNorm(width // num_heads, eps=1e-6)
        self.norm_k = nn.RMSNorm(width // num_heads, eps=1e-6)
        self.to_out = Linear(width, width)
        self.processor: Any = AttentionProcessor()

    def remember(self, context: Tensor) -> Memory:
        """Keys and values of a context (B, M, context_dim)."""
        kv = self.to_kv(context).view(*context.shape[:2], 2, self.num_heads, -1)
        key, value = kv.unbind(2)
        return _normed(key, self.norm_k), value

    def forward(self, hidden: Tensor, memory: Memory | None = None) -> Tensor:
        mixed: Tensor = self.processor(self, hidden, memory)
        return mixed


class GarmentTransformerBlock(nn.Module):
    """Modulated self-attention, cross-attention, modulated perceptron."""

    def __init__(self, width: int, num_heads: int, context_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.attn1 = Attention(width, num_heads)
        self.attn2 = Attention(width, num_heads, context_dim)
        self.norm2 = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.up = Linear(width, 4 * width)
        self.down = Linear(4 * width, width)
        self.scale_shift_table = nn.Parameter(torch.randn(6, width) / width**0.5)
        # Conditioning enters gently: at first the block ignores its context.
        nn.init.zeros_(self.attn2.to_out.weight)
        nn.init.zeros_(self.attn2.to_out.bias)

    def forward(self, hidden: Tensor, memory: Memory, modulation: Tensor) -> Tensor:
        """hidden (B, N, D), memory (`attn2.remember`), modulation (B, 6, D)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = (
            (self.scale_shift_table + modulation).unsqueeze(2).unbind(1)
        )
        mixed = self.attn1(torch.addcmul(shift1, self.norm1(hidden), 1 + scale1))
        hidden = torch.addcmul(hidden, gate1, mixed)
        hidden = hidden + self.attn2(hidden, memory)
        inner = linear_gelu(self.up, torch.addcmul(shift2, self.norm2(hidden), 1 + scale2))
        return torch.addcmul(hidden, gate2, self.down(inner))


@dataclasses.dataclass(slots=True)
class DenoisingCache:
    """What does not change from step to step, kept at the first for all others.

    Of one batch, one size and one set of conditions: a new one for every picture.
    """

    memories: list[Memory] | None = None
    """One a block."""
    positions: Tensor | None = None


def position_table(height: int, width: int, dim: int, base_height: int, base_width: int) -> Tensor:
    """float32 (height * width, dim): sines and cosines of each token's place.

    Places are measured on the base grid, so a grid of another resolution gets
    the same values in between.
    """
    frequencies = torch.exp(-math.log(100.0) * torch.arange(dim // 4) / (dim // 4))
    y = (torch.arange(height) + 0.5) / height * base_height
    x = (torch.arange(width) + 0.5) / width * base_width
    rows, columns = (torch.outer(place, frequencies) for place in (y, x))
    rows = rows[:, None].expand(-1, width, -1)
    columns = columns[None].expand(height, -1, -1)
    table = torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], dim=-1)
    return table.reshape(height * width, -1)


class GarmentTransformer2DModel(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """The embedded model's denoiser.

    `sample_height` and `sample_width` are those of the latents it was trained
    on; other sizes divisible by `patch_size` run with positions interpolated.
    """

    _supports_gradient_checkpointing = False
    _no_split_modules: ClassVar = ["GarmentTransformerBlock"]
    _repeated_blocks: ClassVar = ["GarmentTransformerBlock"]
    _skip_layerwise_casting_patterns: ClassVar = ["patch_embed", "norm", "time_embed"]

    @register_to_config
    def __init__(
        self,
        in_channels: int = 8,
        sample_height: int = 32,
        sample_width: int = 24,
        patch_size: int = 2,
        width: int = 384,
        num_layers: int = 12,
        num_heads: int = 6,
        text_dim: int = 256,
        pooled_dim: int = 256,
        reference_dim: int = 256,
        max_references: int = 4,
        reference_tokens: int = 12,
    ) -> None:
        super().__init__()
        patch_values = in_channels * patch_size**2
        self.patch_embed = nn.Linear(patch_values, width)
        self.time_proj = Timesteps(256, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embed = TimestepEmbedding(256, width)
        self.pooled_embed = nn.Linear(pooled_dim, width)
        self.box_embed = nn.Linear(5, width)
        self.modulation = nn.Linear(width, 6 * width)
        self.null_text = nn.Parameter(torch.randn(text_dim) * 0.02)
        self.null_reference = nn.Parameter(torch.randn(text_dim) * 0.02)
        self.reference_embed = nn.Linear(reference_dim, text_dim)
        self.reference_position = nn.Parameter(torch.randn(reference_tokens, text_dim) * 0.02)
        self.blocks = nn.ModuleList(
            GarmentTransformerBlock(width, num_heads, text_dim) for _ in range(num_layers)
        )
        self.norm_out = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.final_modulation = nn.Linear(width, 2 * width)
        self.proj_out = nn.Linear(width, patch_values)
        # The first prediction is zero and the first modulation does nothing.
        for layer in (self.proj_out, self.modulation, self.final_modulation, self.box_embed):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def context(
        self,
        encoder_hidden_states: Tensor,
        encoder_attention_mask: Tensor,
        reference_hidden_states: Tensor,
        reference_weights: Tensor,
    ) -> Tensor:
        """Text and reference tokens with null tokens in every gap.

        Does not depend on the time step: (B, L + R * T, text_dim).
        """
        text = torch.where(
            encoder_attention_mask[..., None] > 0, encoder_hidden_states, self.null_text
        )
        reference = self.reference_embed(reference_hidden_states) + self.reference_position
        # A weight between 0 and 1 fades a reference into "none"; above 1 it insists.
        weights = reference_weights[:, :, None, None].to(reference.dtype)
        reference = torch.lerp(self.null_reference.expand_as(reference), reference, weights)
        return torch.cat([text, reference.flatten(1, 2)], dim=1)

    def positions(self, rows: int, columns: int) -> Tensor:
        """float32 (rows * columns, width): the table of a grid of patches."""
        config = self.config
        base = config.sample_height // config.patch_size, config.sample_width // config.patch_size
        return position_table(rows, columns, config.width, *base)

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        encoder_attention_mask: Tensor,
        pooled_projections: Tensor,
        reference_hidden_states: Tensor,
        reference_weights: Tensor,
        valid_box: Tensor | None = None,
        cache: DenoisingCache | None = None,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """Velocity noise - data (arXiv 2210.02747), the shape of `hidden_states`.

        hidden_states            (B, C, h, w)
        timestep                 (B,) in [0, 1000]; 1000 is pure noise
        encoder_hidden_states    (B, L, text_dim)
        encoder_attention_mask   (B, L), 1 on text, 0 on padding
        pooled_projections       (B, pooled_dim)
        reference_hidden_states  (B, R, T, reference_dim), R = max_references
        reference_weights        (B, R); 0 is "no reference here"
        valid_box                (B, 4) top, left, bottom, right in [0, 1] of what
                                 is picture and not padding; None: not known
        cache                    filled at the first step; later ones read neither text
                                 nor references again
        """
        config = self.config
        patch = config.patch_size
        rows, columns = hidden_states.shape[2] // patch, hidden_states.shape[3] // patch
        dtype = self.patch_embed.weight.dtype

        cache = DenoisingCache() if cache is None else cache
        if cache.memories is None or cache.positions is None:
            context = self.context(
                encoder_hidden_states.to(dtype),
                encoder_attention_mask,
                reference_hidden_states.to(dtype),
                reference_weights,
            )
            attentions: list[Any] = [block.attn2 for block in self.blocks]
            cache.memories = [attention.remember(context) for attention in attentions]
            cache.positions = self.positions(rows, columns).to(hidden_states.device, dtype)

        hidden = F.pixel_unshuffle(hidden_states.to(dtype), patch).flatten(2).transpose(1, 2)
        hidden = self.patch_embed(hidden) + cache.positions
        time = self.time_embed(self.time_proj(timestep).to(dtype))
        vector = F.silu(
            time
            + self.pooled_embed(pooled_projections.to(dtype))
            + self.box_embed(_box_values(valid_box, len(time), time))
        )
        modulation = self.modulation(vector).unflatten(1, (6, -1))

        for block, memory in zip(self.blocks, cache.memories, strict=True):
            hidden = block(hidden, memory, modulation)

        shift, scale = self.final_modulation(vector)[:, None].chunk(2, dim=-1)
        hidden = self.proj_out(torch.addcmul(shift, self.norm_out(hidden), 1 + scale))
        grid = hidden.transpose(1, 2).unflatten(2, (rows, columns))
        sample = F.pixel_shuffle(grid, patch)
        return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)


def _box_values(box: Tensor | None, batch: int, like: Tensor) -> Tensor:
    """(B, 5): the box as its distance from the whole frame, and 1 where it is known."""
    values = torch.zeros(batch, 5, device=like.device, dtype=like.dtype)
    if box is not None:
        is_known = box[:, 2] > box[:, 0]
        values[:, :4] = (box - box.new_tensor([0.0, 0.0, 1.0, 1.0])).to(like) * is_known[:, None]
        values[:, 4] = is_known
    return values
