"""The image tower, and both towers as a `Retriever`."""

import numpy as np
import torch
from PIL import Image

from mmgen.framing import fit
from mmgen.retrieval.retriever import TowerRetriever
from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.encoder import TextEncoder
from mmgen.text.normalize import normalize
from mmgen.text.tokenizer import build_tokenizer
from mmgen.values import Retriever


def retriever() -> TowerRetriever:
    torch.manual_seed(0)
    tokenizer = build_tokenizer(["红色t恤"], max_tokens=12)
    return TowerRetriever(
        tokenizer=tokenizer,
        text_encoder=TextEncoder(
            vocab_size=len(tokenizer),
            max_length=12,
            hidden_size=32,
            num_layers=1,
            num_heads=2,
            projection_dim=16,
        ),
        image_encoder=ImageEncoder(
            widths=(8, 8, 16, 16), projection_dim=16, image_height=64, image_width=48
        ),
        sha256="0" * 64,
        prepare_text=normalize,
        prepare_image=lambda image, height, width: fit(image, height, width)[0],
    )


def test_vectors_have_length_one_and_the_protocol_holds():
    towers = retriever()
    assert isinstance(towers, Retriever)
    texts = towers.encode_text(["紅色T恤", "红色t恤", "黑裤"])
    images = towers.encode_image([Image.new("RGB", (30, 40), c) for c in ("red", "navy")])
    assert texts.shape == (3, 16)
    assert images.shape == (2, 16)
    assert texts.dtype == images.dtype == np.float32
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert np.allclose(texts[0], texts[1])


def test_chunks_equal_the_whole():
    towers = retriever()
    pictures = [Image.new("RGB", (30, 40), (3 * i, 0, 0)) for i in range(70)]
    whole = towers.encode_image(pictures)
    assert np.allclose(whole[66:], towers.encode_image(pictures[66:]), atol=1e-5)


def test_the_grid_keeps_places():
    encoder = ImageEncoder(
        widths=(8, 8, 16, 16),
        blocks=(0, 0, 0, 0),
        image_height=64,
        image_width=48,
        grid_height=4,
        grid_width=3,
    ).eval()
    plain = torch.zeros(1, 3, 64, 48)
    marked = plain.clone()
    marked[:, :, :12, :12] = 1.0
    with torch.inference_mode():
        change = (
            (encoder(marked).last_hidden_state - encoder(plain).last_hidden_state)
            .abs()
            .sum(-1)[0]
            .view(4, 3)
        )
    assert change[0, 0] > 0
    assert (change[2:] == 0).all()
    assert (change[:, 2] == 0).all()
