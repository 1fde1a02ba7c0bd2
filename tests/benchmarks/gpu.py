"""What needs a GPU to be measured; run it where one is, and keep its table with the GPU's name.

    python -m tests.benchmarks.gpu [--parts attention embedded placement] [--layers 30]

attention  operators over shapes of the catalogue in bfloat16: milliseconds, peak memory
           above the inputs, largest error over the largest value of a float64 answer
embedded   64 pictures in one batch: share of the best bfloat16 matrix rate measured here,
           and over the same weights in float32 through a plain loop
placement  a Z-Image denoiser of the real shape with random weights on each rung of
           mmgen/hub/memory.py: seconds a step, peak memory, and that over the plan's

Best of the repeats after one run to warm up, by CUDA events. Without a GPU it says so
and ends with 2.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections.abc import Callable
from typing import Any

import torch

from mmgen.devices import why_attention_fails
from mmgen.hub import families
from mmgen.hub.memory import RUNGS, Ladder, networks, release
from mmgen.hub.plan import Network, resident_bytes
from tests.benchmarks.generate import PROMPT, plain
from tests.benchmarks.timing import operations

REPEATS = 5
BACKENDS = ("xformers", "_native_flash", "_native_efficient", "_native_math", "native")
SHAPES = {
    # What attends over what in one step: tokens of the picture, and with them of the words.
    "embedded 192x256, batch 64": (64, 192, 192, 6, 64),
    "sdxl 896x1152, self": (2, 4032, 4032, 10, 64),
    "sdxl 896x1152, words": (2, 4032, 77, 10, 64),
    "cogview4 768x1024": (1, 3328, 3328, 32, 128),
    "z-image 768x1024": (1, 3328, 3328, 30, 128),
    "qwen-image 1104x1472": (1, 6604, 6604, 24, 128),
}
"""Name -> batch, queries, keys, heads, width of a head."""


def milliseconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Best of the repeats, on the device's own clock."""
    work()
    times = []
    for _ in range(repeats):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        work()
        ended.record()
        torch.cuda.synchronize()
        times.append(began.elapsed_time(ended))
    return min(times)


