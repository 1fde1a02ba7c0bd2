"""Pictures -> what they show: category, colours, patterns, sleeve, ... with probabilities.

tagger = Tagger.from_pretrained()
tags = tagger.tag([picture])[0]
tags.guesses["category"]   # (("衬衫", 0.81), ("T恤", 0.07), ...)
tags.sure                  # {"category": ("衬衫",), "colors": ("蓝",), ...}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mmgen.assets import asset_path
from mmgen.errors import ModelError, ModelUnsupported
from mmgen.model_folder import check_model_folder
from mmgen.retrieval.heads import ALSO, AttributeHeads, look
from mmgen.retrieval.retriever import TowerRetriever
from mmgen.text.vocabulary import colour_family
from pipelines.agreement import FAMILY
from pipelines.retrievers import load_retriever

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmgen.values import Retriever

NONE = ""
"""The value of an attribute that the garment does not have: no sleeve on trousers."""
PLAIN = "纯色"
SURE = 0.5
"""Probability from which on a value is asserted."""
GUESSES = 5
"""Values told of an attribute, likeliest first."""
NEVER_NEAR = 2.0
"""More than any cosine: for towers of which nothing is known, no likeness is too near."""
HEADS_CLASSES = frozenset({("mmgen.retrieval.heads", "AttributeHeads")})
_CHUNK = 32

Guess = tuple[str, float]
"""A value and its probability."""


class HeadsOfOtherTowers(ModelError):
    code = "tags.other_towers"
    template = (
        "the tag heads in {path} stand on other towers ({wanted}) than those in use ({got}); "
        "train them again with mmgen train tags"
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tags:
    """What is seen in one picture."""

    guesses: Mapping[str, tuple[Guess, ...]]
    """Attribute -> its likeliest values with probabilities, best first; `NONE` is one of
    them. `colour_family` sums the colours of each family."""
    also: Mapping[str, tuple[Guess, ...]]
    """colors, patterns -> each value's probability of being there at all, best first."""

    @property
    def sure(self) -> dict[str, tuple[str, ...]]:
        """Attribute -> the values asserted, main one first; what is not sure is absent.

        As rows of `metadata.jsonl` have them. A colour of which only the family is
        sure stands under `colour_family` alone.
        """
        sure: dict[str, tuple[str, ...]] = {}
        for name, guesses in self.guesses.items():
            value, probability = guesses[0]
            if probability >= SURE and value != NONE:
                sure[name] = (value, *self._further(name, value))
        return sure

    def _further(self, name: str, main: str) -> Iterator[str]:
        """What is there beside the main value; nothing is beside "plain"."""
        for value, probability in self.also.get(name, ()):
            is_plain = PLAIN in (main, value)
            if probability >= SURE and value != main and not is_plain:
                yield value

    def probability(self, name: str, value: str) -> float:
        """Of `value` being there, as far as it was told; 0 for what is not among the guesses."""
        told = [*self.guesses.get(name, ()), *self.also.get(name, ())]
        return max((p for one, p in told if one == value), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: what is sure, then every guess with its probability to 3 places."""
        return {
            "sure": {name: list(values) for name, values in self.sure.items()},
            "guesses": _rounded(self.guesses),
            "also": _rounded(self.also),
        }


def _rounded(guesses: Mapping[str, tuple[Guess, ...]]) -> dict[str, dict[str, float]]:
    return {
        name: {value or "none": round(p, 3) for value, p in found}
        for name, found in guesses.items()
    }


class Tagger:
    """Image tower and heads; `tagger(images)` gives what a catalogue keeps."""

    def __init__(self, retriever: TowerRetriever, heads: AttributeHeads) -> None:
        """Raises `HeadsOfOtherTowers` unless `heads` were trained on these towers."""
        if heads.config.towers_sha256 != retriever.sha256:
            raise HeadsOfOtherTowers(
                path=getattr(heads, "name_or_path", "") or "tags",
                wanted=heads.config.towers_sha256[:12] or "-",
                got=retriever.sha256[:12],
            )
        self.retriever = retriever
        self.heads = heads.float().eval()
        self.labels: dict[str, list[str]] = dict(heads.config.labels)
        families = [colour_family(name) for name in self.labels["colors"]]
        self.families = list(dict.fromkeys(families))
        self._family_of = torch.tensor([self.families.index(one) for one in families])

    @classmethod
    def from_pretrained(
        cls, folder: Path | str | None = None, *, retriever: Retriever | None = None
    ) -> Tagger:
        """The heads of `folder` (default: those that ship) on `retriever`'s towers.

        Raises `ModelError` leaves for a folder that cannot be used, `ModelUnsupported`
        for a retrieval model of another kind, and `HeadsOfOtherTowers`.
        """
        path = asset_path("models/tags") if folder is None else Path(folder)
        checked = check_model_folder(path, allowed_classes=HEADS_CLASSES)
        towers = our_towers(retriever or load_retriever())
        heads = AttributeHeads.from_pretrained(path, local_files_only=True, use_safetensors=True)
        checked.check_unchanged()
        return cls(towers, heads)

    def __call__(self, images: Sequence[Image]) -> list[Mapping[str, tuple[str, ...]]]:
        """What is sure of each picture, and the likeliest garment and colour in any case."""
        return [completed(tags) for tags in self.tag(images)]

    def tag(self, images: Sequence[Image]) -> list[Tags]:
        """What is seen in each picture."""
        return self.look(images)[1]

    @torch.inference_mode()
    def look(self, images: Sequence[Image]) -> tuple[np.ndarray, list[Tags]]:
        """float32 (B, E) unit vectors as `encode_image` gives them, and the tags: one look."""
        encoder = self.retriever.image_encoder
        width = encoder.config.projection_dim
        vectors, tags = [np.empty((0, width), np.float32)], []
        for start in range(0, len(images), _CHUNK):
            pixels = self.retriever.prepare(list(images[start : start + _CHUNK]))
            features = look(encoder, pixels)
            unit = torch.nn.functional.normalize(features[:, :width], dim=1)
            vectors.append(unit.numpy())
            tags += self.tags_of(features)
        return np.concatenate(vectors), tags

    @torch.inference_mode()
    def tags_of(self, features: torch.Tensor) -> list[Tags]:
        """What the heads make of float32 (B, F), as `mmgen.retrieval.heads.look` gives it."""
        found = self.heads.probabilities(features)
        empty = torch.zeros(len(features), len(self.families))
        family = empty.index_add(1, self._family_of, found["colors"])
        return [
            Tags(
                guesses={
                    **{name: _best(found[name][row], self.labels[name]) for name in self.labels},
                    FAMILY: _best(family[row], self.families),
                },
                also={
                    name.removeprefix(ALSO): _best(
                        found[name][row], self.labels[name.removeprefix(ALSO)]
                    )
                    for name in found
                    if name.startswith(ALSO)
                },
            )
            for row in range(len(features))
        ]


def near_of(retriever: Retriever, folder: Path | str | None = None) -> float:
    """The cosine from which on two pictures count as one design for these towers.

    Calibrated on photographs when the heads of `folder` were trained; for other
    towers than theirs `NEVER_NEAR`.
    """
    path = asset_path("models/tags") if folder is None else Path(folder)
    config = AttributeHeads.load_config(path, local_files_only=True)
    is_theirs = config.get("towers_sha256") == retriever.sha256
    return float(config["near"]) if is_theirs else NEVER_NEAR


def our_towers(retriever: Retriever) -> TowerRetriever:
    """`retriever` if it is a pair of our own towers, else `ModelUnsupported`."""
    if not isinstance(retriever, TowerRetriever):
        raise ModelUnsupported(
            path="tags", got=type(retriever).__name__, allowed=TowerRetriever.__name__
        )
    return retriever


def _best(probabilities: torch.Tensor, values: Sequence[str]) -> tuple[Guess, ...]:
    top = probabilities.topk(min(GUESSES, len(values)))
    return tuple(
        (values[index], p)
        for p, index in zip(top.values.tolist(), top.indices.tolist(), strict=True)
    )


def completed(tags: Tags) -> dict[str, tuple[str, ...]]:
    """A row without garment or colour could never be found by them, and every garment has both."""
    sure = {name: values for name, values in tags.sure.items() if name != FAMILY}
    likeliest = {name: (tags.guesses[name][0][0],) for name in ("category", "colors")}
    return {**likeliest, **sure}
