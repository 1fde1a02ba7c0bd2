"""The judge with tiny real weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mmgen.evaluation.evaluator import MOST_NGRAMS, READABLE, Evaluator, buckets_of
from mmgen.evaluation.judge import Judge
from mmgen.framing import fit


@pytest.fixture(scope="module")
def judge():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        evaluator = Evaluator(
            categories=("T恤", "长裤"),
            colours=("红", "藏青", "蓝"),
            stem_widths=(8, 8, 8),
            width=16,
            num_layers=1,
            num_heads=2,
            num_buckets=256,
            bucket_dim=8,
            projection_dim=8,
        )
    return Judge(
        evaluator,
        sha256="0" * 64,
        training_vectors=np.eye(8, dtype=np.float32),
        prepare_text=str.lower,
        prepare_image=lambda image, height, width: fit(image, height, width)[0],
        family_of={"红": "红", "藏青": "蓝", "蓝": "蓝"}.__getitem__,
    )


def test_vectors_have_length_1_and_do_not_depend_on_neighbours(judge):
    words = judge.read(["红色T恤", "藏青长裤", "t"])
    assert words.shape == (3, 8)
    assert np.allclose(np.linalg.norm(words, axis=1), 1, atol=1e-5)
    assert np.allclose(judge.read(["藏青长裤"])[0], words[1], atol=1e-5)
    pictures = [Image.new("RGB", (60 + 20 * i, 80), (90 * i, 30, 20)) for i in range(3)]
    verdicts = judge.look(pictures)
    assert verdicts.vectors.shape == (3, 8)
    assert np.allclose(np.linalg.norm(verdicts.vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(judge.look(pictures[1:2]).vectors[0], verdicts.vectors[1], atol=1e-4)


def test_a_family_has_the_chances_of_all_its_colours(judge):
    with torch.no_grad():
        judge.evaluator.colour.weight.zero_()
        judge.evaluator.colour.bias.copy_(torch.tensor([0.5, 0.2, 0.2]).log())
    seen = judge.look([Image.new("RGB", (96, 128))])
    # 红 alone is likelier than either blue, both blues together are not.
    assert seen.families == ["红"]
    with torch.no_grad():
        judge.evaluator.colour.bias.copy_(torch.tensor([0.4, 0.3, 0.3]).log())
    assert judge.look([Image.new("RGB", (96, 128))]).families == ["蓝"]


def test_buckets_depend_on_words_and_their_neighbours_alone():
    buckets = buckets_of(["红色t恤", "t恤红色", "红" * 200, ""], 4096)
    assert buckets.shape == (4, MOST_NGRAMS)
    assert not torch.equal(buckets[0].sort()[0], buckets[1].sort()[0])
    assert (buckets[2] > 0).sum() == MOST_NGRAMS
    assert torch.equal(buckets_of(["红" * READABLE], 4096)[0], buckets[2])
    assert buckets.max() < 4096
    assert buckets[3, 0] > 0
