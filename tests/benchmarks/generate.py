"""One picture on a CPU: over the floor, and against plain eager float32 code.

    .venv/bin/python -m tests.benchmarks.generate [--model FOLDER] [--steps 24] [--repeats 5]

floor     operations of all matrix products / best rate of the model's own largest product
plain     the same weights in float32 through a plain loop, text and references read each step
AVX2      a second process with ONEDNN_MAX_CPU_ISA=AVX2; both dtypes there

CPU seconds of one thread, all in turns, best of the repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mmgen import TextToImagePipeline
from tests.benchmarks.timing import REPEATS, best_in_turns, operations, packed_product

PROMPT = "蓝白格子长袖衬衫,挂在白墙前"


def plain(pipeline: Any, steps: int, batch: int = 1) -> Callable[[], object]:
    """Guided denoising as one writes it first: nothing kept from step to step."""

    @torch.inference_mode()
    def draw() -> np.ndarray:
        none: list[list[Any]] = [[]] * batch
        condition = pipeline._condition([PROMPT] * batch, [""] * batch, none, none)
        generator = torch.Generator().manual_seed(1)
        latents = pipeline.prepare_latents(batch, *pipeline.default_size, generator, None)
        sigmas = np.linspace(1.0, 1.0 / steps, steps).tolist()
        pipeline.scheduler.set_timesteps(sigmas=sigmas)
        for timestep in pipeline.scheduler.timesteps:
            made = pipeline.transformer(
                torch.cat([latents, latents]),
                timestep.expand(2 * batch),
                **condition,
                return_dict=False,
            )[0]
            unconditional, conditional = made.float().chunk(2)
            velocity = torch.lerp(unconditional, conditional, 4.0)
            latents = pipeline.scheduler.step(velocity, timestep, latents, return_dict=False)[0]
        return pipeline.finish(latents, "np")

    return draw


def load(model: str, dtype: torch.dtype | None = None) -> TextToImagePipeline:
    return TextToImagePipeline.from_pretrained(model, device="cpu", torch_dtype=dtype)


def of_dtypes(model: str, steps: int, repeats: int) -> dict[str, float]:
    """Best seconds of the default dtype, and of both."""
    pipes = {
        "default": load(model),
        "float32": load(model, torch.float32),
        "bfloat16": load(model, torch.bfloat16),
    }

    def draw(pipe: TextToImagePipeline) -> Callable[[], object]:
        return lambda: pipe(PROMPT, seed=1, num_inference_steps=steps)

    return best_in_turns({name: draw(pipe) for name, pipe in pipes.items()}, repeats)


def without_amx(options: argparse.Namespace) -> dict[str, float]:
    environ = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.benchmarks.generate", "--dtypes"]
    command += ["--model", options.model, "--steps", str(options.steps)]
    command += ["--repeats", str(min(2, options.repeats))]
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    best: dict[str, float] = json.loads(done.stdout)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--dtypes", action="store_true", help="only both dtypes, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.dtypes:
        print(json.dumps(of_dtypes(options.model, options.steps, options.repeats)))
        return
    pipe = load(options.model)
    transformer = pipe.generator.pipeline.transformer
    config = transformer.config
    tokens = config.sample_height * config.sample_width // config.patch_size**2
    product, own = packed_product(2 * tokens, config.width, transformer.dtype)
    reference = plain(load(options.model, torch.float32).generator.pipeline, options.steps)

    def draw() -> None:
        pipe(PROMPT, seed=1, num_inference_steps=options.steps)

    best = best_in_turns({"product": product, "ours": draw, "plain": reference}, options.repeats)
    counted = operations(_counted(options))
    floor = counted * best["product"] / own
    over, against = best["ours"] / floor, best["plain"] / best["ours"]
    print(f"1 thread, {transformer.dtype}, {options.steps} steps")
    print(f"operations                    {counted / 1e9:8.1f} G")
    print(f"own largest product           {own / best['product'] / 1e9:8.0f} GFLOP/s")
    print(f"floor                         {floor:8.2f} s")
    print(f"one picture                   {best['ours']:8.2f} s   {over:.2f} x floor")
    print(
        f"the same weights, plain fp32  {best['plain']:8.2f} s   {against:.2f} x ours", flush=True
    )
    slow = without_amx(options)
    share = min(slow["float32"], slow["bfloat16"]) / slow["default"]
    print(f"AVX2: one picture             {slow['default']:8.2f} s   {share:.2f} of the faster")
    print(f"AVX2: float32, bfloat16       {slow['float32']:8.2f} s, {slow['bfloat16']:.2f} s")


def _counted(options: argparse.Namespace) -> Callable[[], object]:
    """The picture in float32, whose products the counter knows; as many as in any dtype."""
    pipe = load(options.model, torch.float32)
    return lambda: pipe(PROMPT, seed=1, num_inference_steps=options.steps)


if __name__ == "__main__":
    main()
