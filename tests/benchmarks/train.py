"""One step of training the denoiser: over the floor, and against plain eager bfloat16.

    .venv/bin/python -m tests.benchmarks.train [--recipe v1] [--batch 32] [--repeats 5]

floor   operations of all matrix products of the step / best rate of the model's own largest
plain   the same model and loss, not compiled, with PyTorch's fused attention

Latents are noise: a step does not depend on what it learns. CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from mmgen.assets import asset_path
from mmgen.latents.transformer import Attention, AttentionProcessor
from mmgen.pixels.autoencoder import GarmentAutoencoder
from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.encoder import TextEncoder
from tests.benchmarks.timing import REPEATS, best_in_turns, operations, product
from training import recipes
from training.diffusion import DiffusionTask, Frozen, Photographs


def made_up(frozen: Frozen, count: int) -> Photographs:
    """`count` photographs of noise with real captions."""
    rng = np.random.default_rng(0)
    lines = asset_path("captions/metadata.jsonl").read_text(encoding="utf-8").splitlines()
    size, channels = frozen.image_encoder.config, frozen.image_encoder.config.widths[-1]
    places = size.grid_height * size.grid_width
    vectors = rng.normal(size=(count, size.projection_dim))

    def noise(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float16)

    return Photographs(
        rows=[json.loads(line) for line in lines[:count]],
        latents=noise(2, count, frozen.vae.config.latent_channels, 32, 24),
        boxes=np.tile(np.array([0, 0, 1, 1], np.float32), (count, 1)),
        grids=noise(count, places, channels),
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16),
        maps=noise(count, channels, 8, 6),
    )


def task_of(recipe: str) -> DiffusionTask:
    parts = asset_path("models/embedded")
    frozen = Frozen(
        vae=GarmentAutoencoder.from_pretrained(parts / "vae"),
        text_encoder=TextEncoder.from_pretrained(parts / "text_encoder"),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(parts / "tokenizer"),
        image_encoder=ImageEncoder.from_pretrained(parts / "image_encoder"),
    )
    photographs = made_up(frozen, 256)
    config = recipes.DIFFUSION[recipe]()
    return DiffusionTask(config, frozen, photographs, photographs, device=torch.device("cpu"))


def step(task: DiffusionTask, model: torch.nn.Module, batch: int) -> Callable[[], object]:
    """Forward, loss and backward in bfloat16 autocast, as the loop does them."""

    def work() -> None:
        generator = torch.Generator().manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = task.loss(model, torch.arange(batch), generator, torch.device("cpu"))
        loss.backward()
        model.zero_grad(set_to_none=True)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="v1", choices=recipes.DIFFUSION)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    ours, plain = task_of(options.recipe), task_of(options.recipe)
    for module in plain.model.modules():
        if isinstance(module, Attention):
            module.set_processor(AttentionProcessor())
    config = ours.model.transformer.config
    tokens = config.sample_height * config.sample_width // config.patch_size**2
    own, own_operations = product(options.batch * tokens, config.width, torch.bfloat16)
    compiled = torch.compile(ours.model, dynamic=False)
    # Products of attention are counted too, because here they are written out.
    counted = operations(step(ours, ours.model, options.batch))
    best = best_in_turns(
        {
            "product": own,
            "ours": step(ours, compiled, options.batch),
            "plain": step(plain, plain.model, options.batch),
        },
        options.repeats,
    )
    floor = counted * best["product"] / own_operations
    over, against = best["ours"] / floor, best["plain"] / best["ours"]
    rate = options.batch / best["ours"]
    print(f"recipe {options.recipe}, {options.batch} pictures of {tokens} tokens, 1 thread")
    print(f"operations            {counted / 1e9:8.0f} G")
    print(f"own largest product   {own_operations / best['product'] / 1e9:8.0f} GFLOP/s")
    print(f"floor                 {floor:8.2f} s")
    print(
        f"one step              {best['ours']:8.2f} s   {over:.2f} x floor, {rate:.0f} pictures/s"
    )
    print(f"plain eager bfloat16  {best['plain']:8.2f} s   {against:.2f} x ours")


if __name__ == "__main__":
    main()
