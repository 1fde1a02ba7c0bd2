"""Prompts and reference pictures -> pictures, in diffusers' idiom.

The five stages of `__call__`: read words and references, draw noise, lay out the
schedule, denoise, decode. It knows neither labels nor catalogues nor files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from mmgen.errors import Conflict, OutOfRange, WrongType
from mmgen.framing import fit
from mmgen.latents.packed_linear import weights_packed
from mmgen.latents.transformer import DenoisingCache
from mmgen.values import one_each

LATENT_SCALE = 8
"""Pixels to a latent, on each side."""


@dataclasses.dataclass
class GarmentPipelineOutput(BaseOutput):
    """What `GarmentPipeline` gives."""

    images: list[Image.Image] | np.ndarray | Tensor
    """By `output_type`: "pil"; "np" uint8 (B, H, W, 3); "pt" (B, 3, H, W) in [-1, 1];
    "latent" (B, C, h, w), normalised."""


class Known:
    """A picture that is partly kept: its latents, and the noise that it is mixed with."""

    def __init__(self, latents: Tensor, noise: Tensor, mask: Tensor | None) -> None:
        """latents, noise (B, C, h, w); mask (B, 1, H, W) in pixels, 1 where it may change."""
        self.latents, self.noise = latents, noise
        self.mask = None
        if mask is not None:
            # A latent that touches what may change may change.
            small = torch.nn.functional.max_pool2d(mask.to(latents), LATENT_SCALE)
            self.mask = small

    def at(self, sigma: Tensor) -> Tensor:
        """The picture with as much noise as the schedule has at `sigma`."""
        return torch.lerp(self.latents, self.noise, sigma.to(self.latents))

    def restored(self, latents: Tensor, sigma: Tensor) -> Tensor:
        """`latents` where the picture may change, else what it was (arXiv 2111.14818)."""
        return latents if self.mask is None else torch.lerp(self.at(sigma), latents, self.mask)


class GarmentPipeline(DiffusionPipeline):
    """Text and references -> pictures of clothes.

    Components, each a folder of the model: `vae` (GarmentAutoencoder),
    `text_encoder`, `tokenizer`, `image_encoder`, `transformer`
    (GarmentTransformer2DModel), `scheduler`.
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->transformer->vae"
    _callback_tensor_inputs: ClassVar = ["latents"]

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        image_encoder: Any,
        transformer: Any,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            image_encoder=image_encoder,
            transformer=transformer,
            scheduler=scheduler,
        )
        self._interrupt = False

    @property
    def interrupt(self) -> bool:
        """Set `_interrupt` from a callback to stop after the current step."""
        return self._interrupt

    @property
    def default_size(self) -> tuple[int, int]:
        """Height and width in pixels that the model was trained on."""
        config = self.transformer.config
        return config.sample_height * LATENT_SCALE, config.sample_width * LATENT_SCALE

    def encode_prompt(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised prompts -> features (B, L, D), mask (B, L), whole-prompt vectors (B, E)."""
        tokens = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, return_tensors="pt"
        ).to(self._execution_device)
        encoded = self.text_encoder(tokens.input_ids, tokens.attention_mask)
        return encoded.last_hidden_state, tokens.attention_mask, encoded.text_embeds

    def encode_references(
        self,
        references: Sequence[Sequence[Image.Image | np.ndarray]],
        weights: Sequence[Sequence[float]],
    ) -> tuple[Tensor, Tensor]:
        """Zero to `max_references` a prompt -> features (B, R, T, C), weights (B, R).

        A reference is a picture, or float (T, C) features that this image encoder
        made of one earlier.
        """
        config, size = self.transformer.config, self.image_encoder.config
        slots = config.max_references
        features = torch.zeros(
            len(references),
            slots,
            config.reference_tokens,
            config.reference_dim,
            device=self._execution_device,
            dtype=self.transformer.dtype,
        )
        filled = torch.zeros(len(references), slots, device=self._execution_device)
        for row, (pictures, row_weights) in enumerate(zip(references, weights, strict=True)):
            if len(pictures) > slots:
                raise OutOfRange(name="references", got=len(pictures), low=0, high=slots)
            for slot, (picture, weight) in enumerate(zip(pictures, row_weights, strict=True)):
                filled[row, slot] = weight
                if isinstance(picture, np.ndarray):
                    features[row, slot] = _as_features(picture, features.shape[2:]).to(features)
                    continue
                frame, _ = fit(picture, size.image_height, size.image_width)
                pixels = torch.from_numpy(frame).permute(2, 0, 1)[None].to(features)
                seen = self.image_encoder(pixels / 127.5 - 1)
                features[row, slot] = seen.last_hidden_state[0]
        return features, filled

    def prepare_latents(
        self,
        batch: int,
        height: int,
        width: int,
        generator: torch.Generator | list[torch.Generator] | None,
        latents: Tensor | None,
    ) -> Tensor:
        """Standard normal noise (B, C, h, w) float32, from one generator a picture."""
        if latents is not None:
            return latents.to(self._execution_device, torch.float32)
        channels = self.transformer.config.in_channels
        shape = (batch, channels, height // LATENT_SCALE, width // LATENT_SCALE)
        if isinstance(generator, list) and len(generator) != batch:
            raise WrongType(
                name="generator", got=f"{len(generator)} generators", wanted=f"one or {batch}"
            )
        noise: Tensor = randn_tensor(
            shape, generator=generator, device=self._execution_device, dtype=torch.float32
        )
        return noise

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) in [-1, 1] -> normalised latents (B, C, h, w) float32."""
        pixels = pixels.to(self._execution_device, self.vae.dtype)
        mode = self.vae.encode(pixels).latent_dist.mode()
        latents: Tensor = self.vae.normalize(mode.float())
        return latents

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Normalised latents (B, C, h, w) -> pixels (B, 3, H, W) float32 in [-1, 1]."""
        latents = self.vae.denormalize(latents).to(self.vae.dtype)
        # Channels last is what CPU and tensor-core convolutions run fastest on.
        latents = latents.contiguous(memory_format=torch.channels_last)
        pixels: Tensor = self.vae.decode(latents).sample.float().clamp(-1, 1)
        return pixels

    @torch.inference_mode()
    @weights_packed()
    def __call__(
        self,
        prompt: str | Sequence[str],
        negative_prompt: str | Sequence[str] = "",
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 24,
        guidance_scale: float = 4.0,
        num_images_per_prompt: int = 1,
        references: Sequence[Image.Image | np.ndarray]
        | Sequence[Sequence[Image.Image | np.ndarray]]
        | None = None,
        reference_weights: Sequence[float] | Sequence[Sequence[float]] | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        image: Tensor | None = None,
        mask_image: Tensor | None = None,
        valid_box: Tensor | None = None,
        strength: float = 1.0,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]
        | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> GarmentPipelineOutput | tuple[Any]:
        """Draw `num_images_per_prompt` pictures of each prompt.

        prompt, negative_prompt   normalised Chinese (`mmgen.text.normalize`); one
                                  negative prompt serves all, or one a prompt
        height, width             pixels, multiples of 8 * patch_size; default: trained size
        guidance_scale            1 and below runs without guidance
        references                pictures for all prompts, or a list of them a prompt;
                                  in place of a picture its features (T, C)
        reference_weights         the same shape; default 1.0 each
        generator                 one for all, or one a picture in order of prompts
        latents                   (B, C, h, w) noise to start from instead
        image                     (B, 3, H, W) in [-1, 1] to start from (SDEdit, arXiv
                                  2108.01073); `valid_box` (B, 4): the part of the frame
                                  that it fills, as in `mmgen.framing.fit`
        mask_image                (B, 1, H, W) in [0, 1]: 1 where `image` may change
        strength                  (0, 1]: the part of the steps that is gone through
        callback_on_step_end      (pipeline, step, timestep, tensors) -> tensors to replace
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        negatives = one_each("negative_prompt", negative_prompt, len(prompts))
        pictures, weights = _pair_references(references, reference_weights, len(prompts))
        height, width = height or self.default_size[0], width or self.default_size[1]
        self._check_size(height, width)
        is_guided = guidance_scale > 1
        self._interrupt = False

        # 1. Words and references.
        condition = self._condition(prompts, negatives if is_guided else None, pictures, weights)
        condition = {
            name: value.repeat_interleave(num_images_per_prompt, dim=0)
            for name, value in condition.items()
        }

        if valid_box is not None:
            rows = len(condition["valid_box"]) // len(valid_box)
            condition["valid_box"] = valid_box.to(condition["valid_box"]).repeat(rows, 1)

        # 2. Noise.
        batch = len(prompts) * num_images_per_prompt
        latents = self.prepare_latents(batch, height, width, generator, latents)

        # 3. Schedule.
        sigmas = np.linspace(1.0, 1.0 / num_inference_steps, num_inference_steps)
        self.scheduler.set_timesteps(sigmas=sigmas.tolist(), device=self._execution_device)

        known, begin = None, 0
        if image is not None:
            begin = num_inference_steps - max(1, round(num_inference_steps * strength))
            self.scheduler.set_begin_index(begin)
            known = Known(self.encode_pixels(image), latents, mask_image)
            latents = known.at(self.scheduler.sigmas[begin])

        # 4. Denoise.
        cache = DenoisingCache()
        with self.progress_bar(total=num_inference_steps - begin) as progress:
            for index, timestep in enumerate(self.scheduler.timesteps[begin:], begin):
                if self.interrupt:
                    break
                velocity = self._velocity(latents, timestep, condition, guidance_scale, cache)
                latents = self.scheduler.step(velocity, timestep, latents, return_dict=False)[0]
                if known is not None:
                    latents = known.restored(latents, self.scheduler.sigmas[index + 1])
                if callback_on_step_end is not None:
                    values = {"latents": latents}
                    tensors = {name: values[name] for name in callback_on_step_end_tensor_inputs}
                    changed = callback_on_step_end(self, index, timestep, tensors)
                    latents = changed.pop("latents", latents)
                progress.update()

        # 5. Decode.
        images = self.finish(latents, output_type)
        self.maybe_free_model_hooks()
        return GarmentPipelineOutput(images=images) if return_dict else (images,)

    def _condition(
        self,
        prompts: list[str],
        negatives: list[str] | None,
        pictures: list[list[Image.Image | np.ndarray]],
        weights: list[list[float]],
    ) -> dict[str, Tensor]:
        """What the transformer reads beside latents and time; with guidance, first the
        unconditional rows, which see no reference, then the conditional ones."""
        features, mask, pooled = self.encode_prompt([*(negatives or []), *prompts])
        seen, filled = self.encode_references(pictures, weights)
        if negatives is not None:
            seen = torch.cat([torch.zeros_like(seen), seen])
            filled = torch.cat([torch.zeros_like(filled), filled])
        whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=self._execution_device)
        return {
            "encoder_hidden_states": features,
            "encoder_attention_mask": mask,
            "pooled_projections": pooled,
            "reference_hidden_states": seen,
            "reference_weights": filled,
            "valid_box": whole.expand(len(filled), -1),
        }

    def _velocity(
        self,
        latents: Tensor,
        timestep: Tensor,
        condition: dict[str, Tensor],
        guidance_scale: float,
        cache: DenoisingCache,
    ) -> Tensor:
        """The guided prediction, both halves in one call (arXiv 2207.12598)."""
        rows = len(condition["valid_box"])
        is_guided = rows == 2 * len(latents)
        doubled = torch.cat([latents, latents]) if is_guided else latents
        velocity: Tensor = self.transformer(
            doubled, timestep.expand(rows), **condition, cache=cache, return_dict=False
        )[0].float()
        if not is_guided:
            return velocity
        unconditional, conditional = velocity.chunk(2)
        return torch.lerp(unconditional, conditional, guidance_scale)

    def _check_size(self, height: int, width: int) -> None:
        step = LATENT_SCALE * self.transformer.config.patch_size
        for name, side in (("height", height), ("width", width)):
            if side < step or side % step:
                raise WrongType(name=name, got=side, wanted=f"a positive multiple of {step}")

    def finish(self, latents: Tensor, output_type: str) -> Any:
        """Normalised latents (B, C, h, w) -> pictures in the form of `output_type`."""
        if output_type == "latent":
            return latents
        pixels = self.decode_latents(latents)
        if output_type == "pt":
            return pixels
        arrays = pixels.add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        if output_type == "np":
            return arrays
        return [Image.fromarray(array) for array in arrays]