def peak_bytes(work: Callable[[], object]) -> int:
    """Most memory that tensors held during `work`."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def error_of(answer: torch.Tensor, query: Any, key: Any, value: Any) -> float:
    """Largest difference from float64 over the largest value, of up to 256 queries of one head."""
    query, key, value = (x[:1, :, :1].double().transpose(1, 2) for x in (query, key, value))
    right = torch.softmax(query[:, :, :256] @ key.mT / query.shape[-1] ** 0.5, -1) @ value
    got = answer[:1, :256, :1].double().transpose(1, 2)
    return float((got - right).abs().max() / right.abs().max())


def attention(device: str) -> None:
    """A line for each shape and operator."""
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    for name, (batch, queries, keys, heads, width) in SHAPES.items():
        torch.manual_seed(0)
        sizes = ((batch, length, heads, width) for length in (queries, keys, keys))
        given = [torch.randn(size, device=device, dtype=torch.bfloat16) for size in sizes]
        for backend in BACKENDS:
            if reason := why_attention_fails(backend, device):
                print(f"{name:28} {backend:18} cannot: {reason[:60]}")
                continue
            operator = AttentionBackendName(backend)
            attend = torch.inference_mode()(
                functools.partial(dispatch_attention_fn, *given, backend=operator)
            )
            try:
                error = error_of(attend(), *given)
                took = milliseconds(attend)
                held = torch.cuda.memory_allocated()
                peak = (peak_bytes(attend) - held) / 1e6
            except (RuntimeError, ValueError, NotImplementedError) as refused:
                print(f"{name:28} {backend:18} cannot: {str(refused).splitlines()[0][:60]}")
                continue
            print(f"{name:28} {backend:18} {took:8.3f} ms {peak:9.1f} MB  error {error:.1e}")


def best_rate(device: str, side: int = 8192) -> float:
    """Operations a second of a large product in bfloat16."""
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in "lr")
    return 2 * side**3 / (milliseconds(lambda: left @ right, 20) / 1e3)


def embedded(device: str, batch: int = 64, steps: int = 24) -> None:
    """One batch against the rate of matrix products, and against plain float32."""
    from mmgen import TextToImagePipeline

    options = {"num_images_per_prompt": batch, "seed": 1, "num_inference_steps": steps}

    def load(dtype: torch.dtype) -> TextToImagePipeline:
        pipe = TextToImagePipeline.from_pretrained(device=device, torch_dtype=dtype)
        pipe.generator.micro_batch = batch
        return pipe

    pipe = load(torch.bfloat16)
    took = milliseconds(lambda: pipe(PROMPT, **options)) / 1e3
    count = operations(lambda: pipe(PROMPT, **options))
    eager = load(torch.float32)
    slow = milliseconds(plain(eager.generator.pipeline, steps, batch)) / 1e3
    rate = best_rate(device)
    print(f"best bfloat16 rate {rate / 1e12:.1f} T/s; {count / 1e12:.2f} T in a batch of {batch}")
    print(f"batch {took:.3f} s, share of the best rate {count / took / rate:.3f}")
    print(f"plain float32 {slow:.3f} s, {slow / took:.2f} times the batch")


def z_image(layers: int, width: int) -> Any:
    """A Z-Image of real shape but for its small text encoder and autoencoder."""
    from diffusers import ZImageTransformer2DModel

    from tests.tiny_hub import build

    pipe = build("z-image")
    given = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        big = ZImageTransformer2DModel(
            in_channels=4,
            dim=width,
            n_layers=layers,
            n_heads=width // 128,
            n_kv_heads=width // 128,
            cap_feat_dim=32,
        )
    finally:
        torch.set_default_dtype(given)
    for token in (big.x_pad_token, big.cap_pad_token):
        torch.nn.init.normal_(token)
    pipe.register_modules(transformer=big)
    pipe.to(dtype=torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def weighed(pipe: Any) -> list[Network]:
    """The networks of a loaded pipeline as the plan sees them."""
    from mmgen.hub.plan import _network

    return [
        _network(name, {key: x.numel() * x.element_size() for key, x in net.state_dict().items()})
        for name, net in networks(pipe).items()
    ]


def placement(device: str, layers: int, width: int = 3840, steps: int = 4) -> None:
    """A line for each rung, fastest first."""
    row = families.MODELS["z-image-turbo"]
    pipe = z_image(layers, width)
    found = weighed(pipe)
    height, wide = row.size

    def draw() -> None:
        generator = torch.Generator().manual_seed(1)
        pipe(PROMPT, height=height, width=wide, num_inference_steps=steps, guidance_scale=1.0,
             generator=generator, output_type="latent")  # fmt: skip

    for rung in (dataclasses.replace(rung, tiled=False) for rung in RUNGS if rung.name != "tiled"):
        Ladder(torch.device(device), row.family.denoiser, [rung]).place(pipe)
        took = milliseconds(draw, 2) / 1e3 / steps
        peak, planned = peak_bytes(draw), resident_bytes(found, "transformer", rung, streams=True)
        print(
            f"{rung.name:10} {took:7.3f} s a step, peak {peak / 1e9:6.2f} GB,"
            f" planned weights {planned[0] / 1e9:6.2f} GB, {peak / planned[0]:.2f} of them"
        )
        release(pipe)
        torch.cuda.empty_cache()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = ("attention", "embedded", "placement")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--layers", type=int, default=30, help="blocks of the Z-Image denoiser")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device answers here: nothing is measured", file=sys.stderr)
        return 2
    device = "cuda"
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    torch.backends.cuda.matmul.allow_tf32 = False
    if "attention" in options.parts:
        attention(device)
    if "embedded" in options.parts:
        embedded(device)
    if "placement" in options.parts:
        placement(device, options.layers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
