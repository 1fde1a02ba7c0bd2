"""What is measured of each picture of a table job."""

from __future__ import annotations

import numpy as np
import pytest

from mmgen.values import ImageRequest
from pipelines.made_picture import MadePicture
from pipelines.quality import Quality, quality_columns


class OneVector:
    """Towers to which everything is alike."""

    def encode_text(self, texts):
        return np.array([[1.0, 0.0]] * len(texts), np.float32)

    encode_image = encode_text


@pytest.fixture
def measured():
    """Columns of a white 20 x 12 picture with a black square that begins at a row."""

    def measure(top, checks=None):
        pixels = np.full((20, 12, 3), 255, np.uint8)
        pixels[top : top + 4, 4:8] = 0
        request = ImageRequest(prompt="黑色短裙", seed=1)
        made, _ = Quality(OneVector()).measure(
            MadePicture(request=request, pixels=pixels, model={"id": "m"}, checks=checks)
        )
        return quality_columns({"scores": made.scores, "checks": made.checks, "seen": made.seen})

    return measure


def test_a_white_rim_is_told_from_one_that_the_garment_touches(measured):
    assert measured(8)["background"] == 1.0
    # 4 of the 60 pixels of the rim are black.
    assert measured(0)["background"] == pytest.approx(56 / 60, abs=1e-6)


def test_what_was_put_on_another_ground_keeps_what_was_said_of_that(measured):
    blue = {"background": {"colour": "#2A4B9C", "border_share": 0.5, "pure": False}}
    assert measured(8, blue)["background"] == 0.5


def test_what_was_not_measured_is_empty(measured):
    columns = measured(8)
    assert columns["text_image"] == 1.0
    assert columns["mismatch"] is columns["seen"] is columns["candidates"] is None
    assert set(quality_columns({}).values()) == {None}
