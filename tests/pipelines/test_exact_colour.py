"""A prompt may carry an exact colour: read by its nearest name, then reached and measured."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines import exact_colour, recolour


class Finder:
    """Sees a garment in the middle, or none."""

    sha256 = "f" * 64

    def __init__(self, *, sees: bool) -> None:
        self.sees = sees

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        mask = np.zeros(pixels.shape[:2], np.float32)
        mask[10:50, 10:40] = self.sees
        return mask


@pytest.fixture
def drawing() -> np.ndarray:
    pixels = np.full((60, 50, 3), 220, np.uint8)
    pixels[10:50, 10:40] = (40, 50, 110)
    return pixels


def see(monkeypatch, *, sees: bool) -> None:
    pipe = recolour.RecolourPipeline(Finder(sees=sees))
    monkeypatch.setattr(recolour, "shared_pipeline", lambda: pipe)


def test_the_model_reads_the_nearest_name():
    assert exact_colour.nearest_name("#1F3A5F") == "深蓝色"
    assert "深蓝色" in exact_colour.normalize_colours("一件 #1F3A5F 的衬衫")
    assert "#" not in exact_colour.normalize_colours("一件 #1F3A5F 的衬衫")


def test_the_exact_colour_is_reached(monkeypatch, drawing):
    see(monkeypatch, sees=True)
    pixels, said = exact_colour.exact("一件 #1F3A5F 的衬衫", drawing)
    assert said["delta_e_2000"] < 1
    assert pixels[30, 25].tolist() == pytest.approx([0x1F, 0x3A, 0x5F], abs=2)
    assert np.array_equal(pixels[:10], drawing[:10])


def test_without_a_garment_the_drawing_stays_and_that_is_said(monkeypatch, drawing):
    see(monkeypatch, sees=False)
    pixels, said = exact_colour.exact("一件 #1F3A5F 的衬衫", drawing)
    assert pixels is drawing
    assert said["after"] is None


def test_a_prompt_without_an_exact_colour_costs_nothing(drawing):
    assert exact_colour.exact("一件深蓝色的衬衫", drawing) == (drawing, None)
