"""Every family, from a tiny folder of its real classes, through the door of the embedded model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmgen import TextToImagePipeline
from mmgen.errors import Cancelled, NotMultiple
from mmgen.hub import families
from mmgen.hub.generator import NegativeUnused, SizeUnusual
from mmgen.hub.licences import LicenceAccepted, LicenceNotAccepted, accepted
from mmgen.values import Generator, ImageRequest
from pipelines.components import load_generator
from pipelines.hub_models import DtypeUnfit

FOLDERS = ("cogview4-6b", "z-image", "qwen-image", "taiyi-1b", "sdxl", "hunyuan-dit")
"""Rows whose tiny folder draws from words alone."""

pytestmark = pytest.mark.filterwarnings(
    "ignore::mmgen.hub.generator.SizeUnusual",
    "ignore::mmgen.hub.licences.LicenceAccepted",
    # diffusers' Euler scheduler hands torch tensors to numpy in the old way.
    "ignore:__array__ implementation:DeprecationWarning:diffusers",
)


@pytest.fixture(scope="module")
def load(hub_folder):
    """Id of a row -> its generator, in float32 on the CPU, loaded once."""
    loaded = {}

    def get(name: str):
        if name not in loaded:
            loaded[name] = load_generator(
                str(hub_folder(name)), device="cpu", torch_dtype=torch.float32, accept_licence=True
            )
        return loaded[name]

    return get


def ask(prompt: str = "藏青色羊毛大衣", **changes) -> ImageRequest:
    values = {"height": 64, "width": 64, "num_inference_steps": 2, "seed": 3, **changes}
    return ImageRequest(prompt=prompt, **values)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_family_draws_alone_as_beside_others(load, name):
    generator = load(name)
    assert isinstance(generator, Generator)
    row = families.MODELS[name]
    assert (generator.id, generator.licence) == (row.id, row.licence.name)
    first, other = ask(), ask("红色连衣裙", seed=4)
    alone = generator.generate([first], {})
    beside = generator.generate([other, first], {})
    assert alone[0].shape == (64, 64, 3)
    assert alone[0].dtype == np.uint8
    assert alone[0].std() > 2
    assert np.array_equal(alone[0], beside[1])
    assert not np.array_equal(beside[0], beside[1])


@pytest.mark.parametrize("name", FOLDERS)
def test_words_seed_and_guidance_each_change_the_picture(load, name):
    generator = load(name)
    plain = generator.generate([ask()], {})[0]
    for changed in (
        ask("红色连衣裙"),
        ask(seed=5),
        ask(guidance_scale=7.0),
        ask(negative_prompt="模糊"),
        ask(guidance_scale=1.0),
        ask(num_inference_steps=3),
    ):
        assert not np.array_equal(plain, generator.generate([changed], {})[0]), changed
    assert np.array_equal(plain, generator.generate([ask()], {})[0])


@pytest.mark.parametrize("name", FOLDERS)
def test_steps_are_counted_previewed_and_stopped(load, name):
    generator = load(name)
    seen = []

    def look(step):
        seen.append((step.index, step.of))
        assert step.preview()[0].size == (64, 64)
        return True

    generator.generate([ask(), ask(seed=9)], {}, look)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    before = generator.generate([ask()], {})[0]
    with pytest.raises(Cancelled) as stopped:
        generator.generate([ask(), ask()], {}, lambda step: step.index < 3)
    assert stopped.value.params == {"done": 1, "total": 2}
    assert np.array_equal(before, generator.generate([ask()], {})[0])


@pytest.mark.parametrize("name", ["taiyi-1b", "hunyuan-dit"])
def test_a_larger_micro_batch_is_filled_up_so_neighbours_do_not_matter(hub_folder, name):
    generator = load_generator(
        str(hub_folder(name)),
        device="cpu",
        torch_dtype=torch.float32,
        accept_licence=True,
        micro_batch=3,
    )
    alone = generator.generate([ask()], {})[0]
    requests = [ask("一件白色衬衫,短袖", seed=8), ask(), ask("裙子", seed=1), ask()]
    assert [np.array_equal(alone, one) for one in generator.generate(requests, {})] == [
        *(False, True, False, True)
    ]


def test_a_family_that_fills_no_prompts_up_draws_one_by_one(hub_folder):
    generator = load_generator(str(hub_folder("cogview4-6b")), device="cpu", micro_batch=4)
    assert generator.micro_batch == 1


def test_the_callers_requests_stay_as_they_were(load):
    request = ask()
    load("z-image").generate([request], {})
    assert request.prompt == "藏青色羊毛大衣"


def test_through_python_with_the_models_own_defaults(hub_folder, tmp_path, monkeypatch):
    pipe = TextToImagePipeline.from_pretrained(hub_folder("taiyi-1b"), device="cpu")
    out = pipe("蓝白格子长袖衬衫", num_inference_steps=2, height=64, width=64, seed=7)
    assert out.requests[0].guidance_scale == families.MODELS["taiyi-1b"].guidance
    made = out.pictures[0]
    assert made.model["licence"] == "CreativeML-OpenRAIL-M"
    assert made.environment["attention"] == "native"
    assert made.environment["placement"] == "resident"
    saved = out.save(tmp_path)[0]
    assert saved.label.produce_id
    assert '"CreativeML-OpenRAIL-M"' in saved.record_path.read_text(encoding="utf-8")


def test_advice_of_sizes_and_negative_prompts(load):
    generator = load("cogview4-6b")
    kinds = {type(said) for said in generator.advise(ask(guidance_scale=1.0, negative_prompt="丑"))}
    assert kinds == {SizeUnusual, NegativeUnused}
    assert generator.advise(ask(height=1024, width=768)) == []
    with pytest.raises(NotMultiple):
        generator.advise(ask(height=1040, width=768))


def test_a_number_format_that_overflows_is_refused(hub_folder):
    with pytest.raises(DtypeUnfit, match="float16"):
        load_generator(str(hub_folder("cogview4-6b")), device="cpu", torch_dtype=torch.float16)


def test_a_licence_is_refused_said_once_and_remembered(hub_folder, recwarn):
    folder = str(hub_folder("hunyuan-dit"))
    with pytest.raises(LicenceNotAccepted, match="European Union"):
        load_generator(folder, device="cpu")
    assert accepted() == {}
    load_generator(folder, device="cpu", accept_licence=True)
    load_generator(folder, device="cpu", accept_licence=True)
    load_generator(folder, device="cpu")
    said = [one for one in recwarn.list if one.category is LicenceAccepted]
    assert len(said) <= 1
    assert accepted() == {"hunyuan-dit": "Tencent-Hunyuan-Community"}


@pytest.mark.parametrize("row", families.MODELS.values(), ids=lambda row: row.id)
def test_a_licence_that_limits_commerce_stands_before_the_weights(row, tmp_path):
    import json

    folder = tmp_path / row.id
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": row.pipeline}))
    from mmgen.errors import ModelFileBroken

    expected = LicenceNotAccepted if row.licence.must_accept else ModelFileBroken
    with pytest.raises(expected):
        load_generator(str(folder), device="cpu")


LORA = ("cogview4-6b", "z-image", "qwen-image", "taiyi-1b", "sdxl")


@pytest.fixture(scope="module")
def lora_folder(hub_folder, tmp_path_factory):
    """Id of a row -> a folder with a LoRA of its own layers, written by diffusers."""
    from tests.tiny_hub import lora

    def folder(name: str):
        path = tmp_path_factory.mktemp("lora") / name
        lora(name, path)
        return path

    return folder


@pytest.mark.parametrize("name", LORA)
def test_an_adapter_is_checked_loaded_weighed_and_taken_off(
    hub_folder, lora_folder, name, tmp_path
):
    pipe = TextToImagePipeline.from_pretrained(
        hub_folder(name), device="cpu", torch_dtype=torch.float32
    )
    options = {"height": 64, "width": 64, "num_inference_steps": 2, "seed": 3}
    draw = lambda: pipe("藏青色羊毛大衣", **options).pictures[0]  # noqa: E731
    plain = draw()
    digest = pipe.load_lora_weights(lora_folder(name))
    with_it = draw()
    pipe.load_lora_weights(lora_folder(name), weight=0.3)
    less = draw()
    pipe.unload_lora_weights()
    without = draw()
    assert np.array_equal(plain.pixels, without.pixels)
    assert not np.array_equal(plain.pixels, with_it.pixels)
    assert not np.array_equal(less.pixels, with_it.pixels)
    assert with_it.request.adapters == ((digest, 1.0),)
    saved = with_it.save(tmp_path)
    assert digest in saved.record_path.read_text(encoding="utf-8")


def test_an_adapter_of_another_model_leaves_this_one_as_it_was(hub_folder, lora_folder):
    from mmgen.adapter_file import AdapterUnfit
    from mmgen.errors import UnknownChoice

    pipe = TextToImagePipeline.from_pretrained(hub_folder("taiyi-1b"), device="cpu")
    before = pipe.generator.generate([ask()], {})[0]
    with pytest.raises(AdapterUnfit, match="no layer"):
        pipe.load_lora_weights(lora_folder("cogview4-6b"))
    assert pipe.adapters == ()
    assert np.array_equal(before, pipe.generator.generate([ask()], {})[0])
    with pytest.raises(UnknownChoice):
        pipe.generator.generate([ask(adapters=(("0" * 64, 1.0),))], {})


@pytest.mark.parametrize("name", ["z-image", "qwen-image", "taiyi-1b", "sdxl"])
def test_a_reference_is_where_drawing_starts(load, name, tmp_path):
    from PIL import Image

    from mmgen.files.read_picture import sha256_of

    Image.new("RGB", (64, 64), (200, 30, 40)).save(path := tmp_path / "red.png")
    digest = sha256_of(path)
    generator, plain = load(name), ask(num_inference_steps=4)
    near = ask(num_inference_steps=4, references=((digest, 2.0),))
    far = ask(num_inference_steps=4, references=((digest, 0.0),))
    drawn = [
        generator.generate([one], {digest: path})[0].astype(float) for one in (near, far, plain)
    ]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert generator.checks(near) == {"reference": {"strength": pytest.approx(0.25)}}
