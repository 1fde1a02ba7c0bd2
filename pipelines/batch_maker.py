"""The maker of table jobs: pictures with quality columns, and the best of several."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from mmgen.errors import ModelError
from mmgen.jobs.items import Item, Job, Result
from mmgen.values import Generator, OnStep
from pipelines.item_maker import ItemMaker, load_models
from pipelines.made_picture import MadePicture
from pipelines.quality import Quality, is_mismatch, score_of
from pipelines.row_models import ModelChanger

_SHORT_SEEDS = 2**31


class BatchMaker(ItemMaker):
    """An `ItemMaker` that measures what it draws, and draws again what is not good enough.

    Of `keep_best_of` candidates the best by text-picture score is written; while it
    shows something else than was asked for, up to `retries` more are drawn. What is
    kept has its own seed in its record; the others are dropped.
    """

    def __init__(
        self,
        generator: Generator,
        job: Job,
        quality: Quality | None,
        keep_best_of: int = 1,
        retries: int = 0,
        changer: ModelChanger | None = None,
    ) -> None:
        super().__init__(generator, job, changer=changer)
        self._quality, self._keep_best_of, self._retries = quality, keep_best_of, retries
        self._vectors: dict[str, str] = {}

    def draw(self, items: Sequence[Item], on_step: OnStep) -> list[MadePicture]:
        """One picture an item, the best of its candidates."""
        if self._quality is None or self._keep_best_of + self._retries == 1:
            return super().draw(items, on_step)
        return [self._best(item, on_step) for item in items]

    def _best(self, item: Item, on_step: OnStep) -> MadePicture:
        best: MadePicture | None = None
        drawn = 0
        while drawn < self._keep_best_of + self._retries:
            if best and drawn >= self._keep_best_of and not is_mismatch(best):
                break
            seed = candidate_seed(item.request["seed"], drawn)
            asked = dataclasses.replace(item, request={**item.request, "seed": seed})
            (made,) = super().draw([asked], on_step)
            made, vector = self._measured(made)
            drawn += 1
            if best is None or _worth(made) > _worth(best):
                best, self._vectors[item.item_id] = made, vector
        assert best is not None
        scores = {**(best.scores or {}), "candidates": drawn}
        return dataclasses.replace(best, scores=scores)

    def keep(self, item: Item, drawn: MadePicture) -> Result:
        """Measure, where that is not done yet, and write."""
        if self._quality is None:
            return super().keep(item, drawn)
        vector = self._vectors.pop(item.item_id, "")
        if not vector:
            drawn, vector = self._measured(drawn)
        result = super().keep(item, drawn)
        details = {**result.details, "vector": vector, "seed": drawn.request.seed}
        return dataclasses.replace(result, details=details)

    def _measured(self, made: MadePicture) -> tuple[MadePicture, str]:
        assert self._quality is not None
        return self._quality.measure(made)


def _worth(made: MadePicture) -> tuple[bool, float]:
    """What is as asked beats what is not; then the score decides."""
    return not is_mismatch(made), score_of(made)


def candidate_seed(seed: int, number: int) -> int:
    """The seed of a candidate: the first is the item's own, others are far from its neighbours."""
    if number == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}\n{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % _SHORT_SEEDS


def load_maker(job: Job, options: Mapping[str, Any]) -> BatchMaker:
    """The maker of a worker process; imports torch.

    `options`: those of `load_models`; `quality` (default true),
    `keep_best_of`, `retry_mismatch`. Raises as `load_generator` and `load_tagger`.
    """
    changer = load_models(options)
    retries = options.get("retry_mismatch", 0)
    quality = load_quality(needs_tags=retries > 0) if options.get("quality", True) else None
    best_of = options.get("keep_best_of", 1)
    return BatchMaker(changer.generator, job, quality, best_of, retries, changer)


def load_quality(*, needs_tags: bool = False) -> Quality:
    """Scores by the retrieval model in use, and tags where tag heads for it are there.

    Raises `ModelError` leaves; without `needs_tags` missing heads are no error.
    """
    from pipelines.retrievers import load_retriever
    from pipelines.tag import Tagger

    retriever = load_retriever()
    try:
        tagger = Tagger.from_pretrained(retriever=retriever)
    except ModelError:
        if needs_tags:
            raise
        return Quality(retriever)
    return Quality(retriever, tagger)
