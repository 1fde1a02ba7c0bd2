"""How each family's pipeline is called: every difference between them stands here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from mmgen.hub.families import Family
from mmgen.seeds import generator_for
from mmgen.values import ImageRequest

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT_OF_REFERENCE = 0.4
"""Share of the way back from noise that a reference of weight 1 saves."""
_STRENGTH = (0.2, 0.95)


def arguments(
    family: Family,
    requests: Sequence[ImageRequest],
    pictures: Sequence[Sequence[Image.Image]],
    on_step: Callable[..., dict[str, Any]],
) -> dict[str, Any]:
    """Keyword arguments that draw `requests`, which are alike in all but words and seeds.

    `pictures`: the reference pictures of each request. The prompts are a fresh
    list, for Z-Image writes its chat template into the caller's.
    """
    first = requests[0]
    given: dict[str, Any] = {
        "prompt": [request.prompt for request in requests],
        "height": first.height,
        "width": first.width,
        "num_inference_steps": first.num_inference_steps,
        "generator": [generator_for(request.seed) for request in requests],
        "output_type": "np",
        "callback_on_step_end": on_step,
    }
    if family.guidance:
        given[family.guidance] = first.guidance_scale
    if family.has_negative and uses_negative(family, first):
        blank = family.blank_negative
        given["negative_prompt"] = [request.negative_prompt or blank for request in requests]
    if family.pipeline == "HunyuanDiTPipeline":
        # Else a size that is not in its list is exchanged for one that is.
        given["use_resolution_binning"] = False
        given["original_size"] = (first.height, first.width)
    if family.edits:
        given["image"] = list(pictures[0])
        given["prompt"] = first.prompt
        if "negative_prompt" in given:
            given["negative_prompt"] = given["negative_prompt"][0]
    elif family.global_rng:
        given["generator"] = given["generator"][0]
    return given


def uses_negative(family: Family, request: ImageRequest) -> bool:
    """Whether the negative prompt has a say: guidance of 1 or less drops that half."""
    return not family.guidance or request.guidance_scale > 1


def strength_of(request: ImageRequest) -> float:
    """How far towards noise a start from the request's reference goes.

    Weight 1 keeps 0.4 of the way, 0 almost nothing, 2 most of the picture; at least
    one step is always drawn.
    """
    low, high = _STRENGTH
    asked = 1.0 - _KEPT_OF_REFERENCE * request.references[0][1]
    return max(min(high, max(low, asked)), 1.0 / request.num_inference_steps)


@contextlib.contextmanager
def own_randomness(family: Family, seed: int) -> Iterator[None]:
    """Seed torch's global generator where the pipeline draws from it; put it back after."""
    if not family.global_rng:
        yield
        return
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def decode(
    family: Family, pipeline: Any, latents: torch.Tensor, height: int, width: int
) -> list[Image.Image]:
    """What the latents of a step look like; empty for a family whose layout hides it."""
    vae = pipeline.vae
    config = vae.config
    if family.latents == "hidden":
        return []
    if family.latents == "packed":
        latents = pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)
    latents = latents.to(vae.device, vae.dtype)
    if config.get("latents_mean") and family.latents in ("packed", "normalised"):
        shape = (1, -1) + (1,) * (latents.ndim - 2)
        mean = torch.tensor(config.latents_mean).view(shape).to(latents)
        std = torch.tensor(config.latents_std).view(shape).to(latents)
        latents = latents * std + mean
    else:
        latents = latents / config.scaling_factor + (config.get("shift_factor") or 0.0)
    pixels = vae.decode(latents, return_dict=False)[0]
    if pixels.ndim == 5:
        pixels = pixels[:, :, 0]
    images: list[Image.Image] = pipeline.image_processor.postprocess(pixels, output_type="pil")
    return images
