"""Hub models change pictures that exist: a part of one, all of one, or say that they cannot."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from mmgen.files.read import verify
from mmgen.hub import families
from mmgen.hub.edits import EditUnsupported, drawn_size
from pipelines.components import load_generator
from pipelines.edit import Choice, EditPipeline

SIZE = (90, 70)
"""Height and width of the parent: no multiple of anything."""

pytestmark = pytest.mark.filterwarnings(
    "ignore::mmgen.hub.licences.LicenceAccepted",
    "ignore:__array__ implementation:DeprecationWarning:diffusers",
)


@pytest.fixture
def pipe(hub_folder):
    """Id of a row -> its tiny model, which draws small, with no garment mask at hand."""

    def get(name: str) -> EditPipeline:
        generator = load_generator(
            str(hub_folder(name)), device="cpu", torch_dtype=torch.float32, accept_licence=True
        )
        generator.row = dataclasses.replace(generator.row, sides=(64, 96))
        return EditPipeline(generator, finder=None)

    return get


@pytest.fixture
def parent(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path := tmp_path / "parent.png")
    return path, pixels


@pytest.mark.parametrize("name", ["taiyi-1b", "sdxl", "z-image", "qwen-image"])
def test_a_box_is_drawn_anew_and_every_other_pixel_stays(pipe, parent, name, tmp_path):
    path, pixels = parent
    seen = []

    def look(step):
        seen.append(step.preview()[0].size)
        return True

    edit = pipe(name)
    options = {"choice": Choice(box=(10, 20, 40, 50)), "strength": 0.9, "seed": 4}
    (made,) = edit(path, "红色大衣", num_inference_steps=2, on_step=look, **options).pictures
    inside = np.zeros(SIZE, bool)
    inside[20:70, 10:50] = True
    assert made.pixels.shape == pixels.shape
    assert np.array_equal(made.pixels[~inside], pixels[~inside])
    changed = (made.pixels[30:60, 20:40] != pixels[30:60, 20:40]).any(-1)
    assert changed.mean() > 0.9
    assert set(seen) == {drawn_size(edit.generator.row, *SIZE)[::-1]}
    assert made.request.guidance_scale == families.MODELS[name].guidance
    assert made.checks["size"]["drawn"] == list(drawn_size(edit.generator.row, *SIZE))
    saved = made.save(tmp_path / "out")
    assert verify(saved.path)
    assert made.parent in saved.record_path.read_text(encoding="utf-8")


def test_a_variation_keeps_more_of_the_parent_the_weaker_it_is(pipe, tmp_path):
    Image.new("RGB", SIZE[::-1], (200, 30, 40)).save(path := tmp_path / "red.png")
    edit = pipe("taiyi-1b")
    drawn = [
        edit(path, "大衣", num_inference_steps=4, strength=strength, seed=4).pictures[0].pixels
        for strength in (0.25, 1.0)
    ]
    assert all(pixels.shape == (*SIZE, 3) for pixels in drawn)
    assert not np.array_equal(*drawn)
    again = edit(path, "大衣", num_inference_steps=4, strength=0.25, seed=4).pictures[0].pixels
    assert np.array_equal(again, drawn[0])


@pytest.mark.parametrize("name", ["cogview4-6b", "hunyuan-dit"])
def test_a_family_without_the_pipeline_says_so_and_names_those_that_have_it(pipe, parent, name):
    edit = pipe(name)
    with pytest.raises(EditUnsupported, match=r"a part of a picture.*taiyi-1b"):
        edit(parent[0], "大衣", choice=Choice(box=(10, 20, 40, 50)))
    with pytest.raises(EditUnsupported, match=r"start from a picture.*kolors"):
        edit(parent[0], "大衣")


@pytest.mark.parametrize("row", families.MODELS.values(), ids=lambda row: row.id)
def test_an_edit_is_drawn_within_the_sides_of_the_model(row):
    low, high = row.sides
    for height, width in ((16, 16), (90, 70), (1000, 1000), (8192, 6000), (3000, 2000)):
        tall, wide = drawn_size(row, height, width)
        assert tall % row.family.side_multiple == wide % row.family.side_multiple == 0
        assert low - row.family.side_multiple <= min(tall, wide)
        assert max(tall, wide) <= high
    tall, wide = drawn_size(row, 8192, 16)
    assert max(tall, wide) <= high
