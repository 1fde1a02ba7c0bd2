"""A chain of edits, each made again from its record and its parent, equals itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmgen.files.read_picture import sha256_of
from mmgen.pixels.upscaler import GarmentUpscaler
from pipelines.background import BackgroundPipeline, Finish
from pipelines.recolour import RecolourPipeline
from pipelines.replay import Outcome, replay
from pipelines.upscale import Upscaler


class Finder:
    """Sees the middle half of a picture."""

    sha256 = "f" * 64

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        found = np.zeros((height, width), np.float32)
        found[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1
        return found


@pytest.fixture
def parts(monkeypatch):
    net = Upscaler(GarmentUpscaler(channels=8, blocks=1), "e" * 64)
    finder = Finder()
    made = {
        RecolourPipeline: RecolourPipeline(finder),
        BackgroundPipeline: BackgroundPipeline(finder, net),
        Upscaler: net,
    }
    for kind, part in made.items():
        monkeypatch.setattr(kind, "from_pretrained", lambda *_, part=part: part)
    return made


@pytest.fixture
def chain(parts, tmp_path):
    """photograph -> recoloured (by a mask file) -> on white in a size -> twice as large."""
    first = tmp_path / "photo.png"
    noise = np.asarray(Image.effect_noise((60, 80), 12)).astype(int)[..., None] - 128
    plain = Image.new("RGB", (60, 80), (190, 180, 170))
    ImageDraw.Draw(plain).rectangle((15, 20, 44, 59), fill=(30, 60, 150))
    Image.fromarray((np.asarray(plain) + noise).clip(0, 255).astype(np.uint8)).save(first)
    mask = tmp_path / "mask.png"
    Image.fromarray((Finder()(np.asarray(plain)) * 255).astype(np.uint8)).save(mask)
    dyed = parts[RecolourPipeline](first, "酒红", mask=mask).picture.save(tmp_path, name="a")
    finish = Finish(ground="white", size=(120, 120), shadow=True)
    shown = parts[BackgroundPipeline](dyed.path, finish).save(tmp_path, name="b")
    large = parts[Upscaler](shown.path, 2).save(tmp_path, name="c", format="webp")
    return [dyed.path, shown.path, large.path], [first, mask, dyed.path, shown.path]


def no_model(model, micro_batch):
    raise AssertionError("no words were drawn")


def test_each_link_is_made_again_and_is_equal(chain):
    links, files = chain
    known = {sha256_of(path): path for path in files}
    assert [replay(path, no_model, known).outcome for path in links] == [Outcome.EQUAL] * 3


def test_a_parent_or_mask_that_is_not_at_hand_is_named(chain):
    links, files = chain
    photo, mask = files[:2]
    replayed = replay(links[0], no_model, {sha256_of(photo): photo})
    assert replayed.outcome is Outcome.PARENT_MISSING
    assert replayed.details == (sha256_of(mask),)


def test_other_parts_are_told_apart(chain, parts, monkeypatch):
    links, files = chain
    other = Upscaler(GarmentUpscaler(channels=8, blocks=1), "d" * 64)
    monkeypatch.setattr(Upscaler, "from_pretrained", lambda *_: other)
    known = {sha256_of(path): path for path in files}
    assert replay(links[2], no_model, known).outcome is Outcome.OTHER_MODEL


def test_the_command_finds_parents_beside(chain, capsys):
    from ui.command_line import main

    links, files = chain
    assert main(["replay", str(links[1]), str(links[2]), "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["outcome"] for line in said] == ["equal", "equal"]
    assert main(["replay", str(links[0]), "--parent", str(files[1])]) == 0
    assert "完全一致" in capsys.readouterr().out
