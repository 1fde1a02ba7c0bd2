"""The maker of table jobs: pictures with quality columns, and the best of several."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from mmgen.jobs.items import Item, Job, Result
from mmgen.settings import load_settings
from mmgen.values import Generator, ImageRequest, OnStep
from pipelines.item_maker import ItemMaker
from pipelines.quality import Quality, score_of
from pipelines.text_to_image import MadePicture

_SHORT_SEEDS = 2**31


class BatchMaker(ItemMaker):
    """An `ItemMaker` that measures what it draws.

    Of `keep_best_of` candidates the one with the best text-picture score is
    written, with its own seed in its record; the others are dropped.
    """

    def __init__(
        self, generator: Generator, job: Job, quality: Quality | None, keep_best_of: int = 1
    ) -> None:
        super().__init__(generator, job)
        self._quality, self._keep_best_of = quality, keep_best_of
        self._vectors: dict[str, str] = {}

    def draw(self, items: Sequence[Item], on_step: OnStep) -> list[MadePicture]:
        """One picture an item, the best of its candidates."""
        if self._quality is None or self._keep_best_of == 1:
            return super().draw(items, on_step)
        return [self._best(item, on_step) for item in items]

    def _best(self, item: Item, on_step: OnStep) -> MadePicture:
        best: MadePicture | None = None
        for number in range(self._keep_best_of):
            request = ImageRequest.from_dict(item.request)
            seed = candidate_seed(request.seed, number)
            asked = dataclasses.replace(item, request={**item.request, "seed": seed})
            (made,) = super().draw([asked], on_step)
            made, vector = self._measured(made)
            if best is None or score_of(made) > score_of(best):
                best, self._vectors[item.item_id] = made, vector
        assert best is not None
        scores = {**(best.scores or {}), "candidates": self._keep_best_of}
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


def candidate_seed(seed: int, number: int) -> int:
    """The seed of a candidate: the first is the item's own, others are far from its neighbours."""
    if number == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}\n{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % _SHORT_SEEDS


def load_maker(job: Job, options: Mapping[str, Any]) -> BatchMaker:
    """The maker of a worker process; imports torch.

    `options`: `model` and `device`, else the settings'; `quality` (default true),
    `keep_best_of`. Raises as `load_generator`.
    """
    from pipelines.components import load_generator, load_retriever

    settings = load_settings({name: options.get(name) for name in ("model", "device")})
    generator = load_generator(settings.model, device=settings.device)
    quality = Quality(load_retriever()) if options.get("quality", True) else None
    return BatchMaker(generator, job, quality, options.get("keep_best_of", 1))
