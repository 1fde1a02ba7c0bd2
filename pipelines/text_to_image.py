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

import mmgen
from mmgen import limits, policy
from mmgen.errors import (
    Cancelled,
    Conflict,
    TooManyReferences,
    UnknownChoice,
    WrongType,
)
from mmgen.files.read_picture import sha256_of
from mmgen.seeds import seeds_for
from mmgen.values import (
    Defaults,
    Generator,
    ImageRequest,
    OnStep,
    Step,
    check_number,
    check_whole,
    one_each,
)
from pipelines.exact_colour import exact
from pipelines.made_picture import MadePicture, TextToImageOutput
from pipelines.references import check_references, records_of, sources_of

if TYPE_CHECKING:
    import torch

    from pipelines.catalogue import Catalogue
    from pipelines.collections import BuiltinCatalogue
    from pipelines.rank import Ranker
    from pipelines.references import Reference
    from pipelines.search import Filters

StepCallback = Callable[["TextToImagePipeline", int, float | None, dict[str, Any]], Any]


class TextToImagePipeline:
    """Any `Generator` with what every picture needs: checks, seeds, labels, records."""

    def __init__(self, generator: Generator, *, ranker: Ranker | None = None) -> None:
        self.generator = generator
        self._ranker = ranker
        self._interrupt = False
        self._adapters: dict[str, float] = {}

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "embedded",
        *,
        device: str | torch.device = "auto",
        torch_dtype: torch.dtype | None = None,
        attention: str = "auto",
        accept_licence: bool = False,
        placement: str = "auto",
    ) -> TextToImagePipeline:
        """`embedded` (shipped with mmgen), a fetched hub model, or a folder in diffusers format.

        `device`: auto, cpu, cuda, cuda:N, mps. `torch_dtype`: bfloat16 where the
        hardware multiplies it, else float32. `attention`: a backend of
        diffusers' dispatcher. The folder is checked before anything is loaded:
        raises `ModelError` leaves, `DeviceMissing`, `UnknownChoice`. For hub models:
        `accept_licence` accepts a licence that limits commercial use, once;
        `placement` says where weights lie (`mmgen.hub.memory`; auto: by free memory).
        """
        from pipelines.components import load_generator

        return cls(
            load_generator(
                str(model),
                device=device,
                torch_dtype=torch_dtype,
                attention=attention,
                accept_licence=accept_licence,
                placement=placement,
            )
        )

    def load_lora_weights(self, path: Path | str, *, weight: float = 1.0) -> str:
        """Draw with the LoRA in this file or folder from now on, at `weight` (0 to 2).

        Given again, its weight changes. Returns its id, the sha256 of the file. It is
        checked before it touches the model: raises `AdapterMissing`, `AdapterPickle`,
        `AdapterBroken`, `AdapterUnfit`, and `UnknownChoice` for a model that takes none.
        """
        load = getattr(self.generator, "load_adapter", None)
        if load is None:
            allowed = f"none for {self.generator.id}"
            raise UnknownChoice(name="adapters", got=Path(path).name, allowed=allowed)
        from pipelines.hub_models import quiet_loading

        check_number("weight", weight, *limits.WEIGHT)
        with quiet_loading():
            adapter: str = load(Path(path))
        self._adapters[adapter] = float(weight)
        return adapter

    def unload_lora_weights(self) -> None:
        """Draw with the model's own weights again."""
        self._adapters.clear()

    @property
    def adapters(self) -> tuple[tuple[str, float], ...]:
        """(id, weight) of the adapters in use, as requests carry them."""
        return tuple(self._adapters.items())

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
        candidates: int | None = None,
        diverse: bool = False,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        height: int | None = None,
        width: int | None = None,
        seed: int | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        references: Sequence[Path | str] | str = (),
        reference_weights: Sequence[float] | None = None,
        num_references: int = 3,
        catalogue: str | Catalogue | BuiltinCatalogue | None = None,
        filters: Filters | None = None,
        background: str | None = None,
        preset: str | None = None,
        on_step: OnStep | None = None,
        callback_on_step_end: StepCallback | None = None,
    ) -> TextToImageOutput:
        """Draw `num_images_per_prompt` pictures of each prompt, with seeds s, s+1, ...

        prompt                simplified or traditional Chinese, English words of
                              clothes and colours; one, or one a picture
        negative_prompt       what to keep away from; one for all, or one a prompt
        candidates            draw this many of each prompt, with seeds s, s+1, ..., and keep
                              the `num_images_per_prompt` that meet it best, best first
        diverse               of the best, those that are least alike; four candidates a
                              picture where `candidates` is not said
        num_inference_steps,  default: the model's own; of the embedded model 24 and 4.0
        guidance_scale
        height, width         pixels, multiples of 16; default: the model's own (embedded:
                              256 and 192); sizes that it does not draw are made by
                              scaling and padding
        seed                  or diffusers' `generator=` (one, or one a picture); none:
                              a random start, found in `requests`
        references            up to four picture files that the result should resemble, or
                              "auto": what a catalogue holds that is nearest to each prompt
        num_references,       with "auto": how many, 1 to 4; which catalogue (default: the
        catalogue, filters    user's, else the built-in one); as `Catalogue.search` takes them
        background            white, #RRGGBB, a Chinese colour name or "transparent": the
                              garment is cut out and put on it; `checks` say how pure it is
        preset                a shop's size, such as "taobao-main"; enlarged, never stretched
        on_step               `Step` -> False to stop within that step
        callback_on_step_end  diffusers' form: (pipeline, step, timestep, {}); set
                              `pipeline._interrupt = True` to stop

        Raises `RequestError` and `PictureError` leaves before anything is drawn,
        and `Cancelled`.
        """
        check_whole("num_images_per_prompt", num_images_per_prompt, 1, limits.NUM_IMAGES)
        if diverse and candidates is None:
            candidates = min(4 * num_images_per_prompt, limits.NUM_IMAGES)
        drawn = num_images_per_prompt if candidates is None else candidates
        check_whole("candidates", drawn, num_images_per_prompt, limits.NUM_IMAGES)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        finisher = _finisher(background, preset)
        negatives = one_each("negative_prompt", negative_prompt, len(prompts))
        pictures, weighted = self._references(
            prompts, references, reference_weights, num_references, catalogue, filters
        )
        own: Defaults = getattr(self.generator, "defaults", Defaults())
        seeds = _seeds(seed, generator, len(prompts), drawn)
        requests = [
            ImageRequest(
                prompt=text,
                negative_prompt=negative,
                height=own.height if height is None else height,
                width=own.width if width is None else width,
                num_inference_steps=own.num_inference_steps
                if num_inference_steps is None
                else num_inference_steps,
                guidance_scale=own.guidance_scale if guidance_scale is None else guidance_scale,
                seed=one_seed,
                model=self.generator.id,
                adapters=self.adapters,
                references=weighted[text],
            )
            for text, negative, own_seeds in zip(prompts, negatives, seeds, strict=True)
            for one_seed in own_seeds
        ]
        self._interrupt = False
        watch = self._watch(requests, on_step, callback_on_step_end)
        stream = self.stream(requests, pictures, on_step=watch)
        if candidates is not None:
            from pipelines.best_of import best_of

            stream = best_of(
                stream, self.ranker, keep=num_images_per_prompt, of=candidates, diverse=diverse
            )
        return TextToImageOutput(pictures=list(finisher(stream)))

    @property
    def ranker(self) -> Ranker:
        """What scores candidates: the retrieval towers and tag heads, loaded on first use."""
        if self._ranker is None:
            from pipelines.rank import Ranker

            self._ranker = Ranker.from_pretrained()
        return self._ranker

    def _references(
        self,
        prompts: Sequence[str],
        references: Sequence[Path | str] | str,
        weights: Sequence[float] | None,
        num_references: int,
        catalogue: str | Catalogue | BuiltinCatalogue | None,
        filters: Filters | None,
    ) -> tuple[dict[str, Path | Reference], dict[str, tuple[tuple[str, float], ...]]]:
        """sha256 -> what it stands for, and (sha256, weight) of each prompt."""
        if references != "auto":
            files, weighted = _weigh(references, weights)
            return dict(files), dict.fromkeys(prompts, weighted)
        if weights is not None:
            raise Conflict(first="reference_weights", second='references="auto"')
        from pipelines.collections import open_collection
        from pipelines.references import retrieve

        check_whole("num_references", num_references, 1, limits.NUM_REFERENCES)
        if catalogue is None or isinstance(catalogue, str):
            catalogue = open_collection(catalogue)
        found: dict[str, Path | Reference] = {}
        of_prompt = {}
        for prompt in dict.fromkeys(prompts):
            each = retrieve(prompt, catalogue, num_references, filters=filters)
            found.update({reference.sha256: reference for reference in each})
            of_prompt[prompt] = tuple((reference.sha256, 1.0) for reference in each)
        return found, of_prompt

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
        pictures: Mapping[str, Path | Reference] | None = None,
        *,
        on_step: OnStep | None = None,
    ) -> Iterator[MadePicture]:
        """Pictures one after another, each as soon as it is drawn.

        `pictures` maps the sha256 of each reference to its file, or to what a
        catalogue gave (`pipelines.references.Reference`). `Step` counts the steps
        of the group in work, `micro_batch` pictures. All requests are checked
        before the first is drawn.
        """
        pictures = pictures or {}
        self._check(requests, pictures)
        sources = sources_of(pictures)
        size = self.generator.micro_batch
        for start in range(0, len(requests), size):
            group = requests[start : start + size]
            try:
                drawn = self.generator.generate(group, sources, on_step)
            except Cancelled as error:
                raise Cancelled(done=start, total=len(requests)) from error
            for request, pixels in zip(group, drawn, strict=True):
                yield self._made(request, pixels, pictures)

    def _check(
        self, requests: Sequence[ImageRequest], pictures: Mapping[str, Path | Reference]
    ) -> None:
        check_references(pictures, self.generator)
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

    def _made(
        self,
        request: ImageRequest,
        pixels: np.ndarray,
        pictures: Mapping[str, Path | Reference],
    ) -> MadePicture:
        generator = self.generator
        checks = generator.checks(request)
        pixels, colour = exact(request.prompt, pixels)
        if colour is not None:
            checks = {**(checks or {}), "colour": colour}
        return MadePicture(
            request=request,
            pixels=pixels,
            model={
                "id": generator.id,
                "revision": getattr(generator, "revision", None),
                "sha256": generator.sha256,
                "licence": generator.licence,
            },
            adapters=_adapter_facts(generator, request),
            references=records_of(request.references, pictures),
            checks=checks,
            environment={
                "mmgen": mmgen.__version__,
                "torch": version("torch"),
                "diffusers": version("diffusers"),
                **generator.environment,
            },
        )


def _finisher(
    background: str | None, preset: str | None
) -> Callable[[Iterator[MadePicture]], Iterator[MadePicture]]:
    """What puts drawings on a ground and into a size; the drawings as they are without."""
    if background is None and preset is None:
        return iter
    from pipelines.background import BackgroundPipeline, finish_of

    finish = finish_of(background, preset)
    assert finish is not None
    pipe = BackgroundPipeline.from_pretrained()
    return lambda drawn: pipe.finished(drawn, finish)


def _adapter_facts(generator: Generator, request: ImageRequest) -> tuple[dict[str, Any], ...]:
    facts = getattr(generator, "adapter_facts", None)
    return tuple(facts(request)) if facts and request.adapters else ()


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
