"""`mmgen generate --background --preset`: drawings on a shop's ground, in a shop's size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmgen.files.read import find_labels, read_record, verify
from mmgen.pixels.upscaler import GarmentUpscaler
from pipelines.background import BackgroundPipeline
from pipelines.text_to_image import TextToImagePipeline
from pipelines.upscale import Upscaler
from ui.command_line import main


class Finder:
    """Sees a garment in the middle, or none."""

    sha256 = "f" * 64
    sees = True

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        mask = np.zeros(pixels.shape[:2], np.float32)
        mask[20:70, 15:50] = self.sees
        return mask


@pytest.fixture
def finder(monkeypatch) -> Finder:
    finder = Finder()
    net = Upscaler(GarmentUpscaler(channels=8, blocks=1), "e" * 64)
    monkeypatch.setattr(
        BackgroundPipeline, "from_pretrained", lambda *_: BackgroundPipeline(finder, net)
    )
    return finder


@pytest.fixture
def draw(generator, finder, tmp_path, capsys):
    def run(*arguments: str, code: int = 0) -> tuple[list[dict], str]:
        words = ["generate", "红裙", "--steps", "1", "--size", "64x96", "--seed", "3", "--json"]
        got = main([*words, "-o", str(tmp_path / "out"), *arguments])
        captured = capsys.readouterr()
        assert got == code, captured.err
        return [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


def test_white_and_a_shops_size(draw):
    lines, _ = draw("--background", "white", "--preset", "taobao-main", "-n", "2")
    for line in lines:
        pixels = np.asarray(Image.open(line["path"]))
        assert pixels.shape == (800, 800, 3)
        rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert rim.min() == 255
        assert line["background"] == {"colour": "#FFFFFF", "border_share": 1.0, "pure": True}
        assert len(find_labels(Path(line["path"]).read_bytes())) == 1
        assert verify(line["path"])
        record = read_record(Path(line["record"]))
        assert record.checks["finish"]["preset"] == "taobao-main"
        assert record.request["edit"] is None


def test_transparent_and_a_sheet(draw, tmp_path):
    lines, _ = draw("--background", "transparent", "-n", "2")
    with Image.open(lines[0]["path"]) as picture:
        assert picture.mode == "RGBA"
        assert picture.getpixel((0, 0)) == (0, 0, 0, 0)
    assert verify(tmp_path / "out/sheet.png")


def test_a_size_alone_needs_no_garment(draw, finder):
    finder.sees = False
    ((line,), _) = draw("--preset", "taobao-3x4")
    with Image.open(line["path"]) as picture:
        assert picture.size == (750, 1000)
    assert "background" not in line


def test_where_no_garment_is_seen_the_drawing_is_kept_and_that_is_said(draw, finder):
    finder.sees = False
    ((line,), err) = draw("--background", "white")
    assert not line["background"]["pure"]
    assert "没看出衣服" in err
    assert verify(line["path"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--background", "彩虹"], "不是认识的颜色"),
        (["--preset", "ebay"], "尺寸预设 --preset"),
        (["--background", "transparent", "--format", "jpeg"], "存不了透明背景"),
    ],
)
def test_bad_wishes_are_refused_before_anything_is_drawn(
    draw, generator, tmp_path, arguments, said
):
    _, err = draw(*arguments, code=2)
    assert said in err
    assert generator.drawn == 0
    assert not (tmp_path / "out").exists()


def test_the_same_from_python(generator, finder):
    pipe = TextToImagePipeline(generator)
    options = {"num_inference_steps": 1, "height": 96, "width": 64, "seed": 3}
    made = pipe("红裙", background="#F5F5F5", preset="jd-main", **options).pictures[0]
    assert made.pixels.shape == (800, 800, 3)
    assert made.checks["background"]["pure"]
    assert made.pixels[0, 0].tolist() == [0xF5] * 3
