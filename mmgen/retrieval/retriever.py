"""The two towers as one `Retriever`: words and pictures -> unit vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

from mmgen.retrieval.towers import ImageEncoder

CHUNK = 64


class TowerRetriever:
    """Implements `mmgen.values.Retriever`.

    `prepare_text` normalises a prompt; `prepare_image` gives uint8 (H, W, 3) of
    the image tower's size. Both are passed in, because they belong to other
    stages than this one.
    """

    def __init__(
        self,
        *,
        tokenizer: Any,
        text_encoder: torch.nn.Module,
        image_encoder: ImageEncoder,
        sha256: str,
        prepare_text: Callable[[str], str],
        prepare_image: Callable[[Image, int, int], np.ndarray],
    ) -> None:
        self.tokenizer = tokenizer
        self.text_encoder = text_encoder.eval()
        self.image_encoder = image_encoder.eval()
        self.sha256 = sha256
        self._prepare_text = prepare_text
        self._prepare_image = prepare_image

    @torch.inference_mode()
    def encode_text(self, texts: list[str]) -> np.ndarray:
        """float32 (B, E), rows of length 1."""
        vectors = []
        for chunk in _chunks([self._prepare_text(text) for text in texts]):
            tokens = self.tokenizer(
                chunk, padding="max_length", truncation=True, return_tensors="pt"
            )
            vectors.append(self.text_encoder(tokens.input_ids, tokens.attention_mask).text_embeds)
        return _unit(vectors)

    @torch.inference_mode()
    def encode_image(self, images: list[Image]) -> np.ndarray:
        """float32 (B, E), rows of length 1."""
        vectors = []
        for chunk in _chunks(images):
            unit = self.prepare(chunk).to(self.image_encoder.dtype).div(127.5).sub(1)
            vectors.append(self.image_encoder(unit).image_embeds)
        return _unit(vectors)

    def prepare(self, images: list[Image]) -> torch.Tensor:
        """uint8 (B, 3, H, W): the pictures as the image tower sees them, before scaling."""
        config = self.image_encoder.config
        arrays = [
            self._prepare_image(image, config.image_height, config.image_width) for image in images
        ]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def _unit(vectors: list[torch.Tensor]) -> np.ndarray:
    joined = torch.cat([v.float() for v in vectors])
    array: np.ndarray = torch.nn.functional.normalize(joined, dim=1).numpy()
    return array
