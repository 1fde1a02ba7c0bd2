"""What the towers' loss holds right and wrong."""

from __future__ import annotations

import random

import pytest
import torch
from torch.nn import functional as F

from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.encoder import TextEncoder
from training.captions import PromptComposer
from training.plain_attention import use_plain_attention
from training.towers import ATTRIBUTES, Towers, TowersTask, attribute_loss, vary


def _towers(memory: int = 0) -> Towers:
    text = TextEncoder(vocab_size=40, max_length=8, hidden_size=32, num_layers=1, projection_dim=4)
    image = ImageEncoder(widths=(8, 8, 8, 8), projection_dim=4, image_height=16, image_width=16)
    return Towers(text, image, {"category": 3}, memory)


def _task(memory: int, targets: list[list[int]]) -> TowersTask:
    task = object.__new__(TowersTask)
    task.model, task.targets = _towers(memory), torch.tensor(targets)
    return task


def _match(task: TowersTask, rows: list[int], short: list[bool]) -> float:
    vectors = F.normalize(torch.eye(4)[: len(rows)] + 0.1, dim=1)
    at = torch.tensor(rows)
    loss, _ = task._match(
        vectors, vectors, torch.tensor(5.0), at, task.targets[at], torch.tensor(short)
    )
    return loss.item()


def test_without_memory_and_short_prompts_it_is_infonce():
    task = _task(0, [[0, 0], [1, 0], [2, 0]])
    vectors = F.normalize(torch.eye(4)[:3] + 0.1, dim=1)
    wanted = F.cross_entropy(5.0 * vectors @ vectors.T, torch.arange(3)).item()
    assert _match(task, [0, 1, 2], [False] * 3) == pytest.approx(wanted)


def test_remembered_pairs_are_wrong_answers_but_not_of_the_same_photograph():
    task = _task(4, [[0, 0], [1, 0], [2, 0]])
    alone = _match(task, [0, 1], [False, False])
    near = F.normalize(torch.tensor([[1.0, 0.1, 0.1, 0.1]]), dim=1)
    task.model.remember(near, near, torch.tensor([2]))
    assert _match(task, [0, 1], [False, False]) > alone
    task.model.memory_rows[0] = 0
    another = _match(task, [0, 1], [False, False])
    task.model.memory_rows[0] = -1
    assert _match(task, [0, 1], [False, False]) == pytest.approx(alone)
    assert another < _match(_remembering(2, near), [0, 1], [False, False])


def _remembering(row: int, vector: torch.Tensor) -> TowersTask:
    task = _task(4, [[0, 0], [1, 0], [2, 0]])
    task.model.remember(vector, vector, torch.tensor([row]))
    return task


def test_the_oldest_is_forgotten_first():
    towers = _towers(memory=3)
    for row in range(5):
        towers.remember(torch.full((1, 4), float(row)), torch.zeros(1, 4), torch.tensor([row]))
    assert sorted(towers.memory_rows.tolist()) == [2, 3, 4]
    assert towers.memory_text[towers.memory_rows == 4].unique().tolist() == [4.0]


def test_a_short_prompt_is_true_of_every_photograph_alike():
    # Two photographs of one colour and garment whose vectors agree: no reason to part them.
    task = _task(0, [[0, 0], [0, 0], [1, 1]])
    same = F.normalize(torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]]), dim=1)
    rows, scale = torch.arange(3), torch.tensor(50.0)
    strict, _ = task._match(same, same, scale, rows, task.targets, torch.tensor([False] * 3))
    lenient, _ = task._match(
        same, same, scale, rows, task.targets, torch.tensor([True, True, False])
    )
    assert lenient < strict


def test_short_prompts_name_colour_and_garment_only():
    row = {
        "caption": "一件红色条纹长袖T恤",
        "category": "T恤",
        "colors": ["红"],
        "patterns": ["条纹"],
        "sleeve": "长袖",
    }
    composer, rng = PromptComposer([row, {"caption": "衣服"}]), random.Random(0)
    said = {composer.garment_and_colour(0, rng) for _ in range(50)}
    assert "红色t恤" in said
    assert all("条" not in prompt and "袖" not in prompt for prompt in said)
    assert composer.garment_and_colour(1, rng) is None


def test_category_and_colour_weigh_three_times_the_others():
    logits = {name: torch.zeros(2, 5) for name in ATTRIBUTES}
    targets = torch.zeros(2, len(ATTRIBUTES), dtype=torch.long)
    one = F.cross_entropy(torch.zeros(2, 5), targets[:, 0])
    parts = 2 + (len(ATTRIBUTES) - 2) / 3
    assert attribute_loss(logits, targets).item() == pytest.approx(parts * one.item())


def test_written_out_attention_reads_as_the_encoder_does():
    torch.manual_seed(0)
    encoder = TextEncoder(vocab_size=40, max_length=8, hidden_size=32, num_layers=2).eval()
    ids = torch.randint(1, 40, (3, 8))
    mask = (torch.arange(8)[None] < torch.tensor([8, 5, 2])[:, None]).long()
    with torch.no_grad():
        before = encoder(ids, mask).text_embeds
        use_plain_attention(encoder)
        assert torch.allclose(encoder(ids, mask).text_embeds, before, atol=1e-5)


def test_light_changes_within_its_bounds():
    pixels = torch.zeros(64, 3, 8, 6)
    lit = vary(pixels, torch.Generator().manual_seed(0), light=0.1)
    assert 0.02 < lit.std() < 0.1
    assert lit.abs().max() <= 0.1 + 1e-6
