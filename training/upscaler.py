"""Trains the upscaler: photographs at half size -> the same photographs.

Loss: L1 over crops. The half-size pictures are made by the Lanczos filter that
pictures are scaled down with everywhere else.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mmgen.pixels.upscaler import SCALE, GarmentUpscaler, upscale
from training.autoencoder import to_unit
from training.export import shipped_copy
from training.loop import LoopConfig

HEIGHT, WIDTH = 424, 320
"""Pixels of the photographs learnt from: 3:4 at their own size, so nothing is resampled."""
_BORDER_PX = 4
"""Left out of the figures, as is usual in super-resolution."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class UpscalerConfig:
    """The network and its crops."""

    loop: LoopConfig
    channels: int = 32
    blocks: int = 4
    crop_px: int = 64
    """Side of the large picture's crop."""
    num_pictures: int = 1_000


class UpscalerTask:
    """Task of `training.loop`: twice as large."""

    def __init__(
        self,
        config: UpscalerConfig,
        pixels: np.ndarray,
        held_out: np.ndarray,
        model: GarmentUpscaler | None = None,
    ) -> None:
        """Both uint8 (N, 424, 320, 3)."""
        self.config, self.pixels, self.held_out = config, pixels, held_out
        self.num_rows = len(pixels)
        self.model = model or GarmentUpscaler(channels=config.channels, blocks=config.blocks)
        self.model.to(memory_format=torch.channels_last)

    def loss(
        self, model: nn.Module, rows: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        large = self._crops(rows, generator)
        small = np.stack([shrunk(crop) for crop in large])
        wanted = to_unit(torch.from_numpy(large)).to(device)
        made = model(to_unit(torch.from_numpy(small)).to(device))
        error = (made.float() - wanted).abs().mean()
        return error, {"l1": error.item()}

    def _crops(self, rows: Tensor, generator: torch.Generator) -> np.ndarray:
        """uint8 (B, S, S, 3), half of them mirrored, half turned by a quarter."""
        side = self.config.crop_px
        height, width = self.pixels.shape[1:3]
        y = torch.randint(0, height - side + 1, (len(rows),), generator=generator).tolist()
        x = torch.randint(0, width - side + 1, (len(rows),), generator=generator).tolist()
        flips = torch.randint(0, 4, (len(rows),), generator=generator).tolist()
        crops = []
        for index, row in enumerate(rows.tolist()):
            crop = self.pixels[row, y[index] : y[index] + side, x[index] : x[index] + side]
            crop = crop[:, ::-1] if flips[index] & 1 else crop
            crops.append(crop.swapaxes(0, 1) if flips[index] & 2 else crop)
        return np.stack(crops)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """PSNR on held-out photographs beside that of Lanczos, in dB."""
        assert isinstance(model, GarmentUpscaler)
        ours, theirs = [], []
        for picture in self.held_out[:32]:
            small = shrunk(picture)
            ours.append(psnr(upscale(model, small), picture))
            theirs.append(psnr(lanczos(small, SCALE), picture))
        gain = float(np.mean(ours) - np.mean(theirs))
        return {"psnr": float(np.mean(ours)), "psnr_over_lanczos": gain}


def shrunk(picture: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> (H / 2, W / 2, 3) by Lanczos."""
    size = (picture.shape[1] // SCALE, picture.shape[0] // SCALE)
    small = Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.LANCZOS)
    return np.array(small)


def lanczos(picture: np.ndarray, by: int) -> np.ndarray:
    """uint8 (H, W, 3) -> (by H, by W, 3) by Lanczos."""
    size = (picture.shape[1] * by, picture.shape[0] * by)
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def psnr(made: np.ndarray, wanted: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 (H, W, 3), without their rims."""
    rim = slice(_BORDER_PX, -_BORDER_PX)
    error = made[rim, rim].astype(np.float64) - wanted[rim, rim]
    return float(10 * np.log10(255**2 / max(1e-9, np.mean(error**2))))


def export(model: GarmentUpscaler, folder: Path) -> None:
    """Write `folder/upscaler` in bfloat16."""
    shipped_copy(model).save_pretrained(folder / "upscaler")
