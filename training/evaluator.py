"""Trains the evaluator: the judge of what the model draws.

Loss: InfoNCE both ways over the batch, the category and the main colour of
each photograph. Some pictures are seen through a blur or in another light, so
that the judge looks at garments and not at the camera.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from mmgen.evaluation.evaluator import Evaluator, buckets_of
from mmgen.text.normalize import normalize
from mmgen.text.vocabulary import colour_family
from training.captions import PromptComposer
from training.export import shipped_copy
from training.loop import LoopConfig
from training.towers import recalls, to_unit, vary


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatorConfig:
    """The judge and its losses."""

    loop: LoopConfig
    stem_widths: tuple[int, ...] = (32, 64, 128)
    width: int = 256
    num_layers: int = 2
    num_heads: int = 4
    num_buckets: int = 8192
    bucket_dim: int = 128
    projection_dim: int = 128
    dropout: float = 0.1
    image_height: int = 128
    image_width: int = 96
    attribute_weight: float = 0.5
    smoothing: float = 0.1
    """Label smoothing of category and colour, whose bounds are matters of taste."""


class TrainedEvaluator(nn.Module):
    """The evaluator with the temperature of its contrastive loss."""

    def __init__(self, evaluator: Evaluator) -> None:
        super().__init__()
        self.evaluator = evaluator
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, pixels: Tensor, buckets: Tensor) -> tuple[Tensor, ...]:
        """text and image vectors (B, E) of length 1, scale, category and colour logits."""
        sight, text = self.evaluator(pixels, buckets)
        return (
            F.normalize(text.float(), dim=1),
            F.normalize(sight.image_embeds.float(), dim=1),
            self.log_scale.exp().clamp(max=50),
            sight.category_logits.float(),
            sight.colour_logits.float(),
        )


class EvaluatorTask:
    """Task of `training.loop`: match words and pictures, name garment and colour."""

    def __init__(
        self,
        config: EvaluatorConfig,
        rows: Sequence[Mapping[str, Any]],
        pixels: np.ndarray,
        held_out: tuple[Sequence[Mapping[str, Any]], np.ndarray],
        evaluator: Evaluator | None = None,
    ) -> None:
        """`pixels` uint8 (N, h, w, 3) of the evaluator's size, and the same of validation."""
        self.config = config
        self.pixels, self.held_out = pixels, held_out
        self.num_rows = len(rows)
        self.composer = PromptComposer(rows)
        categories = sorted({row["category"] for row in rows})
        colours = sorted({row["colors"][0] for row in rows if row["colors"]})
        self.targets = torch.tensor(
            [
                (categories.index(row["category"]), _index(colours, row["colors"][:1]))
                for row in rows
            ]
        )
        evaluator = evaluator or Evaluator(
            categories=tuple(categories),
            colours=tuple(colours),
            stem_widths=config.stem_widths,
            width=config.width,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            num_buckets=config.num_buckets,
            bucket_dim=config.bucket_dim,
            projection_dim=config.projection_dim,
            image_height=config.image_height,
            image_width=config.image_width,
            dropout=config.dropout,
        )
        self.model = TrainedEvaluator(evaluator)
        self.model.to(memory_format=torch.channels_last)

    def loss(
        self, model: nn.Module, rows: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        rng = random.Random(generator.initial_seed())
        # Dropout draws from the global stream: a step may depend on nothing but its seed.
        torch.manual_seed(generator.initial_seed())
        prompts = [self.composer.compose(row, rng) for row in rows.tolist()]
        buckets = buckets_of(prompts, self.config.num_buckets).to(device)
        pixels = disturb(vary(to_unit(self.pixels, rows).to(device), generator), generator)
        text, image, scale, category, colour = model(pixels, buckets)
        logits = scale * text @ image.T
        wanted = torch.arange(len(rows), device=device)
        match = (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2
        targets, smoothing = self.targets[rows].to(device), self.config.smoothing
        attributes = F.cross_entropy(
            category, targets[:, 0], label_smoothing=smoothing
        ) + F.cross_entropy(colour, targets[:, 1], label_smoothing=smoothing, ignore_index=-1)
        hit = (logits.argmax(1) == wanted).float().mean()
        loss = match + self.config.attribute_weight * attributes
        return loss, {"match": match.item(), "hit": hit.item(), "attributes": attributes.item()}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Recall both ways on held-out pairs, and how often garment and colour are right."""
        assert isinstance(model, TrainedEvaluator)
        rows, pixels = self.held_out
        config, device = model.evaluator.config, model.log_scale.device
        texts, images, categories, families = [], [], [], []
        for start in range(0, len(rows), 100):
            part = range(start, min(start + 100, len(rows)))
            captions = [normalize(rows[i]["caption"]) for i in part]
            unit = to_unit(pixels, torch.tensor(part)).to(device)
            buckets = buckets_of(captions, config.num_buckets).to(device)
            text, image, _, category, colour = model(unit, buckets)
            texts.append(text)
            images.append(image)
            for i, kind, hue in zip(part, category.argmax(1), colour.argmax(1), strict=True):
                categories.append(config.categories[kind] == rows[i]["category"])
                if rows[i]["colors"]:
                    seen = colour_family(config.colours[hue])
                    families.append(seen == colour_family(rows[i]["colors"][0]))
        figures = recalls(torch.cat(texts) @ torch.cat(images).T)
        named = {"category": float(np.mean(categories)), "family": float(np.mean(families))}
        return {**figures, **named}


def _index(values: Sequence[str], first: Sequence[str]) -> int:
    """Where the first of `first` stands; -1, which the loss leaves out, where there is none."""
    return values.index(first[0]) if first else -1


def disturb(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """A third of the pictures at half their resolution, the others in a slightly other light."""
    count = len(pixels)
    is_blurred = torch.rand(count, generator=generator) < 0.33
    light = 1 + 0.1 * (torch.rand(count, 1, 1, 1, generator=generator) - 0.5)
    coarse = F.avg_pool2d(pixels[is_blurred], 2)
    pixels = pixels.add(1).mul_(light.to(pixels)).sub_(1)
    pixels[is_blurred] = F.interpolate(coarse, scale_factor=2)
    return pixels.clamp_(-1, 1)


@torch.no_grad()
def export(model: TrainedEvaluator, folder: Path, pixels: np.ndarray) -> None:
    """Write `folder/evaluator` in bfloat16, and what it sees in the training photographs.

    `training_pictures.safetensors`: vectors int8 (N, E), unit vectors times 127, in the
    order of the training rows: near-copies are found without the photographs.
    """
    shipped = shipped_copy(model.evaluator.eval())
    shipped.save_pretrained(folder / "evaluator")
    judge = model.evaluator
    device = model.log_scale.device
    vectors = []
    for start in range(0, len(pixels), 100):
        rows = torch.arange(start, min(start + 100, len(pixels)))
        seen = judge.see(to_unit(pixels, rows).to(device)).image_embeds
        vectors.append(F.normalize(seen.float(), dim=1).cpu())
    packed = torch.cat(vectors).mul(127).round().to(torch.int8)
    save_file({"vectors": packed}, folder / "evaluator" / "training_pictures.safetensors")
