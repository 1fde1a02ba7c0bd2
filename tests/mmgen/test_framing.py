"""A picture of any shape in a frame: never stretched, box tells picture from padding."""

import numpy as np
import pytest
from PIL import Image

from mmgen.framing import fit


@pytest.mark.parametrize(
    "size", [(320, 427), (427, 320), (320, 569), (7, 2000), (2000, 7), (192, 256), (1, 1)]
)
def test_every_shape_fills_the_frame(size):
    pixels, box = fit(Image.new("RGB", size, (10, 20, 30)), 256, 192)
    assert pixels.shape == (256, 192, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == [10, 20, 30]).all()
    assert (box[2:] > box[:2]).all()


def test_the_box_is_the_picture_and_the_rest_continues_its_border():
    picture = Image.new("RGB", (400, 200), (250, 0, 0))
    picture.paste((0, 0, 250), (0, 180, 400, 200))
    pixels, box = fit(picture, 256, 192)
    top, left, bottom, right = (box * [256, 192, 256, 192]).round().astype(int)
    assert (left, right) == (0, 192)
    assert bottom - top == 96
    assert (pixels[: top - 1] == [250, 0, 0]).all()
    assert (pixels[bottom + 1 :] == [0, 0, 250]).all()


def test_a_circle_stays_a_circle():
    side = 90
    y, x = np.mgrid[:side, :side]
    disc = ((y - 44.5) ** 2 + (x - 44.5) ** 2 < 30**2).astype(np.uint8) * 255
    picture = Image.fromarray(np.repeat(disc[..., None], 3, axis=2))
    pixels, _ = fit(picture, 256, 192)
    rows, columns = np.where(pixels[..., 0] > 127)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 2
