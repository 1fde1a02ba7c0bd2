"""What travels between the parts: requests, records, steps and the two protocols.

No torch here: the job store, the label and the command line import this file.
Every dataclass is frozen and keyword-only, refuses bad values when built, and
has one canonical JSON form (sorted keys, no spaces, UTF-8, no NaN).
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mmgen import errors, limits

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

EXAMPLE_PROMPT = "蓝白格子长袖衬衫,挂在白墙前"
RECORD_SCHEMA = "mmgen.image/1"
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN, Chinese kept."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def check_prompt(prompt: Any, name: str = "prompt", *, may_be_empty: bool = False) -> None:
    """Raise unless `prompt` is text of 1 to 1,000 characters that UTF-8 can carry."""
    if not isinstance(prompt, str):
        raise errors.WrongType(name=name, got=repr(prompt)[:60], wanted="text")
    if not may_be_empty and not prompt.strip():
        raise errors.EmptyPrompt(example=EXAMPLE_PROMPT)
    if len(prompt) > limits.PROMPT_CHARACTERS:
        raise errors.PromptTooLong(got=len(prompt), limit=limits.PROMPT_CHARACTERS)
    if bad := _NO_TEXT.search(prompt):
        raise errors.PromptBadCharacter(character=f"U+{ord(bad[0]):04X}", position=bad.start() + 1)


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    """Raise unless `value` is a whole number in [low, high]; True is not one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise errors.WrongType(name=name, got=repr(value)[:60], wanted="a whole number")
    if not low <= value <= high:
        raise errors.OutOfRange(name=name, got=value, low=low, high=high)


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Raise unless `value` is a finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise errors.WrongType(name=name, got=repr(value)[:60], wanted="a number")
    if not (math.isfinite(value) and low <= value <= high):
        raise errors.OutOfRange(name=name, got=value, low=low, high=high)


def check_side(name: str, value: Any) -> None:
    """Raise unless `value` is a picture side in pixels that models can draw."""
    check_whole(name, value, *limits.SIDE_PX)
    step = limits.SIDE_MULTIPLE_PX
    if value % step:
        raise errors.NotMultiple(name=name, got=value, of=step, near=round(value / step) * step)


def one_each(name: str, value: str | Sequence[str], count: int) -> list[str]:
    """`value` as `count` texts: one text serves all; raises `WrongType` on another number."""
    values = [value] * count if isinstance(value, str) else list(value)
    if len(values) != count:
        got, wanted = f"{len(values)} texts", f"one text or {count}"
        raise errors.WrongType(name=name, got=got, wanted=wanted)
    return values


def _check_weighted(name: str, pairs: Any) -> None:
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise errors.WrongType(name=name, got=repr(pair)[:60], wanted="(id, weight)")
        check_number(f"{name} weight", pair[1], *limits.WEIGHT)


