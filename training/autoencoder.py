"""Trains the autoencoder: photographs -> latents -> the same photographs.

Loss: L1 + L1 of neighbouring differences (edges) + L1 of 4 x 4 means (colour)
+ 1 - SSIM (structure) + a small KL that keeps latents near a standard normal,
on crops. Padding is no photograph and is left out.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from mmgen.pixels.autoencoder import GarmentAutoencoder
from mmgen.pixels.fidelity import box_mask, psnr, ssim, to_unit
from training.export import shipped_copy
from training.loop import LoopConfig


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderConfig:
    """The model, its crops and its losses."""

    loop: LoopConfig
    latent_channels: int = 8
    widths: tuple[int, ...] = (32, 64, 160)
    crop_px: int = 128
    edge_weight: float = 1.0
    colour_weight: float = 1.0
    structure_weight: float = 0.0
    kl_weight: float = 1e-3


class AutoencoderTask:
    """Task of `training.loop`: reconstruct crops."""

    def __init__(
        self,
        config: AutoencoderConfig,
        pixels: np.ndarray,
        boxes: np.ndarray,
        held_out: tuple[np.ndarray, np.ndarray],
        model: GarmentAutoencoder | None = None,
    ) -> None:
        """`pixels` uint8 (N, H, W, 3) and `boxes` (N, 4), and the same of validation."""
        self.config = config
        self.pixels, self.boxes = pixels, torch.from_numpy(boxes)
        self.held_out = held_out
        self.num_rows = len(pixels)
        self.model = model or GarmentAutoencoder(
            latent_channels=config.latent_channels, widths=config.widths
        )
        self.model.to(memory_format=torch.channels_last)

    def _crops(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """pixels (B, 3, S, S) in [-1, 1] and mask (B, 1, S, S); half of them mirrored."""
        side = self.config.crop_px
        height, width = self.pixels.shape[1:3]
        masks = box_mask(self.boxes[rows], height, width)
        y = torch.randint(0, height - side + 1, (len(rows),), generator=generator).tolist()
        x = torch.randint(0, width - side + 1, (len(rows),), generator=generator).tolist()
        flips = (torch.rand(len(rows), generator=generator) < 0.5).tolist()
        crops, kept = [], []
        for index, row in enumerate(rows.tolist()):
            window = (slice(y[index], y[index] + side), slice(x[index], x[index] + side))
            crop = torch.from_numpy(np.array(self.pixels[row][window]))
            mask = masks[index, 0][window]
            crops.append(crop.flip(1) if flips[index] else crop)
            kept.append(mask.flip(1) if flips[index] else mask)
        return to_unit(torch.stack(crops)), torch.stack(kept)[:, None]

    def loss(
        self, model: nn.Module, rows: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        pixels, mask = (t.to(device) for t in self._crops(rows, generator))
        side = self.config.crop_px // 8
        shape = (len(rows), self.config.latent_channels, side, side)
        noise = torch.randn(shape, generator=generator).to(device)
        made, posterior = model(pixels, noise)
        made = made.float()
        error = (made - pixels) * mask
        absolute = error.abs().mean()
        edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        colour = F.avg_pool2d(error, 4).abs().mean()
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        config = self.config
        loss = absolute + config.edge_weight * edges + config.colour_weight * colour
        loss = loss + config.kl_weight * kl
        if config.structure_weight:
            with torch.autocast(device.type, enabled=False):
                likeness = ssim(made, pixels, mask).mean()
            loss = loss + config.structure_weight * (1 - likeness)
        return loss, {"l1": absolute.item(), "kl": kl.item()}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """PSNR and SSIM of whole held-out pictures, from the posterior's mean."""
        assert isinstance(model, GarmentAutoencoder)
        noise, structure = [], []
        device = next(model.parameters()).device
        for start in range(0, min(96, len(self.held_out[0])), 16):
            stop = start + 16
            pixels = to_unit(torch.from_numpy(np.array(self.held_out[0][start:stop])))
            mask = box_mask(torch.from_numpy(self.held_out[1][start:stop]), *pixels.shape[2:])
            latents = model.encode(pixels.to(device)).latent_dist.mode()
            made = model.decode(latents).sample.float().cpu()
            noise.append(psnr(made, pixels, mask))
            structure.append(ssim(made, pixels, mask))
        return {"psnr": torch.cat(noise).mean().item(), "ssim": torch.cat(structure).mean().item()}

    @torch.no_grad()
    def sample(self, model: nn.Module) -> Image.Image:
        """Six held-out photographs above their reconstructions."""
        assert isinstance(model, GarmentAutoencoder)
        pixels = to_unit(torch.from_numpy(np.array(self.held_out[0][:6])))
        device = next(model.parameters()).device
        latents = model.encode(pixels.to(device)).latent_dist.mode()
        made = model.decode(latents).sample.float().cpu()
        sheet = torch.cat([torch.cat(list(pixels), 2), torch.cat(list(made), 2)], 1)
        array = sheet.clamp(-1, 1).add(1).mul(127.5).round().byte().permute(1, 2, 0).numpy()
        return Image.fromarray(array)


@torch.no_grad()
def measure_latents(
    model: GarmentAutoencoder, pixels: np.ndarray, *, limit: int = 512
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each latent channel over up to `limit` pictures."""
    latents = []
    chosen = np.linspace(0, len(pixels) - 1, min(limit, len(pixels))).astype(int)
    for start in range(0, len(chosen), 16):
        batch = torch.from_numpy(np.array(pixels[chosen[start : start + 16]]))
        latents.append(model.encode(to_unit(batch)).latent_dist.mode())
    values = torch.cat(latents).transpose(0, 1).flatten(1)
    return values.mean(1).tolist(), values.std(1).tolist()


def export(model: GarmentAutoencoder, folder: Path, pixels: np.ndarray) -> None:
    """Write `folder/vae` in bfloat16 with the statistics of its latents in the config."""
    mean, std = measure_latents(model.eval(), pixels)
    rounded = [[round(v, 5) for v in values] for values in (mean, std)]
    shipped = shipped_copy(model, latents_mean=rounded[0], latents_std=rounded[1])
    shipped.save_pretrained(folder / "vae")
