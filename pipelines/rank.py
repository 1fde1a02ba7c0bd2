"""How well pictures meet words, and which of many to keep.

Post-selection as in CogView (arXiv 2105.13290, section 3.3), with the retrieval
towers as the judge. The towers know what belongs together; asked for 红色 they
still like 橙色. So what the words name (garment, colour, pattern, sleeve) is
held against what the attribute heads see, as one more term of the score.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmgen.errors import AssetMissing, ModelUnsupported
from mmgen.text.garment_words import find_attributes
from mmgen.text.vocabulary import colour_family
from pipelines.tag import FAMILY, HeadsOfOtherTowers, Tagger, Tags

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmgen.values import Retriever

AGREEMENT_WEIGHT = 0.05
"""Of one nat of agreement against one unit of cosine; see tests/benchmarks/retrieval.py."""
DIVERSITY = 0.5
"""Of likeness to what is chosen already, against the score, in `choose`."""
_FAMILY_SHARE = 0.7
"""Of a colour's agreement that its family alone earns: 酒红 for 红."""
_FLOOR = 0.02
"""A value that was not told at all is this likely; one mistake must not outweigh all else."""
_ASKED = ("category", "colors", "patterns", "sleeve")
"""What is compared; necklines, lengths and fabrics are seen too unsurely."""

Wanted = Mapping[str, tuple[str, ...]]
"""Attribute -> the values that words name."""
Agreed = Callable[[Wanted], float]
"""How far one picture agrees with what is wanted, in nats; 0 at best."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """How well one picture meets the words."""

    text_image: float
    """Cosine of the two towers' vectors, -1 to 1."""
    agreement: float
    """Mean log-probability of what the words name, 0 at best; 0 if they name nothing."""

    @property
    def total(self) -> float:
        """What pictures are ordered by."""
        return self.text_image + AGREEMENT_WEIGHT * self.agreement


class Ranker:
    """Scores pictures against words; without a tagger by the towers alone."""

    def __init__(self, retriever: Retriever, tagger: Tagger | None = None) -> None:
        self.retriever = retriever
        self.tagger = tagger

    @classmethod
    def from_pretrained(cls) -> Ranker:
        """The retrieval towers in use, with the tag heads where they stand on these towers."""
        from pipelines.retrievers import load_retriever

        retriever = load_retriever()
        with contextlib.suppress(AssetMissing, HeadsOfOtherTowers, ModelUnsupported):
            return cls(retriever, Tagger.from_pretrained(retriever=retriever))
        return cls(retriever)

    def score(
        self, text: str, images: Sequence[Image]
    ) -> tuple[list[Score], np.ndarray, list[Tags | None]]:
        """A score, a unit vector (float32 (B, E)) and the tags of each picture."""
        tags: list[Tags | None]
        if self.tagger:
            vectors, seen = self.tagger.look(images)
            tags = [*seen]
        else:
            vectors, tags = self.retriever.encode_image(list(images)), [None] * len(images)
        similarity = vectors @ self.retriever.encode_text([text])[0]
        wanted = wanted_of(text)
        scores = [
            Score(text_image=float(cosine), agreement=agreement(wanted, one) if one else 0.0)
            for cosine, one in zip(similarity, tags, strict=True)
        ]
        return scores, vectors, tags


def wanted_of(text: str) -> Wanted:
    """What `text` names of the attributes that can be held against pictures."""
    return {name: values for name, values in find_attributes(text).items() if name in _ASKED}


def agreement(wanted: Wanted, tags: Tags) -> float:
    """Mean log-probability that the picture shows what is wanted; 0 when nothing is.

    Several categories mean "one of these"; several colours and patterns mean all.
    """
    likely = []
    for name, values in wanted.items():
        if name == "category":
            likely.append(sum(tags.probability(name, value) for value in values))
        elif name == "colors":
            likely += [_colour_probability(tags, value) for value in values]
        else:
            likely += [tags.probability(name, value) for value in values]
    if not likely:
        return 0.0
    return sum(math.log(max(min(p, 1.0), _FLOOR)) for p in likely) / len(likely)


def _colour_probability(tags: Tags, value: str) -> float:
    by_name = tags.probability("colors", value)
    by_family = tags.probability(FAMILY, colour_family(value))
    return max(by_name, _FAMILY_SHARE * by_family)


def agreement_of_row(wanted: Wanted, attributes: Mapping[str, Sequence[str]]) -> float:
    """As `agreement`, for a catalogue row: what its attributes say counts as certain.

    An attribute that the row does not have is taken to be as likely as not.
    """
    likely = []
    for name, values in wanted.items():
        said = attributes.get(name, ())
        if name == "colors":
            likely += [_row_colour(value, said, attributes.get(FAMILY, ())) for value in values]
        elif not said:
            likely.append(0.5)
        elif name == "category":
            likely.append(1.0 if set(said) & set(values) else _FLOOR)
        else:
            likely += [1.0 if value in said else _FLOOR for value in values]
    return sum(map(math.log, likely)) / len(likely) if likely else 0.0


def _row_colour(value: str, said: Sequence[str], families: Sequence[str]) -> float:
    family = colour_family(value)
    if not said and not families:
        return 0.5
    if said and said[0] == value:
        return 1.0
    if said and colour_family(said[0]) == family:
        return _FAMILY_SHARE
    if value in said or family in families:
        return _FAMILY_SHARE
    return _FLOOR


def rescore(
    text: str, similarity: Sequence[float], attributes: Sequence[Mapping[str, Sequence[str]]]
) -> list[float]:
    """The totals to order search hits by: cosines and rows' attributes, in the same order."""
    wanted = wanted_of(text)
    return [
        cosine + AGREEMENT_WEIGHT * agreement_of_row(wanted, row)
        for cosine, row in zip(similarity, attributes, strict=True)
    ]


def choose(
    totals: Sequence[float], vectors: np.ndarray, count: int, *, diverse: bool = False
) -> list[int]:
    """The indices of `count` pictures, best first; ties by their order.

    `diverse`: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998):
    what is like a chosen picture must be that much better. `vectors`: float32
    (N, E) of length 1.
    """
    left = sorted(range(len(totals)), key=lambda index: (-totals[index], index))
    if not diverse:
        return left[:count]
    spread = max(totals, default=0.0) - min(totals, default=0.0) or 1.0
    chosen: list[int] = []
    while left and len(chosen) < count:

        def gain(index: int) -> float:
            likeness = max((float(vectors[index] @ vectors[one]) for one in chosen), default=0.0)
            return (1 - DIVERSITY) * totals[index] / spread - DIVERSITY * likeness

        best = max(left, key=gain)
        chosen.append(best)
        left.remove(best)
    return chosen
