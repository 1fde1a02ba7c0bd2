"""Seeds, and the one source of randomness of each picture.

n pictures are n requests with seeds s, s + 1, ...; each owns a generator on the
CPU, so its starting noise depends neither on its neighbours nor on the device.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from mmgen import limits
from mmgen.errors import OutOfRange
from mmgen.values import check_whole

if TYPE_CHECKING:
    import torch

_RANDOM_STARTS = 2**31
"""Drawn seeds stay short enough to read aloud and to type again."""


def seeds_for(seed: int | None, count: int) -> list[int]:
    """`count` consecutive seeds from `seed`, or from a start drawn at random.

    Raises `OutOfRange` when the last one would pass 2**63 - 1.
    """
    low, high = limits.SEED
    if seed is None:
        seed = secrets.randbelow(_RANDOM_STARTS)
    check_whole("seed", seed, low, high)
    if seed + count - 1 > high:
        raise OutOfRange(name="seed", got=seed, low=low, high=high - count + 1)
    return list(range(seed, seed + count))


def generator_for(seed: int) -> torch.Generator:
    """A fresh CPU generator at the start of the stream of `seed`."""
    import torch

    return torch.Generator(device="cpu").manual_seed(seed)
