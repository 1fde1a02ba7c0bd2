"""Figures of known cases, and laws that hold for all."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmgen.evaluation import figures
from mmgen.text.normalize import normalize


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_recall_of_known_ranks():
    scores = np.eye(20)
    assert set(figures.recalls(scores).values()) == {1.0}
    scores[0, 1:6] = 2.0
    found = figures.recalls(scores)
    assert found["t2i_r1"] == pytest.approx(0.95)
    assert found["t2i_r5"] == pytest.approx(0.95)
    assert found["t2i_r10"] == 1.0
    assert found["i2t_r1"] == pytest.approx(0.75)
    assert found["i2t_r5"] == 1.0


def test_others_are_others_and_always_the_same():
    captions = [f"第{number % 150}件" for number in range(200)]
    drawn = figures.draw_others(captions)
    assert drawn == figures.draw_others(captions)
    for own, others in enumerate(drawn):
        assert len(others) == len(set(others)) == 99
        assert captions[own] not in {captions[other] for other in others}
    assert figures.draw_others(["红", "黑", "红"]) == [[1], [0, 2], [1]]


def test_the_committed_list_is_the_one_drawn_with_seed_0(root):
    committed = json.loads((root / "assets/captions/others.json").read_text(encoding="utf-8"))
    lines = (root / "assets/captions/metadata.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    captions = [
        normalize(row["caption"]) for row in rows if not row["file_name"].startswith("train/")
    ]
    assert len(captions) == 400
    assert committed["captions_sha256"] == figures.digest_of(captions)
    assert committed["others"] == figures.draw_others(captions)


def test_r_precision_counts_only_own_caption_first():
    texts = np.eye(4, dtype=np.float32)
    others = [[1, 2, 3], [0], [0, 1], [0, 1]]
    assert figures.r_precision(texts, texts, range(4), others) == 1.0
    pictures = texts[[1, 1, 3, 3]]
    # The first looks like its other; the third like a caption that is not among its others.
    assert figures.r_precision(pictures, texts, range(4), others) == 0.75


def test_r_precision_of_chance_is_one_in_a_hundred(rng):
    texts, pictures = unit(rng.normal(size=(400, 32))), unit(rng.normal(size=(400, 32)))
    others = figures.draw_others([str(number) for number in range(400)])
    assert figures.r_precision(pictures, texts, range(400), others) < 0.04


def test_frechet_of_gaussians_is_the_closed_form(rng):
    first = rng.normal(size=(50_000, 3))
    second = rng.normal(size=(50_000, 3)) * [1, 2, 3] + [1, 0, 0]
    assert figures.frechet(first, second) == pytest.approx(1 + 0 + 1 + 4, rel=0.03)
    assert figures.frechet(first, first) == pytest.approx(0, abs=1e-9)
    assert figures.frechet(first, second) == pytest.approx(figures.frechet(second, first))


def test_frechet_beside_split_half_is_one_for_photographs_and_more_for_others(rng):
    photographs = rng.normal(size=(200, 8)).astype(np.float32)
    alike = rng.normal(size=(200, 8)).astype(np.float32)
    own, base = figures.frechet_beside_split_half(photographs, photographs)
    assert own == pytest.approx(base)
    near, base = figures.frechet_beside_split_half(alike, photographs)
    far, _ = figures.frechet_beside_split_half(alike * 0.3 + 1, photographs)
    assert near < 2 * base < far
    assert figures.frechet_beside_split_half(alike[:6], photographs[:6]) is None


def test_copies_are_found_and_photographs_are_not_copies(rng):
    training, unseen = unit(rng.normal(size=(300, 16))), unit(rng.normal(size=(400, 16)))
    known, _ = figures.nearest(unseen, training)
    copies = unit(training[:50] + 0.01 * rng.normal(size=(50, 16)))
    near, which = figures.nearest(copies, training)
    assert figures.near_copies(near, known).all()
    assert (which == np.arange(50)).all()
    assert figures.near_copies(known, known).mean() == pytest.approx(0.005)


def test_agreement_leaves_out_what_nobody_wrote_down():
    assert figures.agreement(["红", "黑", "蓝"], ["红", None, "黑"]) == 0.5
    assert figures.agreement(["红"], [None]) is None
