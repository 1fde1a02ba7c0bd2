"""Trains the two towers: prompts and photographs into one space.

Loss: InfoNCE both ways over the batch (CLIP, arXiv 2103.00020) and over the
vectors of the last few batches (cross-batch memory, arXiv 1912.06798, in the
place of the momentum queue that BriVL has), and the attributes of each
photograph read from its vector by linear heads that are thrown away: they
teach the picture side what words will ask for. A prompt that names colour and
garment only is true of many photographs: all of them are right answers to it.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmgen.devices import choose_device
from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.encoder import TextEncoder
from mmgen.text.normalize import normalize
from training.captions import CAPTION_SHARE, PromptComposer
from training.export import shipped_copy
from training.loop import LoopConfig
from training.plain_attention import use_plain_attention

PARTS = 4
"""Prompts of a batch, sorted by length, are read in this many parts."""


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
    """Of category and main colour; the other attributes weigh a third of it."""
    caption_share: float = CAPTION_SHARE
    """Part of the other prompts that are captions."""
    short_share: float = 0.0
    """Part of the prompts that name colour and garment only."""
    memory: int = 0
    """Pairs of earlier batches that serve as further wrong answers."""
    light: float = 0.0
    """Largest change of brightness, contrast and white balance, as a part of 1."""


ATTRIBUTES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "category": lambda row: row.get("category") or "-",
    "colour": lambda row: (row.get("colors") or ["-"])[0],
    "pattern": lambda row: (row.get("patterns") or ["-"])[0],
    "sleeve": lambda row: row.get("sleeve") or "-",
    "neckline": lambda row: row.get("neckline") or "-",
    "length": lambda row: row.get("length") or "-",
    "fabric": lambda row: row.get("fabric") or "-",
}
"""Head -> its class for a row; "-" where there is nothing to see."""

Tokens = tuple[Tensor, Tensor]
"""input_ids and attention_mask, int64 (B, L)."""


class Towers(nn.Module):
    """Both encoders, the temperature, the heads and the memory as one trained module."""

    memory_text: Tensor
    memory_image: Tensor
    memory_rows: Tensor
    memory_next: Tensor

    def __init__(
        self,
        text_encoder: TextEncoder,
        image_encoder: ImageEncoder,
        classes: Mapping[str, int],
        memory: int = 0,
    ) -> None:
        """`classes`: head -> number of its classes. `memory`: pairs remembered."""
        super().__init__()
        self.text_encoder = text_encoder
        self.image_encoder = image_encoder
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        width = image_encoder.config.projection_dim
        self.heads = nn.ModuleDict({name: nn.Linear(width, n) for name, n in classes.items()})
        self.register_buffer("memory_text", torch.zeros(memory, width))
        self.register_buffer("memory_image", torch.zeros(memory, width))
        # -1: nothing remembered here yet.
        self.register_buffer("memory_rows", torch.full((memory,), -1))
        self.register_buffer("memory_next", torch.zeros((), dtype=torch.long))

    def forward(
        self, parts: Sequence[Tokens], pixels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """text and image vectors (B, E) of length 1, scale, and logits of each head.

        `parts`: prompts of like length together, so that little padding is read.
        """
        text = torch.cat([self.text_encoder(ids, mask).text_embeds for ids, mask in parts])
        image = self.image_encoder(pixels).image_embeds
        return (
            F.normalize(text.float(), dim=1),
            F.normalize(image.float(), dim=1),
            self.log_scale.exp().clamp(max=100),
            {name: head(image).float() for name, head in self.heads.items()},
        )

    @torch.no_grad()
    def remember(self, text: Tensor, image: Tensor, rows: Tensor) -> None:
        """Keep a batch, in the place of the oldest."""
        size = len(self.memory_rows)
        if not size:
            return
        places = (self.memory_next + torch.arange(len(rows), device=rows.device)) % size
        self.memory_text[places] = text.detach()
        self.memory_image[places] = image.detach()
        self.memory_rows[places] = rows
        self.memory_next += len(rows)


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
        self.composer = PromptComposer(rows, caption_share=config.caption_share)
        self.targets, classes = _targets(rows)
        text_encoder, image_encoder = encoders or self._new_encoders()
        self.model = Towers(text_encoder, image_encoder, classes, config.memory)
        self.model.to(memory_format=torch.channels_last)
        if choose_device("auto").type == "cpu":
            use_plain_attention(text_encoder)

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

    def _prompts(self, rows: Sequence[int], rng: random.Random) -> tuple[list[str], list[bool]]:
        """A prompt for each row, and whether it names colour and garment only."""
        prompts, is_short = [], []
        for row in rows:
            short = None
            if rng.random() < self.config.short_share:
                short = self.composer.garment_and_colour(row, rng)
            prompts.append(short or self.composer.compose(row, rng))
            is_short.append(short is not None)
        return prompts, is_short

    def _hide(self, tokens: Tokens, generator: torch.Generator) -> Tokens:
        """Some characters as [UNK]."""
        ids, mask = tokens
        hidden = torch.rand(ids.shape, generator=generator) < self.config.unknown_rate
        ids[hidden & (ids > self.tokenizer.cls_token_id)] = self.tokenizer.unk_token_id
        return ids, mask

    def loss(
        self, model: nn.Module, rows: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        rng = random.Random(generator.initial_seed())
        prompts, is_short = self._prompts(rows.tolist(), rng)
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        rows = rows[order]
        prompts = [prompts[index] for index in order]
        short = torch.tensor([is_short[index] for index in order], device=device)
        parts = []
        for part in torch.arange(len(prompts)).chunk(PARTS):
            ids, mask = self._hide(self._tokens([prompts[i] for i in part.tolist()]), generator)
            parts.append((ids.to(device), mask.to(device)))
        pixels = vary(to_unit(self.pixels, rows).to(device), generator, self.config.light)
        text, image, scale, seen = model(parts, pixels)
        targets = self.targets[rows].to(device)
        match, hit = self._match(text, image, scale, rows.to(device), targets, short)
        self.model.remember(text, image, rows.to(device))
        loss = match + self.config.attribute_weight * attribute_loss(seen, targets)
        return loss, {"match": match.item(), "hit": hit.item(), "scale": scale.item()}

    def _match(
        self,
        text: Tensor,
        image: Tensor,
        scale: Tensor,
        rows: Tensor,
        targets: Tensor,
        short: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """InfoNCE both ways over batch and memory, and the share of right first answers."""
        memory = self.model
        known = torch.cat([rows, memory.memory_rows])
        own = torch.arange(len(rows), device=rows.device)
        to_image = scale * text @ torch.cat([image, memory.memory_image.clone()]).T
        to_text = scale * image @ torch.cat([text, memory.memory_text.clone()]).T
        # A remembered vector of the same photograph, or an empty place, is no wrong answer.
        is_none = (known[None] < 0) | (known[None] == rows[:, None])
        is_none[own, own] = False
        all_targets = torch.cat([targets, self.targets.to(rows.device)[memory.memory_rows]])
        alike = (targets[:, None, :2] == all_targets[None, :, :2]).all(2) & ~is_none
        right = torch.zeros_like(to_image)
        right[own, own] = 1.0
        right = torch.where(short[:, None], alike.float(), right)
        right = right / right.sum(1, keepdim=True)
        to_image = to_image.masked_fill(is_none, -1e4)
        # A short prompt of a like photograph is true of this one too: not held against it.
        said = torch.cat([short, torch.zeros_like(memory.memory_rows, dtype=torch.bool)])
        excused = is_none | (alike & said[None])
        excused[own, own] = False
        to_text = to_text.masked_fill(excused, -1e4)
        hit = (to_image[:, : len(rows)].argmax(1) == own).float().mean()
        there = -(right * to_image.log_softmax(1)).sum(1).mean()
        return (there + F.cross_entropy(to_text, own)) / 2, hit

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
            text, image, *_ = model([(ids.to(device), mask.to(device))], unit)
            texts.append(text)
            images.append(image)
        scores = torch.cat(texts) @ torch.cat(images).T
        return recalls(scores)


def _targets(rows: Sequence[Mapping[str, Any]]) -> tuple[Tensor, dict[str, int]]:
    """int64 (N, heads) in the order of `ATTRIBUTES`, and the number of classes of each head."""
    columns, classes = [], {}
    for name, value_of in ATTRIBUTES.items():
        values = [value_of(row) for row in rows]
        places = {value: index for index, value in enumerate(sorted(set(values)))}
        classes[name] = len(places)
        columns.append([places[value] for value in values])
    return torch.tensor(columns).T.contiguous(), classes


def attribute_loss(seen: Mapping[str, Tensor], targets: Tensor) -> Tensor:
    """Cross-entropy of all heads; category and main colour count three times the others."""
    losses = {
        name: F.cross_entropy(logits, targets[:, index])
        for index, (name, logits) in enumerate(seen.items())
    }
    return torch.stack(
        [loss * (1.0 if name in ("category", "colour") else 1 / 3) for name, loss in losses.items()]
    ).sum()


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


def vary(pixels: Tensor, generator: torch.Generator, light: float = 0.0) -> Tensor:
    """Each picture mirrored, turned, scaled and shifted a little: what keeps its caption true.

    `light`: largest change of contrast and brightness; of the colour channels a third of it.
    """
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
    if light:
        contrast = uniform(1 - light, 1 + light)[:, None]
        balance = (torch.rand(count, 3, generator=generator) * 2 - 1) * (light / 3)
        gain = (contrast * (1 + balance))[:, :, None, None].to(pixels.device)
        shift = uniform(-light, light)[:, None, None, None].to(pixels.device)
        moved = (moved * gain + shift).clamp(-1, 1)
    return moved.contiguous(memory_format=torch.channels_last)


def export(model: Towers, tokenizer: Any, folder: Path) -> None:
    """Write `folder/{tokenizer,text_encoder,image_encoder}` in bfloat16."""
    tokenizer.save_pretrained(folder / "tokenizer")
    for name in ("text_encoder", "image_encoder"):
        shipped_copy(getattr(model, name)).save_pretrained(folder / name)
