"""Requests -> pixels: the embedded model behind the `Generator` protocol."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mmgen.errors import Cancelled, EmptyPrompt, MmgenWarning, NotAGarment, PromptTruncated
from mmgen.framing import fit, letterbox
from mmgen.latents.pipeline import GarmentPipeline
from mmgen.seeds import generator_for
from mmgen.values import EXAMPLE_PROMPT, ImageRequest, OnStep, Step

_LANCZOS_ENOUGH = 1.2
"""Up to this scale nothing but Lanczos is worth its time."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """How prompts are read; given by the text stage."""

    normalize: Callable[[str], str]
    """A prompt as typed -> the spelling of the captions."""
    speaks_of_clothes: Callable[[str], bool]
    """Whether a prompt asks for what the model knows."""


class GarmentGenerator:
    """Implements `mmgen.values.Generator` with a `GarmentPipeline`.

    A picture's bytes do not depend on its neighbours: every call of the model
    has the same shape, `micro_batch` pictures, filled up where fewer are asked
    for. On a CPU that is one picture, its guided pair.
    """

    def __init__(
        self,
        pipeline: GarmentPipeline,
        *,
        id: str,  # noqa: A002 - the protocol's word
        sha256: str,
        licence: str,
        language: Language,
        read_picture: Callable[[Path], Image.Image],
        micro_batch: int | None = None,
        towers_sha256: str | None = None,
        enlarge: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.id, self.sha256, self.licence = id, sha256, licence
        self.towers_sha256 = towers_sha256
        """Of its encoders; features made by others are not for it."""
        on_cpu = pipeline.transformer.device.type == "cpu"
        self.micro_batch = micro_batch or (1 if on_cpu else 4)
        self._language = language
        self._read_picture = read_picture
        self._enlarge = enlarge
        """uint8 (H, W, 3) -> twice the size; without it Lanczos does all."""

    def generate(
        self,
        requests: Sequence[ImageRequest],
        pictures: Mapping[str, Path | np.ndarray],
        on_step: OnStep | None = None,
    ) -> list[np.ndarray]:
        """One uint8 (H, W, 3) array a request, in their order.

        The model draws its own size; another one asked for is made of that by
        scaling and padding, never stretching. Steps count through all groups.
        Raises `Cancelled` when `on_step` returns False, and `PictureError`
        when a reference cannot be read.
        """
        groups = list(_groups(requests, self.micro_batch))
        total = sum(group[0].num_inference_steps for group in groups)
        read = functools.cache(lambda sha256: self._read(pictures[sha256]))
        arrays: list[np.ndarray] = []
        before = 0
        for group in groups:
            watch = _Watch(on_step, done=len(arrays), of=len(requests), before=before, total=total)
            arrays += self._draw(group, read, watch)
            before += group[0].num_inference_steps
        return arrays

    def _read(self, reference: Path | np.ndarray) -> Image.Image | np.ndarray:
        """A picture from its file; features, float (T, C), as they are."""
        return reference if isinstance(reference, np.ndarray) else self._read_picture(reference)

    def _draw(
        self,
        group: list[ImageRequest],
        read: Callable[[str], Image.Image | np.ndarray],
        watch: _Watch,
    ) -> list[np.ndarray]:
        filled = group + [group[-1]] * (self.micro_batch - len(group))
        first = group[0]
        normalize = self._language.normalize
        made: Any = self.pipeline(
            [normalize(request.prompt) for request in filled],
            negative_prompt=[normalize(request.negative_prompt) for request in filled],
            num_inference_steps=first.num_inference_steps,
            guidance_scale=first.guidance_scale,
            references=[[read(sha256) for sha256, _ in r.references] for r in filled],
            reference_weights=[[weight for _, weight in r.references] for r in filled],
            generator=[generator_for(request.seed) for request in filled],
            output_type="np",
            callback_on_step_end=watch,
            **(self._parents(filled, read) if first.edit else {}),
        )
        return [self._to_size(made.images[i], request) for i, request in enumerate(group)]

    def _parents(self, requests: list[ImageRequest], read: Callable[[str], Any]) -> dict[str, Any]:
        """What the pipeline starts from where requests are edits."""
        height, width = self.pipeline.default_size
        images, masks, boxes = [], [], []
        for request in requests:
            edit = request.edit
            assert edit is not None
            frame, (top, left, bottom, right) = letterbox(read(edit.parent_sha256), height, width)
            images.append(frame)
            boxes.append([top / height, left / width, bottom / height, right / width])
            mask = np.zeros((height, width), np.float32)
            size = (right - left, bottom - top)
            chosen = Image.new("L", size, 255)
            if edit.mask_sha256:
                chosen = read(edit.mask_sha256).convert("L").resize(size, Image.Resampling.BOX)
            mask[top:bottom, left:right] = np.asarray(chosen, np.float32) / 255
            masks.append(mask)
        edit = requests[0].edit
        assert edit is not None
        return {
            "image": torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1,
            "mask_image": torch.from_numpy(np.stack(masks))[:, None],
            "valid_box": torch.tensor(boxes),
            "strength": float(edit.parameters.get("strength", 1.0)),
        }

    def _to_size(self, pixels: np.ndarray, request: ImageRequest) -> np.ndarray:
        if pixels.shape[:2] == (request.height, request.width):
            return pixels
        for _ in range(self._doublings(request)):
            assert self._enlarge is not None
            pixels = self._enlarge(pixels)
        if request.edit is not None:
            return self._cut_out(pixels, request)
        return fit(Image.fromarray(pixels), request.height, request.width)[0]

    def _cut_out(self, pixels: np.ndarray, request: ImageRequest) -> np.ndarray:
        """The inverse of `letterbox`: what lay in the frame, at its own size."""
        size = (request.width, request.height)
        blank = Image.new("RGB", size)
        _, (top, left, bottom, right) = letterbox(blank, *pixels.shape[:2])
        inner = Image.fromarray(pixels[top:bottom, left:right])
        return np.array(inner.resize(size, Image.Resampling.LANCZOS))

    def _doublings(self, request: ImageRequest) -> int:
        """How often a drawing is made twice as large on its way to the size asked for."""
        if self._enlarge is None:
            return 0
        sizes = zip((request.height, request.width), self.pipeline.default_size, strict=True)
        scale = min(wanted / drawn for wanted, drawn in sizes)
        return max(0, math.ceil(math.log2(scale / _LANCZOS_ENOUGH)))

    def checks(self, request: ImageRequest) -> dict[str, Any] | None:
        """How a size that the model does not draw came about; None where it drew it."""
        drawn = self.pipeline.default_size
        if drawn == (request.height, request.width):
            return None
        steps = ["network x2"] * self._doublings(request) + ["lanczos", "crop or pad"]
        return {"size": {"drawn": list(drawn), "steps": steps}}

    def advise(self, request: ImageRequest) -> list[MmgenWarning]:
        """Warnings of words that are not read, and of a prompt that names no garment.

        Raises `EmptyPrompt` where normalising leaves nothing to read.
        """
        text = self._language.normalize(request.prompt)
        if not text:
            raise EmptyPrompt(example=EXAMPLE_PROMPT)
        advice: list[MmgenWarning] = []
        readable = self.pipeline.tokenizer.model_max_length - 1
        if len(text) > readable:
            advice.append(PromptTruncated(limit=readable, rest=text[readable:]))
        if not self._language.speaks_of_clothes(request.prompt):
            advice.append(NotAGarment(prompt=request.prompt[:40]))
        return advice

    @property
    def environment(self) -> dict[str, Any]:
        """device, dtype, attention and micro_batch, for the record."""
        transformer = self.pipeline.transformer
        backend = transformer.blocks[0].attn1.processor._attention_backend
        return {
            "device": transformer.device.type,
            "dtype": str(transformer.dtype).removeprefix("torch."),
            "attention": getattr(backend, "value", None) or "native",
            "micro_batch": self.micro_batch,
        }

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> None:
        """Move the model; the micro-batch shape stays what it was."""
        self.pipeline.to(device, dtype) if dtype else self.pipeline.to(device)


def _groups(requests: Sequence[ImageRequest], size: int) -> list[list[ImageRequest]]:
    """Neighbours that one call can draw together: same steps and guidance, at most `size`."""
    groups: list[list[ImageRequest]] = []
    for request in requests:
        last = groups[-1] if groups else None
        if last and len(last) < size and _shape(last[0]) == _shape(request):
            last.append(request)
        else:
            groups.append([request])
    return groups


def _shape(request: ImageRequest) -> tuple[object, ...]:
    strength = request.edit.parameters.get("strength", 1.0) if request.edit else None
    return request.num_inference_steps, request.guidance_scale, strength


@dataclasses.dataclass(frozen=True, slots=True)
class _Watch:
    """diffusers' step callback -> `OnStep`, counting on from the groups before."""

    on_step: OnStep | None
    done: int
    of: int
    """Pictures finished, of all."""
    before: int
    total: int
    """Steps of the groups before, of all."""

    def __call__(
        self, pipeline: Any, index: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        latents = tensors["latents"]
        step = Step(
            index=self.before + index + 1,
            of=self.total,
            timestep=float(timestep),
            preview=lambda: list(pipeline.finish(latents, "pil")),
        )
        if self.on_step is not None and not self.on_step(step):
            raise Cancelled(done=self.done, total=self.of)
        return tensors
