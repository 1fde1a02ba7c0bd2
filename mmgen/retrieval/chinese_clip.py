"""Any Chinese-CLIP of transformers as a `Retriever` (arXiv 2211.01335)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

CHUNK = 32


class ChineseClipRetriever:
    """Implements `mmgen.values.Retriever` with a `ChineseCLIPModel`.

    `prepare_text` normalises a prompt; it is passed in, because it belongs to
    another stage than this one.
    """

    def __init__(
        self,
        *,
        model: torch.nn.Module,
        tokenizer: Any,
        image_processor: Any,
        sha256: str,
        prepare_text: Callable[[str], str],
    ) -> None:
        self.model: Any = model.eval()
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.sha256 = sha256
        self._prepare_text = prepare_text

    @property
    def dimension(self) -> int:
        """E, the length of a vector."""
        return int(self.model.config.projection_dim)

    @torch.inference_mode()
    def encode_text(self, texts: list[str]) -> np.ndarray:
        """float32 (B, E), rows of length 1."""
        limit = self.model.config.text_config.max_position_embeddings
        vectors = []
        for chunk in _chunks([self._prepare_text(text) for text in texts]):
            tokens = self.tokenizer(
                chunk, padding=True, truncation=True, max_length=limit, return_tensors="pt"
            )
            vectors.append(self.model.get_text_features(**tokens).pooler_output)
        return _unit(vectors)

    @torch.inference_mode()
    def encode_image(self, images: list[Image]) -> np.ndarray:
        """float32 (B, E), rows of length 1."""
        vectors = []
        for chunk in _chunks(images):
            pixels = self.image_processor(images=chunk, return_tensors="pt").pixel_values
            pixels = pixels.to(self.model.dtype)
            vectors.append(self.model.get_image_features(pixel_values=pixels).pooler_output)
        return _unit(vectors)


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def _unit(vectors: list[torch.Tensor]) -> np.ndarray:
    joined = torch.cat([vector.float() for vector in vectors])
    array: np.ndarray = torch.nn.functional.normalize(joined, dim=1).numpy()
    return array
