"""Trains the denoiser: text, references and noise -> latents of photographs.

Flow matching (arXiv 2210.02747) with logit-normal times (arXiv 2403.03206):
x_t = (1 - t) x + t noise, the model predicts noise - x. Padding is left out of
the loss. An inner block is asked to agree with what the frozen image tower sees
in the clean picture (REPA, arXiv 2410.06940). Prompts and references are dropped
at random, so that one set of weights draws from text, from text and pictures,
from pictures alone, and unconditionally for guidance.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from mmgen.latents.pipeline import GarmentPipeline
from mmgen.latents.transformer import GarmentTransformer2DModel
from mmgen.pixels.autoencoder import GarmentAutoencoder
from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.encoder import TextEncoder
from mmgen.text.normalize import normalize
from training.autoencoder import box_mask
from training.captions import PromptComposer
from training.export import shipped_copy
from training.loop import LoopConfig
from training.plain_attention import use_plain_attention

SHEET_PROMPTS = (
    "红色短袖T恤",
    "一件黑色连衣裙",
    "蓝色牛仔裤",
    "白色衬衫,木地板背景",
    "黄色T恤",
    "绿色毛衣",
    "粉色碎花连衣裙",
    "黑色运动鞋",
    "蓝白格子长袖衬衫,挂在白墙前",
    "灰色连帽卫衣",
    "军绿色夹克",
    "一顶棒球帽",
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DiffusionConfig:
    """The denoiser and how it is conditioned in training."""

    loop: LoopConfig
    patch_size: int = 2
    width: int = 384
    num_layers: int = 12
    num_heads: int = 6
    prompt_drop: float = 0.1
    reference_drop: float = 0.5
    box_drop: float = 0.1
    neighbours: int = 16
    """References are drawn from this many nearest other photographs."""
    time_mean: float = 0.0
    """Of the logit of the times; above 0 there is more noise more often."""
    align_weight: float = 0.0
    """Of the agreement of block `align_block` with the image tower's features."""
    align_block: int = 4
    shift: float = 3.0
    """Of the sampling schedule: more steps where there is more noise."""
    sheet_steps: int = 24


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """The parts that are trained before, and stay as they are."""

    vae: GarmentAutoencoder
    text_encoder: TextEncoder
    tokenizer: Any
    image_encoder: ImageEncoder


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Photographs:
    """One split as the frozen parts see it."""

    rows: Sequence[Mapping[str, Any]]
    latents: np.ndarray
    """float16 (2, N, C, h, w), normalised; plain and mirrored."""
    boxes: np.ndarray
    """float32 (N, 4)."""
    grids: np.ndarray
    """float16 (N, T, C)."""
    vectors: np.ndarray
    """float16 (N, E), length 1."""
    maps: np.ndarray
    """float16 (N, C, h, w), the image tower's features in place."""


