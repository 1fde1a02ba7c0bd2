"""Many candidates of each prompt -> the few that meet it best (CogView's post-selection)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from pipelines.made_picture import MadePicture
from pipelines.rank import Ranker, Score, choose
from pipelines.tag import Tags

POOL = 2
"""For a diverse choice, this many times as many pictures are held as will be kept."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Candidate:
    made: MadePicture
    score: Score
    vector: np.ndarray
    tags: Tags | None


def best_of(
    drawn: Iterable[MadePicture], ranker: Ranker, *, keep: int, of: int, diverse: bool = False
) -> Iterator[MadePicture]:
    """Of every `of` pictures in a row, one prompt's, the best `keep`, best first.

    Each carries its score, rank and number of candidates, and what is seen in
    it. Memory holds `keep` pictures, `POOL` times as many if `diverse`: then the
    choice among those avoids near-twins.
    """
    pictures = iter(drawn)
    while group := _best(itertools.islice(pictures, of), ranker, POOL * keep if diverse else keep):
        order = choose(
            [one.score.total for one in group],
            np.stack([one.vector for one in group]),
            keep,
            diverse=diverse,
        )
        for rank, index in enumerate(order, 1):
            yield _told(group[index], rank, of)


def _best(pictures: Iterable[MadePicture], ranker: Ranker, most: int) -> list[_Candidate]:
    """The `most` best, in the order drawn where they are equal."""
    held: list[_Candidate] = []
    for made in pictures:
        scores, vectors, tags = ranker.score(made.request.prompt, [made.image])
        held.append(_Candidate(made=made, score=scores[0], vector=vectors[0], tags=tags[0]))
        held = sorted(held, key=lambda one: -one.score.total)[:most]
    return held


def _told(one: _Candidate, rank: int, candidates: int) -> MadePicture:
    """The picture with what its record will say of the choice."""
    seen = {name: list(values) for name, values in one.tags.sure.items()} if one.tags else None
    text_image = round(one.score.text_image, 4)
    return dataclasses.replace(
        one.made,
        scores={"text_image": text_image, "rank": rank, "candidates": candidates},
        seen=seen,
    )
