"""Candidates: the best are kept, told apart, recorded, and memory stays bounded."""

import dataclasses
import json
import weakref

import numpy as np
import pytest

from mmgen import TextToImagePipeline
from mmgen.errors import OutOfRange
from mmgen.values import ImageRequest
from pipelines.best_of import best_of
from pipelines.made_picture import MadePicture
from pipelines.rank import Score

FAST = {"num_inference_steps": 1}


class BySeed:
    """Scores a picture by its seed's place in `liked`; every picture has the vector it is told."""

    def __init__(self, liked, vectors=None):
        self.liked, self.vectors = liked, vectors or {}

    def score(self, text, images):
        seeds = [int(np.asarray(image)[0, 0, 0]) for image in images]
        scores = [Score(text_image=self.liked.get(seed, 0.0), agreement=0.0) for seed in seeds]
        vectors = np.array([self.vectors.get(seed, (1.0, 0.0)) for seed in seeds], np.float32)
        return scores, vectors, [None] * len(seeds)


def drawn(seeds, watch=None):
    for seed in seeds:
        pixels = np.full((16, 16, 3), seed, np.uint8)
        made = MadePicture(
            request=ImageRequest(prompt="红裙子", seed=seed), pixels=pixels, model={"id": "x"}
        )
        if watch is not None:
            watch.append(weakref.ref(pixels))
        yield made


def seeds_of(pictures):
    return [made.request.seed for made in pictures]


def test_the_best_of_each_prompt_come_best_first():
    ranker = BySeed({1: 0.1, 2: 0.9, 3: 0.5, 4: 0.2, 5: 0.3, 6: 0.4})
    kept = list(best_of(drawn(range(1, 7)), ranker, keep=2, of=3))
    assert seeds_of(kept) == [2, 3, 6, 5]
    assert kept[0].scores == {"text_image": 0.9, "rank": 1, "candidates": 3}
    assert [made.scores["rank"] for made in kept] == [1, 2, 1, 2]


def test_a_diverse_choice_skips_a_twin():
    ranker = BySeed({1: 0.9, 2: 0.89, 3: 0.7, 4: 0.0}, {3: (0.0, 1.0)})
    assert seeds_of(best_of(drawn(range(1, 5)), ranker, keep=2, of=4)) == [1, 2]
    assert seeds_of(best_of(drawn(range(1, 5)), ranker, keep=2, of=4, diverse=True)) == [1, 3]


def test_memory_holds_no_more_than_is_kept():
    watch, alive = [], []

    class Watching(BySeed):
        def score(self, text, images):
            alive.append(sum(ref() is not None for ref in watch))
            return super().score(text, images)

    list(best_of(drawn(range(40), watch), Watching({}), keep=2, of=40))
    assert max(alive) <= 2 + 2


@pytest.fixture(scope="module")
def pipe(tiny_model):
    from pipelines.rank import Ranker
    from pipelines.retrievers import load_retriever

    drawer = TextToImagePipeline.from_pretrained(tiny_model, device="cpu")
    return TextToImagePipeline(drawer.generator, ranker=Ranker(load_retriever(str(tiny_model))))


def test_the_pipeline_keeps_the_best_and_records_it(pipe, tmp_path):
    every = pipe("红色T恤", seed=5, num_images_per_prompt=4, **FAST)
    best = pipe("红色T恤", seed=5, num_images_per_prompt=2, candidates=4, **FAST)
    scores, *_ = pipe.ranker.score("红色T恤", every.images)
    order = sorted(range(4), key=lambda index: -scores[index].total)
    assert [request.seed for request in best.requests] == [5 + index for index in order[:2]]
    assert np.array_equal(np.asarray(best.images[0]), np.asarray(every.images[order[0]]))
    saved = best.save(tmp_path)[0]
    record = json.loads(saved.record_path.read_text(encoding="utf-8"))
    assert record["scores"]["rank"] == 1
    assert record["scores"]["candidates"] == 4


def test_two_prompts_are_chosen_apart(pipe):
    out = pipe(["红色T恤", "黑色长裤"], seed=1, candidates=3, **FAST)
    assert [request.prompt for request in out.requests] == ["红色T恤", "黑色长裤"]
    diverse = pipe("红色T恤", seed=1, num_images_per_prompt=2, diverse=True, **FAST)
    assert [made.scores["candidates"] for made in diverse.pictures] == [8, 8]


@pytest.mark.parametrize("candidates", [0, 1, 65])
def test_a_number_of_candidates_that_cannot_be_is_refused(pipe, candidates):
    steps = []
    with pytest.raises(OutOfRange):
        pipe("红色T恤", num_images_per_prompt=2, candidates=candidates, on_step=steps.append)
    assert steps == []


def test_a_choice_does_not_change_what_is_drawn(pipe):
    made = pipe("红色T恤", seed=9, candidates=2, **FAST).pictures[0]
    again = pipe("红色T恤", seed=made.request.seed, **FAST).pictures[0]
    assert np.array_equal(made.pixels, again.pixels)
    assert dataclasses.replace(made.request) == again.request
