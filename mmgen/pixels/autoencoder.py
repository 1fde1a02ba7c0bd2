"""Pixels <-> latents, 8 times smaller on each side.

A convolutional variational autoencoder in the shape of diffusers'
`AutoencoderKL` (`encode(...).latent_dist`, `decode(...).sample`). The first
and last level work on pixel-unshuffled pictures (arXiv 1609.05158), so no
convolution runs at full resolution: that is what makes it fit a laptop CPU.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """(B, C, h, w) -> (B, C, h, w); starts as the identity."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, hidden: Tensor) -> Tensor:
        residual = self.conv1(F.silu(self.norm1(hidden)))
        residual = self.conv2(F.silu(self.norm2(residual)))
        return torch.add(hidden, residual)


def _level(channels: int, blocks: int, groups: int) -> list[nn.Module]:
    return [ResidualBlock(channels, groups) for _ in range(blocks)]


def _head(channels: int, out_channels: int, groups: int) -> list[nn.Module]:
    return [
        nn.GroupNorm(groups, channels),
        nn.SiLU(),
        nn.Conv2d(channels, out_channels, 3, padding=1),
    ]


class Encoder(nn.Sequential):
    """pixels (B, 3, H, W) -> moments (B, 2 * latent_channels, H / 8, W / 8)."""

    def __init__(
        self, latent_channels: int, widths: tuple[int, ...], blocks: tuple[int, ...], groups: int
    ) -> None:
        layers: list[nn.Module] = [nn.PixelUnshuffle(2), nn.Conv2d(12, widths[0], 3, padding=1)]
        for level, width in enumerate(widths):
            if level:
                layers.append(nn.Conv2d(widths[level - 1], width, 3, stride=2, padding=1))
            layers += _level(width, blocks[level], groups)
        super().__init__(*layers, *_head(widths[-1], 2 * latent_channels, groups))


class Decoder(nn.Sequential):
    """latents (B, latent_channels, h, w) -> pixels (B, 3, 8 h, 8 w)."""

    def __init__(
        self, latent_channels: int, widths: tuple[int, ...], blocks: tuple[int, ...], groups: int
    ) -> None:
        layers: list[nn.Module] = [nn.Conv2d(latent_channels, widths[-1], 3, padding=1)]
        for level in reversed(range(len(widths))):
            layers += _level(widths[level], blocks[level], groups)
            if level:
                layers += [
                    nn.Conv2d(widths[level], 4 * widths[level - 1], 3, padding=1),
                    nn.PixelShuffle(2),
                ]
        super().__init__(*layers, *_head(widths[0], 12, groups), nn.PixelShuffle(2))


class GarmentAutoencoder(ModelMixin, ConfigMixin):
    """pixels (B, 3, H, W) in [-1, 1] <-> latents (B, C, H / 8, W / 8).

    H and W are multiples of 8. Latents leave `encode` as the encoder made
    them; `normalize` and `denormalize` bring them to zero mean and unit
    variance with the statistics of the training pictures, kept in the config.
    """

    _supports_gradient_checkpointing = False

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 8,
        widths: tuple[int, ...] = (32, 64, 160),
        encoder_blocks: tuple[int, ...] = (1, 2, 2),
        decoder_blocks: tuple[int, ...] = (2, 3, 3),
        groups: int = 8,
        latents_mean: tuple[float, ...] | None = None,
        latents_std: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(latent_channels, tuple(widths), tuple(encoder_blocks), groups)
        self.decoder = Decoder(latent_channels, tuple(widths), tuple(decoder_blocks), groups)

    def encode(self, pixels: Tensor) -> AutoencoderKLOutput:
        """pixels (B, 3, H, W) in [-1, 1] -> `latent_dist`, a diagonal Gaussian."""
        moments = self.encoder(pixels).float()
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(moments))

    def decode(self, latents: Tensor) -> DecoderOutput:
        """latents (B, C, h, w) -> `sample` (B, 3, 8 h, 8 w), about [-1, 1]."""
        return DecoderOutput(sample=self.decoder(latents))

    def forward(self, pixels: Tensor, noise: Tensor) -> tuple[Tensor, DiagonalGaussianDistribution]:
        """Reconstruction from one sample of the posterior, and the posterior.

        `noise`: standard normal, the shape of the latents.
        """
        posterior = self.encode(pixels).latent_dist
        latents = posterior.mean + posterior.std * noise
        return self.decode(latents.to(pixels.dtype)).sample, posterior

    def _statistic(self, name: str, like: Tensor) -> Tensor:
        values = self.config[name]
        if values is None:
            values = [0.0 if name == "latents_mean" else 1.0] * self.config.latent_channels
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)

    def normalize(self, latents: Tensor) -> Tensor:
        """Latents as `encode` gives them -> zero mean, unit variance."""
        return (latents - self._statistic("latents_mean", latents)) / self._statistic(
            "latents_std", latents
        )

    def denormalize(self, latents: Tensor) -> Tensor:
        """The inverse of `normalize`."""
        return latents * self._statistic("latents_std", latents) + self._statistic(
            "latents_mean", latents
        )
