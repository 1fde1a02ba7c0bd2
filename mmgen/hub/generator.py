"""Requests -> pixels: any hub model behind the `Generator` protocol."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmgen.adapter_file import AdapterFile, check_adapter
from mmgen.errors import (
    Cancelled,
    Missing,
    MmgenWarning,
    ModelError,
    NotMultiple,
    PromptTruncated,
    TooManyReferences,
    UnknownChoice,
)
from mmgen.hub import adapters, calls, edits
from mmgen.hub.families import MODELS, Family, HubModel
from mmgen.hub.memory import Ladder
from mmgen.values import Defaults, ImageRequest, OnStep, Step


class PixelsNotFinite(ModelError):
    code = "model.not_finite"
    template = (
        "{model} gave figures that are no numbers in {dtype}; use another number format"
        " (bfloat16 or float32)"
    )


class SizeUnusual(MmgenWarning):
    code = "model.size_unusual"
    template = "{model} was trained for sides of {low} to {high} pixels; {got} may come out broken"


class NegativeUnused(MmgenWarning):
    code = "model.negative_unused"
    template = "{model} does not read a negative prompt at guidance {guidance}; it has no effect"


class PictureWithheld(MmgenWarning):
    code = "model.picture_withheld"
    template = "the safety checker of {model} blackened the picture of seed {seed}"


class HubGenerator:
    """Implements `mmgen.values.Generator` with a pipeline of diffusers.

    Pictures are drawn one by one unless the family fills its prompts up to one
    length; then `micro_batch` of them, always that many, so that a picture's
    bytes do not depend on its neighbours.
    """

    def __init__(
        self,
        pipeline: Any,
        row: HubModel,
        *,
        id: str,  # noqa: A002 - the protocol's word
        sha256: str,
        licence: str,
        revision: str | None = None,
        ladder: Ladder,
        read_picture: Callable[[Path], Image.Image],
        attention: str = "native",
        micro_batch: int | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.row = row
        self.id, self.sha256, self.licence = id, sha256, licence
        self.revision = revision
        self.ladder = ladder
        self.attention = attention
        self.micro_batch = (micro_batch or 1) if row.family.batches else 1
        self._read_picture = read_picture
        self._adapters: dict[str, AdapterFile] = {}

    def load_adapter(self, path: Path) -> str:
        """The id, for `ImageRequest.adapters`, of the LoRA file or folder at `path`.

        The id is the sha256 of the file. Raises the errors of `check_adapter` and
        `adapters.put_on`; a refused file leaves the model as it was.
        """
        adapter = check_adapter(path)
        if adapter.sha256 not in self._adapters:
            name = adapter.sha256[:32]
            adapters.put_on(self.pipeline, self.family, self.id, adapter, name)
            self._adapters[adapter.sha256] = adapter
        return adapter.sha256

    def adapter_facts(self, request: ImageRequest) -> tuple[dict[str, Any], ...]:
        """id, sha256 and weight of each adapter of `request`, for the record."""
        return tuple(
            {"id": self._adapters[one].path.name, "sha256": one, "weight": weight}
            for one, weight in request.adapters
        )

    @property
    def family(self) -> Family:
        """How the pipeline is called."""
        return self.row.family

    @property
    def defaults(self) -> Defaults:
        """Size, steps and guidance where the user names none."""
        return self.row.defaults

    @property
    def environment(self) -> dict[str, Any]:
        """device, dtype, attention, micro_batch and where the weights lie, for the record."""
        denoiser = getattr(self.pipeline, self.family.denoiser)
        return {
            "device": self.ladder.device.type,
            "dtype": str(denoiser.dtype).removeprefix("torch."),
            "attention": self.attention,
            "micro_batch": self.micro_batch,
            "placement": self.ladder.rung.name,
        }

    def advise(self, request: ImageRequest) -> list[MmgenWarning]:
        """Warnings of an unusual size and of words that are not read.

        Raises `NotMultiple`, `Missing`, `TooManyReferences` or `UnknownChoice` where
        the family cannot do what is asked.
        """
        self._check(request)
        advice: list[MmgenWarning] = []
        low, high = self.row.sides
        height, width = self._drawn_size(request)
        if min(height, width) < low or max(height, width) > high:
            got = f"{width}x{height}"
            advice.append(SizeUnusual(model=self.id, low=low, high=high, got=got))
        if request.negative_prompt and not (
            self.family.has_negative and calls.uses_negative(self.family, request)
        ):
            advice.append(NegativeUnused(model=self.id, guidance=request.guidance_scale))
        return [*advice, *self._unread(request)]

    def _drawn_size(self, request: ImageRequest) -> tuple[int, int]:
        if request.edit is None:
            return request.height, request.width
        return edits.drawn_size(self.row, request.height, request.width)

    def _check(self, request: ImageRequest) -> None:
        step = self.family.side_multiple
        if request.edit is not None:
            edits.check_edit(self.row, self.id, request.edit, tuple(MODELS.values()))
        for name, side in zip(("height", "width"), self._drawn_size(request), strict=True):
            if side % step:
                raise NotMultiple(name=name, got=side, of=step, near=round(side / step) * step)
        for adapter, _ in request.adapters:
            if adapter not in self._adapters:
                loaded = ", ".join(self._adapters) or "none"
                raise UnknownChoice(name="adapters", got=adapter, allowed=loaded)
        given = len(request.references)
        if self.family.edits and not given and request.edit is None:
            raise Missing(
                name="--reference", advice=f"{self.id} edits pictures: give one to four of them"
            )
        if request.edit is None and given and not self.family.edits:
            if not self.family.img2img:
                raise UnknownChoice(
                    name="references", got=f"{given} pictures", allowed=f"none for {self.id}"
                )
            if given > 1:
                raise TooManyReferences(got=given, limit=1)

    def _unread(self, request: ImageRequest) -> list[MmgenWarning]:
        """A warning when the prompt is longer than the text encoder reads."""
        tokenizer = getattr(self.pipeline, "tokenizer", None)
        limit = getattr(tokenizer, "model_max_length", None)
        if tokenizer is None or not isinstance(limit, int) or limit > 4096:
            return []
        ids = tokenizer(request.prompt, add_special_tokens=True)["input_ids"]
        if len(ids) <= limit:
            return []
        rest = tokenizer.decode(ids[limit - 1 : -1], skip_special_tokens=True)
        return [PromptTruncated(limit=limit, rest=rest)]

    def checks(self, request: ImageRequest) -> Mapping[str, Any] | None:
        """How a reference was used, where it is the start; the size of an edit; else None."""
        if request.edit is not None:
            return {"size": {"drawn": list(self._drawn_size(request)), "steps": ["lanczos"]}}
        if request.references and not self.family.edits:
            return {"reference": {"strength": calls.strength_of(request)}}
        return None

    def generate(
        self,
        requests: Sequence[ImageRequest],
        pictures: Mapping[str, Path],
        on_step: OnStep | None = None,
    ) -> list[np.ndarray]:
        """One uint8 (H, W, 3) array a request, in their order.

        When the device's memory runs out, the weights are placed lower on the
        ladder and the group is drawn again; steps, size and seed never change.
        Raises `Cancelled` when `on_step` returns False, `PictureError` when a
        reference cannot be read, `PixelsNotFinite`, `OutOfMemory`.
        """
        for request in requests:
            self._check(request)
        arrays: list[np.ndarray] = []
        read = functools.cache(lambda sha256: self._read_picture(pictures[sha256]))
        groups = _groups(requests, self.micro_batch)
        for index, group in enumerate(groups):
            watch = _Watch(self, group[0], on_step, (index, len(groups)), len(arrays), requests)
            draw = functools.partial(self._draw, group, read, watch)
            arrays += self.ladder.run(self.pipeline, draw)
        return arrays

    def _draw(
        self,
        group: list[ImageRequest],
        read: Callable[[str], Image.Image],
        watch: _Watch,
    ) -> list[np.ndarray]:
        filled = group + [group[-1]] * (self.micro_batch - len(group))
        given = [[read(sha256) for sha256, _ in request.references] for request in filled]
        pipeline, options = self.pipeline, calls.arguments(self.family, filled, given, watch)
        if group[0].edit is not None:
            pipeline = self._over_the_same_weights(edits.pipeline_for(self.family, group[0].edit))
            options |= edits.starting_points(self.row, filled, read)
        elif group[0].references and not self.family.edits:
            pipeline = self._over_the_same_weights(self.family.img2img)
            options["image"] = [_framed(one[0], filled[0]) for one in given]
            options["strength"] = calls.strength_of(group[0])
        named = tuple((one[:32], weight) for one, weight in group[0].adapters)
        adapters.use(self.pipeline, self.family, named)
        with calls.own_randomness(self.family, group[0].seed):
            made = pipeline(**options)
        self._check_pixels(made.images)
        withheld = getattr(made, "nsfw_content_detected", None) or []
        for request, is_black in zip(group, withheld, strict=False):
            if is_black:
                said = PictureWithheld(model=self.id, seed=request.seed)
                warnings.warn(said, stacklevel=2)
        pixels = np.round(made.images * 255).astype(np.uint8)
        return [
            edits.cut_out(pixels[index], request) if request.edit else pixels[index]
            for index, request in enumerate(group)
        ]

    def _over_the_same_weights(self, name: str) -> Any:
        """The pipeline class `name` of diffusers with the parts of this one."""
        import diffusers

        kind = getattr(diffusers, name)
        pipeline = kind.from_pipe(self.pipeline)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _check_pixels(self, images: np.ndarray) -> None:
        if not np.isfinite(images).all():
            raise PixelsNotFinite(model=self.id, dtype=self.environment["dtype"])

    def to(self, device: Any, dtype: Any = None) -> None:
        """Move the weights to `device`, all of them."""
        if dtype is not None:
            self.pipeline.to(dtype=dtype)
        self.ladder.move(self.pipeline, device)


def _framed(picture: Image.Image, request: ImageRequest) -> Image.Image:
    from mmgen.framing import fit

    return Image.fromarray(fit(picture, request.height, request.width)[0])


def _groups(requests: Sequence[ImageRequest], size: int) -> list[list[ImageRequest]]:
    """Neighbours that one call can draw: alike in all but words and seeds, at most `size`."""
    groups: list[list[ImageRequest]] = []
    for request in requests:
        last = groups[-1] if groups else None
        if last and len(last) < size and _shape(last[0]) == _shape(request):
            last.append(request)
        else:
            groups.append([request])
    return groups


def _shape(request: ImageRequest) -> tuple[Any, ...]:
    return (
        *(request.height, request.width, request.num_inference_steps, request.guidance_scale),
        *(request.references, request.adapters, request.edit),
    )


class _Watch:
    """diffusers' step callback -> `OnStep`, counted through all groups."""

    def __init__(
        self,
        generator: HubGenerator,
        request: ImageRequest,
        on_step: OnStep | None,
        place: tuple[int, int],
        done: int,
        requests: Sequence[ImageRequest],
    ) -> None:
        self._generator, self._request, self._on_step = generator, request, on_step
        self._group, self._groups = place
        self._done, self._of = done, len(requests)

    def __call__(
        self, pipeline: Any, index: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        steps = getattr(pipeline, "num_timesteps", None) or self._request.num_inference_steps
        latents, (height, width) = tensors["latents"], self._generator._drawn_size(self._request)
        step = Step(
            index=self._group * steps + index + 1,
            of=self._groups * steps,
            timestep=float(timestep),
            preview=lambda: calls.decode(self._generator.family, pipeline, latents, height, width),
        )
        if self._on_step is not None and not self._on_step(step):
            raise Cancelled(done=self._done, total=self._of)
        return tensors
