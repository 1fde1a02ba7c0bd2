"""The front on the tiny model: same bytes, seeds, references, cancellation, records."""

import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from mmgen import TextToImagePipeline, verify
from mmgen.errors import (
    Cancelled,
    Conflict,
    EmptyPrompt,
    MmgenError,
    ModelFolderMissing,
    NotAGarment,
    OutOfRange,
    PictureMissing,
    PromptRefused,
    PromptTruncated,
    TooManyReferences,
)
from mmgen.files.read_picture import sha256_of
from mmgen.values import Generator, ImageRecord, ImageRequest
from pipelines.components import load_generator

FAST = {"num_inference_steps": 2}


@pytest.fixture(scope="module")
def pipe(tiny_model):
    return TextToImagePipeline.from_pretrained(tiny_model, device="cpu")


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "参考.png"
    Image.new("RGB", (90, 120), (200, 30, 40)).save(path)
    return path


def arrays(output):
    return [np.asarray(image) for image in output.images]


def test_the_generator_meets_the_protocol(pipe):
    assert isinstance(pipe.generator, Generator)
    assert pipe.generator.micro_batch == 1


def test_the_same_request_twice_is_the_same_bytes(pipe, tiny_model):
    one = pipe("红色短袖T恤", seed=7, **FAST)
    other = TextToImagePipeline.from_pretrained(tiny_model, device="cpu")
    assert np.array_equal(arrays(one)[0], arrays(other("红色短袖T恤", seed=7, **FAST))[0])


def test_alone_and_in_a_batch_of_four_are_the_same_bytes(pipe):
    prompts = ["红色短袖T恤", "黑色长裤", "一件蓝白格子衬衫", "红色T恤"]
    together = arrays(pipe(prompts, seed=7, **FAST))
    alone = [arrays(pipe(prompt, seed=7, **FAST))[0] for prompt in prompts]
    assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))
    assert not np.array_equal(together[0], together[1])


def test_a_group_is_filled_up_to_the_micro_batch(tiny_model):
    """With a larger micro-batch too, a picture does not depend on its neighbours."""
    pipe = TextToImagePipeline(load_generator(str(tiny_model), device="cpu", micro_batch=3))
    shapes = []
    pipe.generator.pipeline.transformer.register_forward_pre_hook(
        lambda _, args: shapes.append(args[0].shape[0])
    )
    five = pipe(["红色T恤"] * 5, seed=None, generator=torch.Generator().manual_seed(1), **FAST)
    assert set(shapes) == {6}
    last = five.requests[4]
    again = pipe(last.prompt, seed=last.seed, **FAST)
    assert np.array_equal(arrays(five)[4], arrays(again)[0])


def test_seeds_count_up_and_a_picture_can_be_made_again(pipe):
    three = pipe("红色T恤", num_images_per_prompt=3, seed=5, **FAST)
    assert [request.seed for request in three.requests] == [5, 6, 7]
    assert np.array_equal(arrays(three)[2], arrays(pipe("红色T恤", seed=7, **FAST))[0])


def test_a_torch_generator_gives_the_seeds(pipe):
    one = pipe("红色T恤", generator=torch.Generator().manual_seed(3), **FAST)
    two = pipe("红色T恤", generator=torch.Generator().manual_seed(3), **FAST)
    assert one.requests == two.requests
    with pytest.raises(Conflict):
        pipe("红色T恤", seed=1, generator=torch.Generator())


def test_traditional_and_full_width_draw_the_same_picture(pipe):
    plain = arrays(pipe("红色短袖T恤", seed=1, **FAST))[0]
    assert np.array_equal(plain, arrays(pipe("紅色短袖Ｔ恤", seed=1, **FAST))[0])


def test_steps_count_through_and_false_stops(pipe):
    steps = []
    pipe(
        ["红色T恤", "黑色长裤"],
        seed=1,
        on_step=lambda step: steps.append((step.index, step.of)) is None,
        **FAST,
    )
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(Cancelled) as caught:
        pipe(["红色T恤"] * 3, seed=1, on_step=lambda step: step.index < 3, **FAST)
    assert caught.value.params == {"done": 1, "total": 3}


def test_previews_are_pictures_of_what_is_there(pipe):
    previews = []

    def look(step):
        previews.extend(step.preview())
        return True

    made = pipe("红色T恤", seed=1, on_step=look, **FAST)
    assert [preview.size for preview in previews] == [(48, 64)] * 2
    assert made.images[0].size == (192, 256)


def test_the_callback_of_diffusers_works_and_interrupts(pipe):
    seen = []

    def callback(pipeline, step, timestep, values):
        seen.append((step, timestep))
        pipeline._interrupt = step == 2
        return values

    with pytest.raises(Cancelled):
        pipe(["红色T恤"] * 2, seed=1, callback_on_step_end=callback, **FAST)
    assert [step for step, _ in seen] == [0, 1, 2]
    assert seen[0][1] == 1000.0
    assert pipe("红色T恤", seed=1, **FAST).images


