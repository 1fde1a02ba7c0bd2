"""Encoding: any picture fits, however busy, and comes back as what it was."""

import io

import numpy as np
import pytest
from PIL import Image

from mmgen.files.encode import SUFFIXES, encode


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("size", [(16, 16), (192, 256), (640, 512)])
def test_pure_noise_is_encoded(kind, size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with Image.open(io.BytesIO(data)) as back:
        assert back.size == size
        pixels = np.asarray(back.convert("RGB"))
    assert np.array_equal(pixels, noise) if kind == "png" else pixels.std() > 50