def _check_keys(kind: type, data: Mapping[str, Any]) -> None:
    allowed = [field.name for field in dataclasses.fields(kind)]
    for key in data:
        if key not in allowed:
            raise errors.UnknownKey(got=key, allowed=", ".join(allowed))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Defaults:
    """What a model uses where the user names nothing; these are the embedded model's."""

    height: int = 256
    width: int = 192
    num_inference_steps: int = 24
    guidance_scale: float = 4.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """How a request starts from an existing picture; enough to do it again."""

    operation: str
    """edit, recolour, background, upscale or size."""
    parent_sha256: str
    """Of the picture file, which travels beside the request as references do."""
    mask_sha256: str | None = None
    """Of the mask file, where one was given."""
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImageRequest:
    """One picture to be made; n pictures are n requests with seeds s, s+1, ..."""

    prompt: str
    """As typed, 1 to 1,000 characters; may be empty for an edit."""
    negative_prompt: str = ""
    height: int = 256
    """Pixels, a multiple of 16; of an edited picture any number from 16."""
    width: int = 192
    num_inference_steps: int = 24
    guidance_scale: float = 4.0
    """1.0 follows the prompt without guidance; 0 ignores the prompt."""
    seed: int = 0
    """0 to 2**63 - 1."""
    model: str = "embedded"
    adapters: tuple[tuple[str, float], ...] = ()
    """(adapter id, weight) in the order they are applied."""
    references: tuple[tuple[str, float], ...] = ()
    """(sha256 of the picture file, weight); the pictures travel beside the request."""
    edit: Edit | None = None

    def __post_init__(self) -> None:
        # A picture that exists needs no words, and has the size that it has.
        check_prompt(self.prompt, may_be_empty=self.edit is not None)
        check_prompt(self.negative_prompt, "negative_prompt", may_be_empty=True)
        for name in ("height", "width"):
            if self.edit is None:
                check_side(name, getattr(self, name))
            else:
                check_whole(name, getattr(self, name), *limits.EDITED_SIDE_PX)
        check_whole("num_inference_steps", self.num_inference_steps, *limits.NUM_INFERENCE_STEPS)
        check_number("guidance_scale", self.guidance_scale, *limits.GUIDANCE_SCALE)
        object.__setattr__(self, "guidance_scale", float(self.guidance_scale))
        check_whole("seed", self.seed, *limits.SEED)
        _check_weighted("adapters", self.adapters)
        _check_weighted("references", self.references)
        if len(self.references) > limits.NUM_REFERENCES:
            raise errors.TooManyReferences(got=len(self.references), limit=limits.NUM_REFERENCES)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: tuples become lists."""
        data: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ImageRequest:
        """The request of `to_dict`; an unknown key raises `UnknownKey`."""
        _check_keys(cls, data)
        values = dict(data)
        for name in ("adapters", "references"):
            if name in values:
                values[name] = tuple(tuple(pair) for pair in values[name])
        if values.get("edit") is not None:
            _check_keys(Edit, values["edit"])
            values["edit"] = Edit(**values["edit"])
        return cls(**values)

    def canonical_json(self) -> str:
        """The text that identity is hashed from."""
        return canonical_json(self.to_dict())


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImageRecord:
    """What `NAME.png.json` says of the picture beside it.

    Neither clock, owner, host nor absolute path; parts that are absent are None.
    Later work adds keys under `checks` and `seen` only.
    """

    file: Mapping[str, Any]
    """name, sha256, format, width, height."""
    pixels_sha256: str
    request: Mapping[str, Any]
    model: Mapping[str, Any]
    """id, revision, sha256, licence."""
    adapters: Sequence[Mapping[str, Any]] = ()
    references: Sequence[Mapping[str, Any]] = ()
    """sha256, catalogue, item, licence, score."""
    scores: Mapping[str, Any] | None = None
    """text_image, rank, candidates."""
    seen: Mapping[str, Any] | None = None
    checks: Mapping[str, Any] | None = None
    parent: str | None = None
    label: Mapping[str, Any] | None = None
    visible_label: bool = False
    environment: Mapping[str, Any] | None = None
    """mmgen, torch, diffusers, device, dtype, attention, micro_batch."""
    job: Mapping[str, Any] | None = None
    """job, item, row_key."""

    def to_json(self) -> str:
        """Indented UTF-8 JSON with the schema first."""
        data = {"schema": RECORD_SCHEMA, **dataclasses.asdict(self)}
        return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ImageRecord:
        """The record of `to_json`; another schema or an unknown key raises."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("schema") != RECORD_SCHEMA:
            got = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise errors.UnknownChoice(name="schema", got=got, allowed=RECORD_SCHEMA)
        del data["schema"]
        _check_keys(cls, data)
        return cls(**data)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Progress within a group of pictures."""

    index: int
    """Steps done, 1 to `of`."""
    of: int
    timestep: float | None = None
    """The scheduler's time of this step, for models that have one."""
    preview: Callable[[], list[Image]] | None = None
    """Decodes what is there; called only by who wants to see it."""


OnStep = Callable[[Step], bool]
"""Returns False to stop within the step."""


@runtime_checkable
class Generator(Protocol):
    """Anything that turns requests into pixels; jobs, page and HTTP know nothing else."""

    id: str
    sha256: str
    licence: str
    micro_batch: int

    @property
    def environment(self) -> Mapping[str, Any]:
        """device, dtype, attention and micro_batch, for the record."""
        ...

    def advise(self, request: ImageRequest) -> list[errors.MmgenWarning]:
        """What the user should know before `request` is drawn; often nothing."""
        ...

    def checks(self, request: ImageRequest) -> Mapping[str, Any] | None:
        """What the record says of how `request` was met, such as its size; often None."""
        ...

    def generate(
        self,
        requests: Sequence[ImageRequest],
        pictures: Mapping[str, Any],
        on_step: OnStep | None = None,
    ) -> list[np.ndarray]:
        """Pixels, one uint8 (H, W, 3) array a request, in their order.

        `pictures` maps the sha256 of each reference to its file, or to features
        float32 (T, C) that the generator's own image encoder made of it.
        Raises `Cancelled` when `on_step` returns False.
        """
        ...


@runtime_checkable
class Retriever(Protocol):
    """Two towers that put words and pictures into one space."""

    sha256: str

    def encode_text(self, texts: list[str]) -> np.ndarray:
        """float32 (B, E), rows of length 1."""
        ...

    def encode_image(self, images: list[Image]) -> np.ndarray:
        """float32 (B, E), rows of length 1."""
        ...
