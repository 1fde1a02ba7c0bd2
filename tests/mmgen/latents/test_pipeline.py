"""`GarmentPipeline` in diffusers' idiom, on the tiny model."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmgen.errors import MmgenError
from mmgen.latents.pipeline import GarmentPipeline


@pytest.fixture
def pipe(tiny_model):
    pipeline = GarmentPipeline.from_pretrained(tiny_model, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def draw(pipe, prompt, **options):
    options = {"num_inference_steps": 2, "output_type": "pt", **options}
    return pipe(prompt, **options).images


def test_pil_np_pt_and_latent_are_the_same_picture(pipe):
    pil = draw(pipe, "红色t恤", generator=seeded(1), output_type="pil")
    array = draw(pipe, "红色t恤", generator=seeded(1), output_type="np")
    tensor = draw(pipe, "红色t恤", generator=seeded(1))
    latents = draw(pipe, "红色t恤", generator=seeded(1), output_type="latent")
    assert array.shape == (1, 64, 48, 3)
    assert array.dtype == np.uint8
    assert np.array_equal(np.asarray(pil[0]), array[0])
    assert torch.equal(pipe.decode_latents(latents), tensor)
    assert tensor.abs().max() <= 1


def test_prompt_seed_guidance_and_negative_prompt_each_matter(pipe):
    base = draw(pipe, "红色t恤", generator=seeded(1))
    assert torch.equal(base, draw(pipe, "红色t恤", generator=seeded(1)))
    for change in (
        {"prompt": "黑色长裤"},
        {"generator": seeded(2)},
        {"guidance_scale": 9.0},
        {"negative_prompt": "黑色"},
        {"references": [Image.new("RGB", (48, 64), "red")]},
    ):
        options = {"prompt": "红色t恤", "generator": seeded(1), **change}
        assert not torch.allclose(base, draw(pipe, **options), atol=1e-4), change


def test_guidance_of_one_equals_the_conditional_alone(pipe):
    """Guidance 1 + a little, in one doubled call, meets the unguided call."""
    unguided = draw(pipe, "红色t恤", generator=seeded(1), guidance_scale=1.0)
    nearly = draw(pipe, "红色t恤", generator=seeded(1), guidance_scale=1.0 + 1e-6)
    assert torch.allclose(unguided, nearly, atol=1e-3)


def test_guidance_runs_one_batched_call_a_step(pipe):
    shapes = []
    pipe.transformer.register_forward_pre_hook(lambda _, args: shapes.append(args[0].shape[0]))
    draw(pipe, ["红色t恤", "黑色长裤"], generator=seeded(1, 2))
    assert shapes == [4, 4]


def test_batch_equals_alone(pipe):
    both = draw(pipe, ["红色t恤", "黑色长裤"], generator=seeded(1, 2))
    alone = draw(pipe, "黑色长裤", generator=seeded(2))
    assert torch.allclose(both[1:], alone, atol=1e-4)


def test_pictures_of_one_prompt_come_in_order_of_generators(pipe):
    two = draw(pipe, "红色t恤", num_images_per_prompt=2, generator=seeded(1, 2))
    assert torch.allclose(two[1:], draw(pipe, "红色t恤", generator=seeded(2)), atol=1e-4)


def test_a_reference_of_weight_zero_is_no_reference(pipe):
    picture = Image.new("RGB", (100, 80), "navy")
    none = draw(pipe, "红色t恤", generator=seeded(1))
    faded = draw(
        pipe, "红色t恤", generator=seeded(1), references=[picture], reference_weights=[0.0]
    )
    assert torch.equal(none, faded)


def test_the_callback_sees_each_step_may_change_latents_and_stop(pipe):
    seen = []

    def stop_after_one(pipeline, step, timestep, tensors):
        seen.append((step, float(timestep), tensors["latents"].shape))
        pipeline._interrupt = True
        return {"latents": torch.zeros_like(tensors["latents"])}

    latents = draw(
        pipe,
        "红色t恤",
        num_inference_steps=5,
        callback_on_step_end=stop_after_one,
        output_type="latent",
    )
    assert seen == [(0, 1000.0, (1, 4, 8, 6))]
    assert torch.equal(latents, torch.zeros(1, 4, 8, 6))


def test_given_latents_are_the_start(pipe):
    noise = torch.randn(1, 4, 8, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(
        draw(pipe, "红色t恤", latents=noise), draw(pipe, "红色t恤", generator=seeded(1))
    )


@pytest.mark.parametrize(
    "options",
    [
        {"height": 50},
        {"negative_prompt": ["黑", "白"]},
        {"generator": seeded(1, 2)},
        {"references": [Image.new("RGB", (8, 8))] * 5},
        {"references": [Image.new("RGB", (8, 8))], "reference_weights": [1.0, 2.0]},
        {"reference_weights": [1.0]},
    ],
)
def test_wrong_arguments_are_refused(pipe, options):
    with pytest.raises(MmgenError):
        draw(pipe, "红色t恤", **options)


def test_another_size_of_the_model_grid_is_drawn(pipe):
    assert draw(pipe, "红色t恤", height=96, width=64).shape == (1, 3, 96, 64)


def test_the_saved_folder_names_our_modules(tiny_model):
    import json

    index = json.loads((tiny_model / "model_index.json").read_text())
    assert index["transformer"] == ["mmgen.latents.transformer", "GarmentTransformer2DModel"]
    assert index["vae"] == ["mmgen.pixels.autoencoder", "GarmentAutoencoder"]
    assert index["text_encoder"] == ["mmgen.text.encoder", "TextEncoder"]
    assert index["image_encoder"] == ["mmgen.retrieval.towers", "ImageEncoder"]
