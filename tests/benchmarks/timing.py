"""Seconds of CPU work, and the floor that matrix products set; shared by the benchmarks.

One thread and `time.process_time`: the seconds this process computed, not those
it waited while others had the core. So a busy machine distorts a ratio little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one run."""
    began = time.process_time()
    work()
    return time.process_time() - began


def best_in_turns(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Best CPU seconds of each, taken in turns after one run to warm up."""
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            taken[name].append(seconds(work))
    return {name: min(times) for name, times in taken.items()}


def operations(work: Callable[[], object]) -> int:
    """Multiplications and additions of all matrix products and convolutions of `work`."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def product(rows: int, width: int, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """The perceptron's first product of a model, 100 times, and its operations."""
    hidden = torch.randn(rows, width).to(dtype)
    weight = torch.randn(4 * width, width).to(dtype)

    def work() -> None:
        with torch.inference_mode():
            for _ in range(100):
                F.linear(hidden, weight)

    return work, 100 * 2 * rows * width * 4 * width


def packed_product(rows: int, width: int, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """The same as the model runs it: weights laid out once."""
    from mmgen.latents.packed_linear import Linear, weights_packed

    layer = Linear(width, 4 * width).to(dtype)
    hidden = torch.randn(rows, width).to(dtype)

    def work() -> None:
        with torch.inference_mode(), weights_packed():
            for _ in range(100):
                layer(hidden)

    return work, 100 * 2 * rows * width * 4 * width
