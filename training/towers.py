"""Trains the two towers: prompts and photographs into one space.

Loss: InfoNCE both ways over the batch (CLIP, arXiv 2103.00020), and the
category and main colour of each photograph read from its vector by two linear
heads that are thrown away: they teach the picture side what words will ask for.
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
from torch import Tensor, nn
from torch.nn import functional as F

from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.encoder import TextEncoder
from mmgen.text.normalize import normalize
from training.captions import PromptComposer
from training.export import shipped_copy
from training.loop import LoopConfig


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TowersConfig:
    """The two encoders and their losses."""

    loop: LoopConfig
    hidden_size: int = 256
    text_layers: int = 4
    widths: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (0, 1, 1, 2)
    image_height: int = 128
    """Pixels that the image tower sees."""
    image_width: int = 96
    unknown_rate: float = 0.03
    """Part of the characters hidden from the text encoder, so that [UNK] is learnt."""
    attribute_weight: float = 0.3


class Towers(nn.Module):
    """Both encoders, the temperature and the two heads as one trained module."""

    def __init__(
        self,
        text_encoder: TextEncoder,
        image_encoder: ImageEncoder,
        num_categories: int,
        num_colours: int,
    ) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.image_encoder = image_encoder
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        width = image_encoder.config.projection_dim
        self.category = nn.Linear(width, num_categories)
        self.colour = nn.Linear(width, num_colours)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, pixels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """text and image vectors (B, E) of length 1, scale, category and colour logits."""
        text = self.text_encoder(input_ids, attention_mask).text_embeds
        image = self.image_encoder(pixels).image_embeds
        return (
            F.normalize(text.float(), dim=1),
            F.normalize(image.float(), dim=1),
            self.log_scale.exp().clamp(max=100),
            self.category(image),
            self.colour(image),
        )


class TowersTask:
    """Task of `training.loop`: match prompts and photographs."""

    def __init__(
        self,
        config: TowersConfig,
        tokenizer: Any,
        rows: Sequence[Mapping[str, Any]],
        pixels: np.ndarray,
        held_out: tuple[Sequence[Mapping[str, Any]], np.ndarray],
        encoders: tuple[TextEncoder, ImageEncoder] | None = None,
    ) -> None:
        """`pixels` uint8 (N, h, w, 3) of the image tower's size, and the same of validation."""
        self.config = config
        self.tokenizer = tokenizer
        self.pixels, self.held_out = pixels, held_out
        self.num_rows = len(rows)
        self.composer = PromptComposer(rows)
        self.categories = _classes(row["category"] for row in rows)
        self.colours = _classes((row["colors"] or ["-"])[0] for row in rows)
        self.targets = torch.tensor(
            [
                (self.categories[row["category"]], self.colours[(row["colors"] or ["-"])[0]])
                for row in rows
            ]
        )
        text_encoder, image_encoder = encoders or self._new_encoders()
        self.model = Towers(text_encoder, image_encoder, len(self.categories), len(self.colours))
        self.model.to(memory_format=torch.channels_last)

    def _new_encoders(self) -> tuple[TextEncoder, ImageEncoder]:
        config = self.config
        text = TextEncoder(
            vocab_size=len(self.tokenizer),
            max_length=self.tokenizer.model_max_length,
            hidden_size=config.hidden_size,
            num_layers=config.text_layers,
            projection_dim=config.hidden_size,
        )
        image = ImageEncoder(
            widths=config.widths,
            blocks=config.blocks,
            projection_dim=config.hidden_size,
            image_height=self.pixels.shape[1],
            image_width=self.pixels.shape[2],
        )
        return text, image

    def _tokens(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        # Padding is masked, so the longest prompt of the batch sets the length.
        tokens = self.tokenizer(
            list(prompts),
            padding=True,
            pad_to_multiple_of=8,
            truncation=True,
            return_tensors="pt",
        )
        return tokens.input_ids, tokens.attention_mask

    def loss(
        self, model: nn.Module, rows: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        rng = random.Random(generator.initial_seed())
        prompts = [self.composer.compose(row, rng) for row in rows.tolist()]
        ids, mask = self._tokens(prompts)
        hidden = torch.rand(ids.shape, generator=generator) < self.config.unknown_rate
        ids[hidden & (ids > self.tokenizer.cls_token_id)] = self.tokenizer.unk_token_id
        pixels = vary(to_unit(self.pixels, rows).to(device), generator)
        text, image, scale, category, colour = model(ids.to(device), mask.to(device), pixels)
        logits = scale * text @ image.T
        wanted = torch.arange(len(rows), device=device)
        match = (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2
        targets = self.targets[rows].to(device)
        attributes = F.cross_entropy(category.float(), targets[:, 0]) + F.cross_entropy(
            colour.float(), targets[:, 1]
        )
        hit = (logits.argmax(1) == wanted).float().mean()
        loss = match + self.config.attribute_weight * attributes
        return loss, {"match": match.item(), "hit": hit.item(), "scale": scale.item()}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Recall at 1, 5, 10 of each held-out caption among all held-out pictures."""
        assert isinstance(model, Towers)
        rows, pixels = self.held_out
        device = model.log_scale.device
        texts, images = [], []
        for start in range(0, len(rows), 100):
            part = range(start, min(start + 100, len(rows)))
            ids, mask = self._tokens([normalize(rows[i]["caption"]) for i in part])
            unit = to_unit(pixels, torch.tensor(part)).to(device)
            text, image, *_ = model(ids.to(device), mask.to(device), unit)
            texts.append(text)
            images.append(image)
        scores = torch.cat(texts) @ torch.cat(images).T
        return recalls(scores)


def _classes(values: Any) -> dict[str, int]:
    return {value: index for index, value in enumerate(sorted(set(values)))}


def recalls(scores: Tensor) -> dict[str, float]:
    """scores (N, N), right pair on the diagonal -> recall at 1, 5, 10, both ways."""
    right = scores.diag()
    text_rank = (scores > right[:, None]).sum(1)
    image_rank = (scores > right[None, :]).sum(0)
    figures = {}
    for name, rank in (("t2i", text_rank), ("i2t", image_rank)):
        for k in (1, 5, 10):
            figures[f"{name}_r{k}"] = (rank < k).float().mean().item()
    return figures


def to_unit(pixels: np.ndarray, rows: Tensor) -> Tensor:
    """uint8 (N, h, w, 3) -> float32 (B, 3, h, w) in [-1, 1] of `rows`."""
    chosen = torch.from_numpy(pixels[rows.numpy()])
    return chosen.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def vary(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture mirrored, turned, scaled and shifted a little: what keeps its caption true."""
    count = len(pixels)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle = uniform(-0.15, 0.15)
    scale = uniform(0.85, 1.1)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    ratio = pixels.shape[2] / pixels.shape[3]
    cos, sin = angle.cos() * scale, angle.sin() * scale
    first = torch.stack([mirror * cos, -sin * ratio, uniform(-0.1, 0.1)], 1)
    second = torch.stack([mirror * sin / ratio, cos, uniform(-0.1, 0.1)], 1)
    theta = torch.stack([first, second], 1).to(pixels.device)
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return moved.contiguous(memory_format=torch.channels_last)


def export(model: Towers, tokenizer: Any, folder: Path) -> None:
    """Write `folder/{tokenizer,text_encoder,image_encoder}` in bfloat16."""
    tokenizer.save_pretrained(folder / "tokenizer")
    for name in ("text_encoder", "image_encoder"):
        shipped_copy(getattr(model, name)).save_pretrained(folder / name)
