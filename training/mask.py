"""Trains the garment mask: photographs and rough masks -> `GarmentMaskNet`.

Loss: cross-entropy + Dice (arXiv 1606.04797). The masks come from `mask_labels`;
in the second half of the run each is mixed with what the network itself, averaged
over a picture and its mirror image, already believes (bootstrapping, arXiv
1412.6596), so that faults which differ from picture to picture are not learnt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from mmgen.mask.network import GarmentMaskNet, planes_of
from training.autoencoder import box_mask
from training.export import shipped_copy
from training.loop import LoopConfig
from training.towers import vary


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MaskConfig:
    """The network, how many photographs it learns from, and what it doubts."""

    loop: LoopConfig
    widths: tuple[int, ...] = (32, 64, 128)
    num_labels: int = 2_800
    """Photographs that masks are made of; GrabCut takes a third of a second for one."""
    own_weight: float = 0.4
    """Weight of the network's own answer in the second half of the run."""


class MaskTask:
    """Task of `training.loop`: find the garment."""

    def __init__(
        self,
        config: MaskConfig,
        photographs: tuple[np.ndarray, np.ndarray, np.ndarray],
        held_out: tuple[np.ndarray, np.ndarray, np.ndarray],
        model: GarmentMaskNet | None = None,
    ) -> None:
        """Both triples: pixels uint8 (N, 128, 96, 3), boxes (N, 4), masks uint8 (N, 128, 96)."""
        self.config = config
        self.examples, self.held_out = prepared(*photographs), prepared(*held_out)
        self.num_rows = len(self.examples)
        self.model = model or GarmentMaskNet(widths=config.widths)
        self.model.to(memory_format=torch.channels_last)

    def loss(
        self, model: nn.Module, rows: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        pixels, wanted, valid = (t.to(device) for t in self._varied(rows, generator))
        logits = model(pixels).float()
        with torch.no_grad():
            # Trusted only where it is sure; a fresh network is sure of nothing.
            own = logits.sigmoid()
            weight = self.config.own_weight * (2 * (own - 0.5).abs()).square()
            wanted = torch.lerp(wanted, own, weight)
        entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        entropy = (entropy * valid).sum() / valid.sum()
        found = logits.sigmoid() * valid
        both = (found * wanted).sum((1, 2, 3))
        dice = 1 - 2 * both / (found.sum((1, 2, 3)) + (wanted * valid).sum((1, 2, 3))).clamp_min(1)
        return entropy + dice.mean(), {"entropy": entropy.item(), "dice": dice.mean().item()}

    def _varied(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """planes (B, 4, h, w), masks and validity (B, 1, h, w), moved together; light changed."""
        moved = vary(self.examples[rows].float(), generator)
        gain = 1 + 0.25 * (torch.rand(len(rows), 1, 1, 1, generator=generator) - 0.5)
        cast = 0.12 * torch.randn(len(rows), 3, 1, 1, generator=generator)
        colours = ((moved[:, :3] + 1) * gain - 1 + cast).clamp(-1, 1)
        planes = torch.cat([colours, moved[:, 3:4]], 1)
        planes = planes.contiguous(memory_format=torch.channels_last)
        return planes, moved[:, 4:5], moved[:, 5:]

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean intersection over union with the rough masks of held-out photographs."""
        found = torch.cat([self._answer(model, part) for part in self.held_out.split(64)]) > 0.5
        there = self.held_out[:, 4] > 0.5
        both, either = (found & there).sum((1, 2)), (found | there).sum((1, 2))
        return {"iou_rough": (both / either.clamp_min(1)).mean().item()}

    @torch.no_grad()
    def _answer(self, model: nn.Module, examples: Tensor) -> Tensor:
        device = next(model.parameters()).device
        probability: Tensor = model(examples[:, :4].float().to(device))[:, 0].float().sigmoid()
        return probability.cpu()

    @torch.no_grad()
    def sample(self, model: nn.Module) -> Image.Image:
        """Twelve held-out photographs above what the network leaves of them."""
        examples = self.held_out[:12]
        found = self._answer(model, examples)[..., None].numpy()
        pixels = (examples[:, :3].float().permute(0, 2, 3, 1).numpy() + 1) * 127.5
        left = pixels * found + np.array([230, 40, 200]) * (1 - found)
        rows = [np.concatenate(list(part), 1) for part in (pixels, left)]
        return Image.fromarray(np.concatenate(rows).astype(np.uint8))


def prepared(pixels: np.ndarray, boxes: np.ndarray, masks: np.ndarray) -> Tensor:
    """Pictures of twice the network's size -> float16 (N, 6, 64, 48).

    The network's four planes, the mask in [0, 1], and 1 where the frame is photograph.
    """
    count, height, width = masks.shape
    halves = (height // 2, 2, width // 2, 2)
    valid = box_mask(torch.from_numpy(boxes), height // 2, width // 2).numpy()
    examples = np.empty((count, 6, height // 2, width // 2), np.float16)
    for index in range(count):
        small = pixels[index].reshape(*halves, 3).mean((1, 3)).round().astype(np.uint8)
        examples[index, :4] = planes_of(small, valid[index, 0] > 0.5)
        examples[index, 4] = masks[index].reshape(halves).mean((1, 3))
        examples[index, 5] = valid[index, 0]
    return torch.from_numpy(examples)


def chosen_rows(
    rows: Sequence[Mapping[str, Any]], count: int
) -> tuple[list[Mapping[str, Any]], np.ndarray]:
    """`count` rows drawn once for all runs, and their places."""
    places = np.random.default_rng(0).permutation(len(rows))[:count]
    return [rows[place] for place in places], places


def export(model: GarmentMaskNet, folder: Path) -> None:
    """Write `folder/mask` in bfloat16."""
    shipped_copy(model).save_pretrained(folder / "mask")
