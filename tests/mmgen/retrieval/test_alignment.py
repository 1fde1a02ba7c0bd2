"""The same picture is recognised through crops, mirrors and JPEG; strangers are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from mmgen.retrieval.alignment import SAME, alignment


def scene(seed: int, size: tuple[int, int] = (150, 200)) -> Image.Image:
    """A garment-like blob with details of its own on a plain ground."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", size, tuple(rng.integers(150, 255, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    colours = rng.integers(0, 255, (12, 3)).tolist()
    left, top, right, bottom = rng.integers((15, 20, 80, 110), (60, 70, 140, 190)).tolist()
    draw.rectangle((left, top, right, bottom), fill=tuple(colours[0]))
    for colour in colours[1:]:
        x, y = rng.integers(30, 100), rng.integers(35, 150)
        w, h = rng.integers(5, 30, 2)
        draw.ellipse((x, y, x + w, y + h), fill=tuple(colour))
    return picture.filter(ImageFilter.GaussianBlur(0.8))


def saved_again(picture: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


@pytest.mark.parametrize("seed", range(4))
def test_a_mirrored_cropped_recompressed_copy_is_the_same(seed):
    original = scene(seed)
    copy = original.crop((12, 10, 140, 188)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    copy = saved_again(copy.resize((90, 125)), 40)
    assert alignment(copy, original) > SAME
    assert alignment(original, copy) > SAME


def test_strangers_are_not_the_same():
    pictures = [scene(seed) for seed in range(8, 13)]
    scores = [
        alignment(one, other)
        for index, one in enumerate(pictures)
        for other in pictures[index + 1 :]
    ]
    assert max(scores) < SAME


def test_a_picture_is_itself_and_order_does_not_matter():
    one, other = scene(1), scene(2, (200, 150))
    assert alignment(one, one) > 0.98
    assert alignment(one, other) == pytest.approx(alignment(other, one))


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (20, 20)])
def test_flat_and_odd_pictures_are_like_nothing(size):
    assert alignment(Image.new("RGB", size, (120, 130, 140)), scene(3)) < 0.3