def test_references_change_the_picture_and_are_recorded(pipe, reference, tmp_path):
    without = arrays(pipe("红色T恤", seed=1, **FAST))[0]
    output = pipe("红色T恤", seed=1, references=[reference], **FAST)
    assert not np.array_equal(without, arrays(output)[0])
    saved = output.save(tmp_path / "out")[0]
    record = ImageRecord.from_json(saved.record_path.read_text(encoding="utf-8"))
    assert record.references[0]["sha256"] == sha256_of(reference)
    assert record.request["references"] == [[sha256_of(reference), 1.0]]
    assert str(tmp_path) not in saved.record_path.read_text(encoding="utf-8")


def test_saved_files_verify_and_tell_how_they_were_made(pipe, tmp_path):
    output = pipe("藏青色羊毛大衣", num_images_per_prompt=2, seed=7, **FAST)
    for image_format in ("png", "jpeg", "webp"):
        for saved in output.save(tmp_path, format=image_format):
            assert verify(saved.path)
            record = json.loads(saved.record_path.read_text(encoding="utf-8"))
            assert record["request"]["prompt"] == "藏青色羊毛大衣"
            assert record["model"]["id"] == "tiny-model"
            assert record["checks"]["size"]["drawn"] == [64, 48]
            assert record["environment"]["device"] == "cpu"
    assert (tmp_path / "藏青色羊毛大衣-7.png").exists()


def test_the_request_in_a_record_makes_the_same_file(pipe, tmp_path):
    first = pipe("红色T恤", seed=4, **FAST).save(tmp_path / "a")[0]
    record = ImageRecord.from_json(first.record_path.read_text(encoding="utf-8"))
    request = ImageRequest.from_dict(record.request)
    (again,) = pipe.stream([request])
    assert again.save(tmp_path / "b").path.read_bytes() == first.path.read_bytes()


def test_a_stream_gives_each_picture_before_the_next_is_drawn(pipe):
    steps = []
    requests = [ImageRequest(prompt="红色T恤", seed=seed, **FAST) for seed in (1, 2)]
    stream = pipe.stream(requests, on_step=lambda step: steps.append(step.index) is None)
    next(stream)
    assert steps == [1, 2]


def test_one_warning_for_a_prompt_that_names_no_garment(pipe):
    with pytest.warns(NotAGarment) as caught:
        pipe("雪山上的日出", num_images_per_prompt=2, seed=1, **FAST)
    assert len(caught) == 1


def test_one_warning_for_what_is_not_read(pipe):
    with pytest.warns(PromptTruncated) as caught:
        pipe("红色T恤" + "上面有很长很长的说明" * 3, seed=1, **FAST)
    assert caught[0].message.params["limit"] == 15


def test_no_warning_for_clothes(pipe):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pipe(["旗袍", "red dress", "👗", "一字领露肩"], seed=1, **FAST).images


def test_rules_are_checked_before_anything_is_drawn(pipe, empty_home):
    (empty_home / "rules.txt").write_text("brand: 某品牌\n", encoding="utf-8")
    (empty_home / "config.toml").write_text('[policy]\nrules = "rules.txt"\n', encoding="utf-8")
    steps = []
    with pytest.raises(PromptRefused):
        pipe(["红色T恤", "某品牌红色T恤"], on_step=lambda s: steps.append(s) is None, **FAST)
    assert steps == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"prompt": ""}, EmptyPrompt),
        ({"prompt": "🙂"}, EmptyPrompt),
        ({"num_images_per_prompt": 0}, OutOfRange),
        ({"num_images_per_prompt": 10**6}, OutOfRange),
        ({"num_inference_steps": 0}, OutOfRange),
        ({"guidance_scale": float("nan")}, OutOfRange),
        ({"height": 100}, MmgenError),
        ({"references": ["missing.png"]}, PictureMissing),
        ({"references": ["a.png"] * 5}, TooManyReferences),
        ({"reference_weights": [1.0]}, MmgenError),
        ({"negative_prompt": ["a", "b"]}, MmgenError),
    ],
)
def test_bad_requests_are_refused_before_drawing(pipe, options, error):
    steps = []
    options = {"prompt": "红色T恤", **FAST, **options}
    with pytest.raises(error):
        pipe(**options, on_step=lambda step: steps.append(step) is None)
    assert steps == []


def test_a_missing_model_is_said(tmp_path):
    with pytest.raises(ModelFolderMissing):
        TextToImagePipeline.from_pretrained(tmp_path / "none")


def test_to_moves_and_keeps_drawing(tiny_model):
    pipe = TextToImagePipeline.from_pretrained(tiny_model, device="cpu")
    assert pipe.to("cpu", torch.float32) is pipe
    assert pipe.generator.environment["dtype"] == "float32"
    assert pipe("红色T恤", seed=1, **FAST).images
