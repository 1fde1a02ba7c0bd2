"""Chinese words -> labelled pictures: the front of every generator.

pipe = TextToImagePipeline.from_pretrained()
out = pipe("藏青色羊毛大衣", num_images_per_prompt=4, seed=7)
out.images[0].show()
out.save("out")
"""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import mmgen
from mmgen import limits, policy
from mmgen.errors import (
    Cancelled,
    Conflict,
    TooManyReferences,
    WrongType,
)
from mmgen.files.names import picture_name
from mmgen.files.read_picture import sha256_of
from mmgen.files.write import SavedPicture, save_picture
from mmgen.seeds import seeds_for
from mmgen.settings import load_settings
from mmgen.values import Generator, ImageRequest, OnStep, Step, check_whole, one_each

if TYPE_CHECKING:
    import torch

StepCallback = Callable[["TextToImagePipeline", int, float | None, dict[str, Any]], Any]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MadePicture:
    """One picture with everything that its label and record will say."""

    request: ImageRequest
    pixels: np.ndarray
    """uint8 (H, W, 3), sRGB."""
    model: Mapping[str, Any]
    """id, revision, sha256, licence."""
    adapters: tuple[Mapping[str, Any], ...] = ()
    references: tuple[Mapping[str, Any], ...] = ()
    scores: Mapping[str, Any] | None = None
    seen: Mapping[str, Any] | None = None
    checks: Mapping[str, Any] | None = None
    parent: str | None = None
    environment: Mapping[str, Any] | None = None

    @property
    def image(self) -> Image.Image:
        """A plain PIL picture. Its own `save` writes no label; use `MadePicture.save`."""
        return Image.fromarray(self.pixels)

    def save(
        self,
        folder: Path | str,
        *,
        name: str | None = None,
        format: str = "png",  # noqa: A002 - the word users know from every picture library
        visible_label: bool = False,
        overwrite: bool = False,
        job: Mapping[str, Any] | None = None,
    ) -> SavedPicture:
        """Write `folder/NAME.png` with its AI label, and `NAME.png.json` beside it.

        `name` defaults to the beginning of the prompt and the seed. `job`: job, item
        and row_key, for a picture made by a job. Raises
        `UnknownChoice`, `OutputNotWritable`, `OutputDiskFull`, `LabelLost`.
        """
        return save_picture(
            self.pixels,
            folder=folder,
            name=name or picture_name(self.request.prompt, self.request.seed),
            request=self.request,
            model=self.model,
            format=format,
            producer=load_settings().label_producer,
            visible=visible_label,
            overwrite=overwrite,
            adapters=self.adapters,
            references=self.references,
            scores=self.scores,
            seen=self.seen,
            checks=self.checks,
            parent=self.parent,
            environment=self.environment,
            job=job,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TextToImageOutput:
    """What `TextToImagePipeline` gives."""

    pictures: list[MadePicture]

    @property
    def images(self) -> list[Image.Image]:
        """Plain PIL pictures, in the order of prompts, then seeds."""
        return [picture.image for picture in self.pictures]

    @property
    def requests(self) -> list[ImageRequest]:
        """What was asked for each picture; its seed makes it again."""
        return [picture.request for picture in self.pictures]

    def save(
        self,
        folder: Path | str,
        *,
        names: Sequence[str] | None = None,
        format: str = "png",  # noqa: A002
        visible_label: bool = False,
        overwrite: bool = False,
    ) -> list[SavedPicture]:
        """Write every picture as `MadePicture.save` does; `names` without extension."""
        if names is not None and len(names) != len(self.pictures):
            raise WrongType(
                name="names", got=f"{len(names)} names", wanted=f"{len(self.pictures)} names"
            )
        return [
            picture.save(
                folder,
                name=name,
                format=format,
                visible_label=visible_label,
                overwrite=overwrite,
            )
            for picture, name in zip(
                self.pictures, names or itertools.repeat(None), strict=names is not None
            )
        ]


class TextToImagePipeline:
    """Any `Generator` with what every picture needs: checks, seeds, labels, records."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self._interrupt = False

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "embedded",
        *,
        device: str | torch.device = "auto",
        torch_dtype: torch.dtype | None = None,
        attention: str = "auto",
    ) -> TextToImagePipeline:
        """`embedded` (shipped with mmgen), or a folder in diffusers format.

        `device`: auto, cpu, cuda, cuda:N, mps. `torch_dtype`: bfloat16 where the
        hardware multiplies it, else float32. `attention`: a backend of
        diffusers' dispatcher. The folder is checked before anything is loaded:
        raises `ModelError` leaves, `DeviceMissing`, `UnknownChoice`.
        """
        from pipelines.components import load_generator

        return cls(
            load_generator(str(model), device=device, torch_dtype=torch_dtype, attention=attention)
        )

    def to(
        self, device: str | torch.device, torch_dtype: torch.dtype | None = None
    ) -> TextToImagePipeline:
        """Move the model to a device; returns the pipeline itself."""
        self.generator.to(device, torch_dtype)  # type: ignore[attr-defined]
        return self

    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        negative_prompt: str | Sequence[str] = "",
        num_images_per_prompt: int = 1,
        num_inference_steps: int = 24,
        guidance_scale: float = 4.0,
        height: int = 256,
        width: int = 192,
        seed: int | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        references: Sequence[Path | str] = (),
        reference_weights: Sequence[float] | None = None,
        on_step: OnStep | None = None,
        callback_on_step_end: StepCallback | None = None,
    ) -> TextToImageOutput:
        """Draw `num_images_per_prompt` pictures of each prompt, with seeds s, s+1, ...

        prompt                simplified or traditional Chinese, English words of
                              clothes and colours; one, or one a picture
        negative_prompt       what to keep away from; one for all, or one a prompt
        height, width         pixels, multiples of 16; sizes that the model does not
                              draw are made by scaling and padding
        seed                  or diffusers' `generator=` (one, or one a picture); none:
                              a random start, found in `requests`
        references            up to four picture files that the result should resemble
        on_step               `Step` -> False to stop within that step
        callback_on_step_end  diffusers' form: (pipeline, step, timestep, {}); set
                              `pipeline._interrupt = True` to stop

        Raises `RequestError` and `PictureError` leaves before anything is drawn,
        and `Cancelled`.
        """
        check_whole("num_images_per_prompt", num_images_per_prompt, 1, limits.NUM_IMAGES)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        negatives = one_each("negative_prompt", negative_prompt, len(prompts))
        pictures, weighted = _weigh(references, reference_weights)
        seeds = _seeds(seed, generator, len(prompts), num_images_per_prompt)
        requests = [
            ImageRequest(
                prompt=text,
                negative_prompt=negative,
                height=height,
                width=width,
                num_inference_steps=num_inference_steps,
                guidance_scale=guidance_scale,
                seed=one_seed,
                model=self.generator.id,
                references=weighted,
            )
            for text, negative, own_seeds in zip(prompts, negatives, seeds, strict=True)
            for one_seed in own_seeds
        ]
        self._interrupt = False
        watch = self._watch(requests, on_step, callback_on_step_end)
        return TextToImageOutput(pictures=list(self.stream(requests, pictures, on_step=watch)))

    def _watch(
        self,
        requests: Sequence[ImageRequest],
        on_step: OnStep | None,
        callback: StepCallback | None,
    ) -> OnStep:
        """Steps of all pictures counted through, told to both kinds of listener."""
        size = self.generator.micro_batch
        total = sum(request.num_inference_steps for request in requests[::size])
        counter = itertools.count(1)

        def watch(step: Step) -> bool:
            index = next(counter)
            goes_on = on_step is None or on_step(dataclasses.replace(step, index=index, of=total))
            if callback is not None:
                callback(self, index - 1, step.timestep, {})
            return goes_on and not self._interrupt

        return watch

    def stream(
        self,
        requests: Sequence[ImageRequest],
        pictures: Mapping[str, Path] | None = None,
        *,
        on_step: OnStep | None = None,
    ) -> Iterator[MadePicture]:
        """Pictures one after another, each as soon as it is drawn.

        `pictures` maps the sha256 of each reference to its file. `Step` counts
        the steps of the group in work, `micro_batch` pictures. All requests are
        checked before the first is drawn.
        """
        pictures = pictures or {}
        self._check(requests, pictures)
        size = self.generator.micro_batch
        for start in range(0, len(requests), size):
            group = requests[start : start + size]
            try:
                drawn = self.generator.generate(group, pictures, on_step)
            except Cancelled as error:
                raise Cancelled(done=start, total=len(requests)) from error
            for request, pixels in zip(group, drawn, strict=True):
                yield self._made(request, pixels)

    def _check(self, requests: Sequence[ImageRequest], pictures: Mapping[str, Path]) -> None:
        for request in requests:
            policy.check(request)
            for sha256, _ in request.references:
                if sha256 not in pictures:
                    raise WrongType(
                        name="references", got=sha256, wanted="the sha256 of a given picture"
                    )
        for request in {request.prompt: request for request in requests}.values():
            for warning in self.generator.advise(request):
                warnings.warn(warning, stacklevel=3)

    def _made(self, request: ImageRequest, pixels: np.ndarray) -> MadePicture:
        generator = self.generator
        return MadePicture(
            request=request,
            pixels=pixels,
            model={
                "id": generator.id,
                "revision": None,
                "sha256": generator.sha256,
                "licence": generator.licence,
            },
            references=tuple(
                {"sha256": sha256, "catalogue": None, "item": None, "licence": None, "score": None}
                for sha256, _ in request.references
            ),
            checks=generator.checks(request),
            environment={
                "mmgen": mmgen.__version__,
                "torch": version("torch"),
                "diffusers": version("diffusers"),
                **generator.environment,
            },
        )


def _weigh(
    references: Sequence[Path | str], weights: Sequence[float] | None
) -> tuple[dict[str, Path], tuple[tuple[str, float], ...]]:
    """sha256 -> file, and (sha256, weight) in the order given."""
    if isinstance(references, str | Path):
        references = [references]
    if len(references) > limits.NUM_REFERENCES:
        raise TooManyReferences(got=len(references), limit=limits.NUM_REFERENCES)
    if weights is not None and len(weights) != len(references):
        raise WrongType(
            name="reference_weights",
            got=f"{len(weights)} weights",
            wanted=f"{len(references)} weights",
        )
    paths = [Path(reference) for reference in references]
    digests = [sha256_of(path) for path in paths]
    weighted = tuple(zip(digests, weights or [1.0] * len(paths), strict=True))
    return dict(zip(digests, paths, strict=True)), weighted


def _seeds(seed: int | None, generator: Any, prompts: int, num_images: int) -> list[list[int]]:
    """The seeds of each prompt's pictures; every prompt starts at the same one."""
    if seed is not None and generator is not None:
        raise Conflict(first="seed", second="generator")
    if generator is None:
        return [seeds_for(seed, num_images)] * prompts
    import torch

    def draw(source: torch.Generator) -> int:
        return int(torch.randint(2**31, (1,), generator=source, device=source.device))

    count = prompts * num_images
    sources = [generator] * count if isinstance(generator, torch.Generator) else list(generator)
    if len(sources) != count:
        raise WrongType(
            name="generator", got=f"{len(sources)} generators", wanted=f"one or {count}"
        )
    drawn = [draw(source) for source in sources]
    return [drawn[i : i + num_images] for i in range(0, count, num_images)]
