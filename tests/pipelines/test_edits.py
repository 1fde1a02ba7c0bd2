"""Pictures from pictures: one label, a record that names its parent, pixels kept where promised."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from mmgen.colour.names import parse_colour
from mmgen.errors import Conflict, OutOfRange, PictureTooLarge, UnknownChoice
from mmgen.files.read import find_labels, read_record, verify
from mmgen.files.read_picture import read_picture, sha256_of
from mmgen.latents.pipeline import Known
from mmgen.pixels.upscaler import GarmentUpscaler
from mmgen.values import ImageRequest
from pipelines.background import BackgroundPipeline, Finish
from pipelines.edit import Choice, EditPipeline
from pipelines.edited import PictureTooSmall, read_source
from pipelines.recolour import RecolourPipeline
from pipelines.upscale import Upscaler

SIZE = (60, 80)
BOX = (15, 20, 45, 60)


class Finder:
    """Sees the garment that `photograph` draws."""

    sha256 = "f" * 64

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        found = np.zeros(pixels.shape[:2], np.float32)
        found[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 1
        return found


@pytest.fixture
def photograph(tmp_path):
    picture = Image.effect_noise(SIZE, 14).convert("RGB")
    noise = np.asarray(picture).astype(int) - 128
    plain = Image.new("RGB", SIZE, (200, 190, 170))
    ImageDraw.Draw(plain).rectangle((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill=(30, 60, 150))
    path = tmp_path / "coat.png"
    Image.fromarray((np.asarray(plain) + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def saved_and_checked(made, folder, parent):
    saved = made.save(folder, name="made")
    assert len(find_labels(saved.path.read_bytes())) == 1
    assert verify(saved.path)
    record = read_record(saved.record_path)
    assert record is not None
    assert record.parent == sha256_of(parent)
    request = ImageRequest.from_dict(record.request)
    assert request.edit is not None
    assert request.edit.parent_sha256 == record.parent
    return saved, record


def test_recolouring(photograph, tmp_path):
    made = RecolourPipeline(Finder())(photograph, "酒红")
    assert made.delta_e < 1.5
    saved, record = saved_and_checked(made.picture, tmp_path, photograph)
    assert record.checks["colour"]["in_gamut"]
    before, after = np.asarray(read_picture(photograph)), np.asarray(read_picture(saved.path))
    outside = Finder()(before) == 0
    assert np.array_equal(before[outside], after[outside])


def test_colourways_differ_and_a_chain_names_each_parent(photograph, tmp_path):
    pipe = RecolourPipeline(Finder())
    ways = list(pipe.colourways(photograph, ["红", "黑", parse_colour("#00A86B")]))
    assert len({way.picture.pixels.tobytes() for way in ways}) == 3
    first = ways[0].picture.save(tmp_path / "one", name="a")
    second = pipe(first.path, "白").picture
    assert second.parent == first.sha256
    assert second.checks["parent_label"]["ProduceID"] == first.label.produce_id
    saved = second.save(tmp_path / "two", name="b")
    assert verify(saved.path)
    assert saved.label.produce_id != first.label.produce_id


@pytest.mark.parametrize("ground", ["white", "#F5F5F5", "雾霾蓝"])
@pytest.mark.parametrize("size", [None, (100, 100)])
def test_a_plain_ground_is_pure(photograph, tmp_path, ground, size):
    made = BackgroundPipeline(Finder())(photograph, Finish(ground=ground, size=size, shadow=True))
    assert made.checks["background"]["pure"]
    saved, _ = saved_and_checked(made, tmp_path, photograph)
    pixels = np.asarray(read_picture(saved.path))
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert len(np.unique(rim, axis=0)) == 1
    assert ground != "white" or rim.min() == 255


@pytest.mark.parametrize("file_format", ["png", "webp"])
def test_a_transparent_ground_survives_label_and_check(photograph, tmp_path, file_format):
    made = BackgroundPipeline(Finder())(photograph, Finish(ground="transparent"))
    saved = made.save(tmp_path, name="clear", format=file_format, visible_label=False)
    assert verify(saved.path)
    with Image.open(saved.path) as picture:
        assert picture.mode == "RGBA"
        assert picture.getpixel((0, 0))[3] == 0
        assert picture.getpixel((30, 40))[3] == 255


def test_a_size_alone_leaves_the_picture_whole(photograph, tmp_path):
    made = BackgroundPipeline(Finder())(photograph, Finish(size=(160, 120)))
    assert made.pixels.shape == (120, 160, 3)
    _, record = saved_and_checked(made, tmp_path, photograph)
    assert record.request["edit"]["operation"] == "size"


def test_upscaling(photograph, tmp_path):
    net = Upscaler(GarmentUpscaler(channels=8, blocks=1), "e" * 64)
    for method in ("network", "lanczos"):
        made = net(photograph, 4, method)
        assert made.pixels.shape == (320, 240, 3)
        saved_and_checked(made, tmp_path / method, photograph)
    with pytest.raises(UnknownChoice):
        net(photograph, 3)


def test_a_result_beyond_the_limit_is_refused(tmp_path):
    path = tmp_path / "wide.png"
    Image.new("RGB", (4_000, 16)).save(path)
    with pytest.raises(PictureTooLarge):
        Upscaler(GarmentUpscaler(channels=8, blocks=1), "e" * 64)(path, 4)


@pytest.mark.parametrize(
    ("size", "error"),
    [((1, 1), PictureTooSmall), ((15, 400), PictureTooSmall), ((10_000, 16), PictureTooLarge)],
)
def test_pictures_too_small_and_too_large(tmp_path, size, error):
    path = tmp_path / "odd.png"
    Image.new("RGB", size).save(path)
    with pytest.raises(error):
        read_source(path)


@pytest.fixture(scope="module")
def editor(tiny_model):
    from pipelines.components import load_generator

    return EditPipeline(load_generator(str(tiny_model)), Finder())


@pytest.mark.parametrize(
    "choice", [Choice(part="garment"), Choice(part="background"), Choice(box=(10, 10, 20, 30))]
)
def test_outside_of_what_was_chosen_nothing_changes(editor, photograph, tmp_path, choice):
    out = editor(photograph, "红色短袖", choice=choice, num_inference_steps=3, seed=5)
    made = out.pictures[0]
    saved, record = saved_and_checked(made, tmp_path, photograph)
    before, after = np.asarray(read_picture(photograph)), np.asarray(read_picture(saved.path))
    inside = np.zeros(before.shape[:2], bool)
    inside[10:40, 10:30] = True
    if choice.part:
        inside = (Finder()(before) > 0) == (choice.part == "garment")
    assert np.array_equal(before[~inside], after[~inside])
    assert (before[inside] != after[inside]).any()
    assert record.request["edit"]["mask_sha256"]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(editor, photograph):
    def draw(seed: int) -> bytes:
        out = editor(photograph, "红色短袖", num_inference_steps=2, seed=seed)
        return out.pictures[0].pixels.tobytes()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.mark.parametrize(("strength", "steps"), [(0.1, 1), (0.5, 5), (1.0, 10)])
def test_strength_is_the_part_of_the_steps_that_is_gone_through(
    editor, photograph, strength, steps
):
    seen = []
    editor(
        photograph,
        "红色短袖",
        strength=strength,
        num_inference_steps=10,
        seed=3,
        on_step=lambda step: seen.append(step.index) or True,
    )
    assert seen == list(range(11 - steps, 11))


def test_what_is_kept_ends_as_it_began():
    latents, noise = torch.zeros(1, 4, 8, 6), torch.ones(1, 4, 8, 6)
    mask = torch.zeros(1, 1, 64, 48)
    mask[..., 30, 20] = 1
    known = Known(latents, noise, mask)
    assert known.at(torch.tensor(0.25)).unique().tolist() == [0.25]
    end = known.restored(torch.full_like(latents, 7), torch.tensor(0.0))
    assert (end == 7).sum() == 4
    assert (end == 0).sum() == 4 * 47


def test_outpainting_keeps_the_parent_in_the_middle(editor, photograph):
    choice = Choice(outpaint=(120, 80))
    out = editor(photograph, "红色短袖", choice=choice, num_inference_steps=2, seed=3)
    pixels = out.pictures[0].pixels
    assert pixels.shape == (80, 120, 3)
    parent = np.asarray(read_picture(photograph))
    assert np.array_equal(pixels[:, 30 + 5 : 90 - 5], parent[:, 5:-5])


def test_two_choices_exclude_each_other():
    with pytest.raises(Conflict):
        Choice(part="garment", box=(1, 2, 3, 4))


@pytest.mark.parametrize("strength", [0, 1.5, float("nan")])
def test_a_strength_out_of_range(editor, photograph, strength):
    with pytest.raises(OutOfRange):
        editor(photograph, "红色短袖", strength=strength)


def test_an_edit_may_have_no_words_and_a_drawing_may_not(photograph):
    made = RecolourPipeline(Finder())(photograph, "红").picture
    assert made.request.prompt == ""
    with pytest.raises(ValueError, match="prompt"):
        dataclasses.replace(made.request, edit=None)
