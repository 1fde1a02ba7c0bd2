"""How well pictures meet words, and which of many to keep.

Post-selection as in CogView (arXiv 2105.13290, section 3.3), with the retrieval
towers as the judge, and with what the words name held against what the
attribute heads see (`pipelines/agreement.py`).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmgen.errors import AssetMissing, ModelUnsupported
from pipelines.agreement import AGREEMENT_WEIGHT, agreement, wanted_of
from pipelines.tag import HeadsOfOtherTowers, Tagger, Tags

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmgen.values import Retriever

DIVERSITY = 0.5
"""Of likeness to what is chosen already, against the score, in `choose`."""


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
