"""The evaluator, ready to use: words and pictures -> vectors and names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch.nn import functional as F

from mmgen.evaluation.evaluator import Evaluator, buckets_of

_CHUNK = 64


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verdicts:
    """What the judge sees in N pictures."""

    vectors: np.ndarray
    """float32 (N, E), rows of length 1."""
    categories: list[str]
    families: list[str]
    """Of the main colour."""


class Judge:
    """Holds an `Evaluator`; normalising, fitting and colour families are passed in.

    training_vectors  float32 (M, E), rows of length 1: the pictures it was trained on
    """

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        sha256: str,
        training_vectors: np.ndarray,
        prepare_text: Callable[[str], str],
        prepare_image: Callable[[Image, int, int], np.ndarray],
        family_of: Callable[[str], str],
    ) -> None:
        self.evaluator = evaluator.eval()
        self.sha256 = sha256
        self.training_vectors = training_vectors
        self._prepare_text = prepare_text
        self._prepare_image = prepare_image
        config = evaluator.config
        families = [family_of(colour) for colour in config.colours]
        self._families = sorted(set(families))
        # The chances of a family are those of its colours together.
        self._joins = torch.tensor(
            [[float(family == own) for family in self._families] for own in families]
        )

    @torch.inference_mode()
    def read(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (N, E), rows of length 1."""
        prompts = [self._prepare_text(text) for text in texts]
        vectors = [
            F.normalize(self.evaluator.read(buckets_of(chunk, self._config.num_buckets)), dim=1)
            for chunk in _chunks(prompts)
        ]
        array: np.ndarray = torch.cat(vectors).numpy()
        return array

    @torch.inference_mode()
    def look(self, images: Sequence[Image]) -> Verdicts:
        """Vectors, garments and main colours of `images`, of any size."""
        height, width = self._config.image_height, self._config.image_width
        vectors, categories, families = [], [], []
        for chunk in _chunks(images):
            frames = [self._prepare_image(image, height, width) for image in chunk]
            pixels = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float()
            sight = self.evaluator.see(pixels.div_(127.5).sub_(1))
            vectors.append(F.normalize(sight.image_embeds, dim=1))
            categories += sight.category_logits.argmax(1).tolist()
            families += (sight.colour_logits.softmax(1) @ self._joins).argmax(1).tolist()
        return Verdicts(
            vectors=torch.cat(vectors).numpy(),
            categories=[self._config.categories[index] for index in categories],
            families=[self._families[index] for index in families],
        )

    @property
    def _config(self) -> Any:
        return self.evaluator.config


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
