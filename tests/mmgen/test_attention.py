"""Attention against float64, and what reaches xformers' operator, which has no CPU version.

The stand-in takes xformers' place behind diffusers' dispatcher: it refuses what the
real operator refuses or silently misreads, and computes the rest in float64.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers.models import attention_dispatch
from diffusers.models.attention_dispatch import dispatch_attention_fn

from mmgen.devices import attention_choices
from mmgen.hub import families
from mmgen.hub.generator import HubGenerator
from mmgen.hub.memory import RESIDENT, Ladder
from mmgen.values import ImageRequest
from pipelines.hub_models import set_attention
from tests.tiny_hub import build

LENGTHS = (1, 7, 8, 33, 64)
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 1e-2}


def exact(query, key, value, mask=None):
    """Attention over (B, L, H, D) in float64."""
    query, key, value = (one.double().transpose(1, 2) for one in (query, key, value))
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores + mask.double()
    return (scores.softmax(-1) @ value).transpose(1, 2)


def sample(length, keys, dtype):
    source = torch.Generator().manual_seed(length * 100 + keys)
    shapes = ((2, length, 2, 32), (2, keys, 2, 32), (2, keys, 2, 32))
    return [(torch.randn(shape, generator=source) * 0.5).to(dtype) for shape in shapes]


def additive(keys, dtype):
    """A mask of the query's dtype that hides the last third of the keys of the second picture."""
    mask = torch.zeros(2, 1, 1, keys, dtype=dtype)
    mask[1, ..., max(1, keys - keys // 3) :] = torch.finfo(dtype).min
    return mask


class StandIn:
    """Takes the place of `xformers.ops`."""

    def __init__(self):
        self.masks = []

    def memory_efficient_attention(self, query, key, value, bias=None, p=0.0, scale=None):
        assert query.ndim == 4
        assert query.dtype == key.dtype == value.dtype
        assert query.shape[0] == key.shape[0]
        assert query.shape[2:] == key.shape[2:]
        assert p == 0.0
        self.masks.append(bias)
        if bias is not None:
            assert bias.dtype == query.dtype
            assert bias.shape == (query.shape[0], query.shape[2], query.shape[1], key.shape[1])
            # What diffusers makes of a boolean mask: 1 for keys to keep, 0 for keys to drop.
            assert not bool((bias == 1).any()), "a boolean mask became a bias of +1 and 0"
        return exact(query, key, value, bias).to(query.dtype)


@pytest.fixture
def xformers(monkeypatch):
    stand_in = StandIn()
    monkeypatch.setattr(attention_dispatch, "xops", stand_in, raising=False)
    monkeypatch.setattr(attention_dispatch, "_CAN_USE_XFORMERS_ATTN", True)
    # A model that chooses a backend makes it the default of all models.
    registry = attention_dispatch._AttentionBackendRegistry
    monkeypatch.setattr(registry, "_active_backend", registry._active_backend)
    return stand_in


@pytest.mark.parametrize("backend", ["native", "_native_math", "xformers"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("keys", LENGTHS)
@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention_is_that_of_float64(backend, dtype, keys, masked, xformers):
    for length in LENGTHS:
        query, key, value = sample(length, keys, dtype)
        mask = additive(keys, dtype) if masked else None
        got = dispatch_attention_fn(query, key, value, attn_mask=mask, backend=backend)
        wanted = exact(query, key, value, mask)
        assert float((got.double() - wanted).abs().max()) <= TOLERANCE[dtype]


def test_the_stand_in_sees_a_boolean_mask(xformers):
    query, key, value = sample(8, 8, torch.float32)
    mask = torch.ones(2, 1, 1, 8, dtype=torch.bool)
    with pytest.raises(AssertionError, match="boolean mask"):
        dispatch_attention_fn(query, key, value, attn_mask=mask, backend="xformers")


DISPATCHED = ("cogview4-6b", "z-image", "qwen-image")


@pytest.mark.parametrize("name", DISPATCHED)
def test_a_family_hands_xformers_nothing_that_it_misreads(name, xformers):
    """Where masks are boolean `auto` keeps away from xformers; elsewhere the pixels are near."""
    row = families.MODELS[name]
    pipeline = build(name)
    pipeline.set_progress_bar_config(disable=True)
    generator = HubGenerator(
        pipeline,
        row,
        id=name,
        sha256="0" * 64,
        licence="",
        ladder=Ladder(torch.device("cpu"), row.family.denoiser, (RESIDENT,)),
        read_picture=lambda path: None,
    )
    request = ImageRequest(
        prompt="藏青色羊毛大衣",
        negative_prompt="丑",
        height=64,
        width=64,
        num_inference_steps=2,
        seed=3,
    )
    plain = generator.generate([request], {})[0]
    assert set_attention(pipeline, row.family, "xformers") == "xformers"
    through = generator.generate([request], {})[0]
    assert xformers.masks
    assert np.abs(plain.astype(int) - through).max() <= 2


def test_backends_from_a_hub_are_not_offered():
    assert not [name for name in attention_choices() if name.endswith("_hub")]
    assert {"native", "xformers", "flash"} <= set(attention_choices())