def _as_features(array: np.ndarray, shape: Sequence[int]) -> Tensor:
    """Features made earlier, float (T, C); raises `WrongType` for another shape."""
    if tuple(array.shape) != tuple(shape):
        wanted = f"features of {shape[0]} places and {shape[1]} channels"
        raise WrongType(name="references", got=f"an array of {array.shape}", wanted=wanted)
    return torch.from_numpy(np.ascontiguousarray(array))


def _pair_references(
    references: Any, weights: Any, count: int
) -> tuple[list[list[Image.Image | np.ndarray]], list[list[float]]]:
    """References and weights, both as one list a prompt."""
    if references is None:
        if weights is not None:
            raise Conflict(first="reference_weights", second="references=None")
        return [[] for _ in range(count)], [[] for _ in range(count)]
    listed = list(references)
    is_shared = not listed or isinstance(listed[0], Image.Image | np.ndarray)
    pictures = [listed] * count if is_shared else [list(row) for row in listed]
    if len(pictures) != count:
        raise WrongType(
            name="references", got=f"{len(pictures)} lists", wanted=f"one list or {count}"
        )
    if weights is None:
        return pictures, [[1.0] * len(row) for row in pictures]
    rows = [list(weights)] * count if is_shared else [list(row) for row in weights]
    if [len(row) for row in rows] != [len(row) for row in pictures]:
        raise WrongType(name="reference_weights", got=rows, wanted="one weight a reference")
    return pictures, rows
