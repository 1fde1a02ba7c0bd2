"""Twice as large: tiles leave no seam; before it has learnt, the network is bicubic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgen.pixels.upscaler import GarmentUpscaler, upscale


@pytest.fixture(scope="module")
def net() -> GarmentUpscaler:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = GarmentUpscaler(channels=8, blocks=2).eval()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.08)
    return made


def test_tiles_are_as_good_as_the_whole(net):
    pixels = np.random.default_rng(0).integers(0, 256, (53, 41, 3), dtype=np.uint8)
    whole = upscale(net, pixels, tile_px=64)
    assert whole.shape == (106, 82, 3)
    for tile_px in (7, 16, 40):
        tiled = upscale(net, pixels, tile_px=tile_px)
        assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_an_untrained_network_scales_smoothly():
    made = upscale(GarmentUpscaler(channels=8, blocks=1).eval(), np.full((9, 7, 3), 77, np.uint8))
    assert made.shape == (18, 14, 3)
    assert (made == 77).all()