class AlignedDenoiser(nn.Module):
    """The denoiser and the perceptron that reads one of its blocks; only the first is shipped."""

    def __init__(self, transformer: GarmentTransformer2DModel, block: int, channels: int) -> None:
        super().__init__()
        self.transformer = transformer
        width = transformer.config.width
        self.projector = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, channels)
        )
        self._hidden: Tensor | None = None
        transformer.blocks[min(block, len(transformer.blocks) - 1)].register_forward_hook(
            self._keep
        )

    def _keep(self, block: nn.Module, inputs: Any, hidden: Tensor) -> None:
        self._hidden = hidden

    def forward(self, *inputs: Tensor, **conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity as `GarmentTransformer2DModel` gives it, and features (B, N, channels)."""
        velocity = self.transformer(*inputs, **conditions, return_dict=False)[0]
        assert self._hidden is not None
        features = self.projector(self._hidden)
        self._hidden = None
        return velocity, features


class DiffusionTask:
    """Task of `training.loop`: predict the velocity."""

    def __init__(
        self,
        config: DiffusionConfig,
        frozen: Frozen,
        train: Photographs,
        held_out: Photographs,
        model: GarmentTransformer2DModel | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.config, self.frozen = config, frozen
        self.photographs, self.held_out = train, held_out
        self.num_rows = len(train.rows)
        self.composer = PromptComposer(train.rows)
        transformer = model or self._new_model()
        self.model = AlignedDenoiser(transformer, config.align_block, train.maps.shape[1])
        self.neighbours = nearest(train.vectors, config.neighbours)
        self.boxes = torch.from_numpy(train.boxes)
        for part in (frozen.vae, frozen.text_encoder, frozen.image_encoder):
            part.eval().requires_grad_(False)
        frozen.text_encoder.to(device)
        if device is None or device.type == "cpu":
            use_plain_attention(transformer)

    def _new_model(self) -> GarmentTransformer2DModel:
        config, frozen = self.config, self.frozen
        channels, height, width = self.photographs.latents.shape[2:]
        return GarmentTransformer2DModel(
            in_channels=channels,
            sample_height=height,
            sample_width=width,
            patch_size=config.patch_size,
            width=config.width,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            text_dim=frozen.text_encoder.config.hidden_size,
            pooled_dim=frozen.text_encoder.config.projection_dim,
            reference_dim=self.photographs.grids.shape[2],
            reference_tokens=self.photographs.grids.shape[1],
        )

    def _condition(
        self, prompts: list[str], references: Tensor, weights: Tensor, device: torch.device
    ) -> dict[str, Tensor]:
        tokens = self.frozen.tokenizer(
            prompts, padding="max_length", truncation=True, return_tensors="pt"
        ).to(device)
        with torch.no_grad():
            encoded = self.frozen.text_encoder(tokens.input_ids, tokens.attention_mask)
        return {
            "encoder_hidden_states": encoded.last_hidden_state,
            "encoder_attention_mask": tokens.attention_mask,
            "pooled_projections": encoded.text_embeds,
            "reference_hidden_states": references.to(device),
            "reference_weights": weights.to(device),
        }

    def _references(self, rows: list[int], rng: random.Random) -> tuple[Tensor, Tensor]:
        """features (B, R, T, C) and weights (B, R) of 0 to R neighbours of each row."""
        slots = self.model.transformer.config.max_references
        tokens, channels = self.photographs.grids.shape[1:]
        features = torch.zeros(len(rows), slots, tokens, channels)
        weights = torch.zeros(len(rows), slots)
        for index, row in enumerate(rows):
            if rng.random() < self.config.reference_drop:
                continue
            chosen = rng.sample(self.neighbours[row].tolist(), rng.randint(1, slots))
            features[index, : len(chosen)] = torch.from_numpy(
                self.photographs.grids[chosen].astype(np.float32)
            )
            weights[index, : len(chosen)] = 1.0
        return features, weights

    def loss(
        self, model: nn.Module, rows: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        rng = random.Random(generator.initial_seed())
        listed = rows.tolist()
        prompts = [
            "" if rng.random() < self.config.prompt_drop else self.composer.compose(row, rng)
            for row in listed
        ]
        features, weights = self._references(listed, rng)
        mirror = (torch.rand(len(rows), generator=generator) < 0.5).long().numpy()
        clean = torch.from_numpy(self.photographs.latents[mirror, rows.numpy()]).float()
        boxes = self.boxes[rows].clone()
        # A mirrored picture's padding lies on the other side.
        flipped = boxes[:, [0, 3, 2, 1]] * torch.tensor([1.0, -1.0, 1.0, -1.0])
        flipped = flipped + torch.tensor([0.0, 1.0, 0.0, 1.0])
        boxes = torch.where(torch.from_numpy(mirror)[:, None] == 1, flipped, boxes)
        mask = box_mask(boxes, *clean.shape[2:]).to(device)
        boxes[torch.rand(len(rows), generator=generator) < self.config.box_drop] = 0.0

        logits = torch.randn(len(rows), generator=generator) + self.config.time_mean
        time = torch.sigmoid(logits)
        noise = torch.randn(clean.shape, generator=generator)
        blend = time[:, None, None, None]
        noisy = torch.lerp(clean, noise, blend)
        predicted, inner = model(
            noisy.to(device),
            (1000 * time).to(device),
            **self._condition(prompts, features, weights, device),
            valid_box=boxes.to(device),
        )
        error = (predicted.float() - (noise - clean).to(device)).square() * mask
        velocity = error.sum() / (mask.sum() * clean.shape[1])
        away = 1 - self._agreement(inner, rows, mirror, mask)
        figures = {"velocity": velocity.item(), "agreement": 1 - away.item()}
        return velocity + self.config.align_weight * away, figures

    def _agreement(self, inner: Tensor, rows: Tensor, mirror: np.ndarray, mask: Tensor) -> Tensor:
        """Mean cosine of inner features and the image tower's, where there is picture."""
        seen = torch.from_numpy(self.photographs.maps[rows.numpy()]).to(inner.device).float()
        is_mirrored = torch.from_numpy(mirror).to(inner.device)[:, None, None, None] == 1
        # The tower was trained on mirrored pictures too: its mirrored map will do.
        seen = torch.where(is_mirrored, seen.flip(3), seen)
        patch = self.model.transformer.config.patch_size
        height, width = mask.shape[2] // patch, mask.shape[3] // patch
        grid = inner.float().transpose(1, 2).unflatten(2, (height, width))
        grid = F.adaptive_avg_pool2d(grid, seen.shape[2:])
        inside = F.adaptive_avg_pool2d(mask, seen.shape[2:])[:, 0]
        alike = F.cosine_similarity(grid, seen, dim=1)
        return (alike * inside).sum() / inside.sum()

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Velocity error on held-out photographs at eight fixed times and fixed noise."""
        assert isinstance(model, AlignedDenoiser)
        transformer = model.transformer
        count = min(96, len(self.held_out.rows))
        generator = torch.Generator().manual_seed(0)
        device = next(model.parameters()).device
        clean = torch.from_numpy(self.held_out.latents[0, :count].astype(np.float32))
        noise = torch.randn(clean.shape, generator=generator)
        time = (torch.arange(count) % 8 + 0.5) / 8
        slots, shape = transformer.config.max_references, self.held_out.grids.shape[1:]
        boxes = torch.from_numpy(self.held_out.boxes[:count])
        prompts = [normalize(row["caption"]) for row in self.held_out.rows[:count]]
        predicted = transformer(
            torch.lerp(clean, noise, time[:, None, None, None]).to(device),
            (1000 * time).to(device),
            **self._condition(
                prompts, torch.zeros(count, slots, *shape), torch.zeros(count, slots), device
            ),
            valid_box=boxes.to(device),
            return_dict=False,
        )[0]
        mask = box_mask(boxes, *clean.shape[2:])
        error = (predicted.float().cpu() - (noise - clean)).square() * mask
        return {"held_out_loss": (error.sum() / (mask.sum() * clean.shape[1])).item()}

    def pipeline(self, model: GarmentTransformer2DModel) -> GarmentPipeline:
        """The whole generator around `model`."""
        frozen = self.frozen
        return GarmentPipeline(
            vae=frozen.vae,
            text_encoder=frozen.text_encoder,
            tokenizer=frozen.tokenizer,
            image_encoder=frozen.image_encoder,
            transformer=model,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=self.config.shift),
        )

    def sample(self, model: nn.Module) -> Image.Image:
        """Twelve fixed prompts, two fixed seeds each, as a 6 x 4 sheet."""
        assert isinstance(model, AlignedDenoiser)
        pipe = self.pipeline(model.transformer)
        pipe.set_progress_bar_config(disable=True)
        device = next(model.parameters()).device
        for part in (self.frozen.vae, self.frozen.image_encoder):
            part.to(device)
        prompts = [normalize(prompt) for prompt in SHEET_PROMPTS]
        rows = []
        for seed in (1, 2):
            generators = [torch.Generator().manual_seed(seed) for _ in prompts]
            made = pipe(
                prompts,
                generator=generators,
                num_inference_steps=self.config.sheet_steps,
                output_type="np",
            ).images
            rows += [np.concatenate(list(made[:6]), 1), np.concatenate(list(made[6:]), 1)]
        return Image.fromarray(np.concatenate(rows, 0))


def nearest(vectors: np.ndarray, count: int) -> np.ndarray:
    """int64 (N, count): rows of the most similar other vectors, most similar first."""
    values = torch.from_numpy(np.array(vectors, dtype=np.float32))
    found = []
    for start in range(0, len(values), 512):
        part = values[start : start + 512] @ values.T
        part[torch.arange(len(part)), start + torch.arange(len(part))] = -2.0
        found.append(part.topk(min(count, len(values) - 1), dim=1).indices)
    return torch.cat(found).numpy()


def export(task: DiffusionTask, model: GarmentTransformer2DModel, folder: Path) -> None:
    """Write the whole pipeline folder in bfloat16."""
    frozen = task.frozen
    GarmentPipeline(
        vae=shipped_copy(frozen.vae),
        text_encoder=shipped_copy(frozen.text_encoder),
        tokenizer=frozen.tokenizer,
        image_encoder=shipped_copy(frozen.image_encoder),
        transformer=shipped_copy(model),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=task.config.shift),
    ).save_pretrained(folder)
