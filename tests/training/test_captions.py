import json
import random

import pytest

from mmgen.assets import asset_path
from mmgen.text.garment_words import find_attributes
from mmgen.text.normalize import normalize
from training.captions import LONGEST, PromptComposer, compose, ground_phrases

ROWS = [
    json.loads(line)
    for line in asset_path("captions/metadata.jsonl").read_text(encoding="utf-8").splitlines()[::3]
]
COMPOSER = PromptComposer(ROWS)


def _prompts(number, seed=0):
    rng = random.Random(seed)
    indices = [rng.randrange(len(ROWS)) for _ in range(number)]
    return [(ROWS[index], COMPOSER.compose(index, rng)) for index in indices]


def test_prompts_are_normal_text_of_2_to_60_characters():
    for _, prompt in _prompts(10_000):
        assert 2 <= len(prompt) <= LONGEST
        assert normalize(prompt) == prompt


def test_about_half_are_the_caption():
    prompts = _prompts(10_000)
    share = sum(normalize(row["caption"]).startswith(prompt) for row, prompt in prompts) / 10_000
    assert 0.40 < share < 0.52


def test_the_share_of_captions_can_be_asked_for():
    composer, rng = PromptComposer(ROWS[:50], caption_share=1.0), random.Random(0)
    captions = [normalize(row["caption"])[:LONGEST].rstrip(",") for row in ROWS[:50]]
    assert all(captions[i].startswith(composer.compose(i, rng)) for i in range(50))


def test_prompts_say_only_what_the_row_holds():
    wrong = {"category": 0, "colors": 0, "patterns": 0, "sleeve": 0, "wearer": 0}
    said = dict.fromkeys(wrong, 0)
    for row, prompt in _prompts(20_000, seed=1):
        detail = normalize(row["detail"] or "-")
        if normalize(row["caption"]).startswith(prompt) or detail in prompt:
            continue
        for name, values in find_attributes(prompt).items():
            if name not in wrong:
                continue
            held = row[name] if isinstance(row[name], list) else [row[name]]
            true = bool(set(values) & set(held)) if name == "category" else set(values) <= set(held)
            said[name] += 1
            wrong[name] += not true
    assert min(said.values()) > 1_000
    assert all(wrong[name] <= 0.01 * said[name] for name in wrong), (wrong, said)


def test_short_prompts_and_every_synonym_group_occur():
    prompts = [prompt for _, prompt in _prompts(20_000)]
    assert sum(len(prompt) <= 8 for prompt in prompts) > 2_000
    for word in ("藏青", "海军蓝", "裙子", "短袖", "球鞋", "一双", "一条", "一顶", "一件", "背景"):
        assert any(word in prompt for prompt in prompts), word


def test_short_sleeved_nouns_need_short_sleeves():
    row = {"caption": "一件上衣", "category": "T恤", "colors": ["红"], "sleeve": "短袖"}
    rng = random.Random(0)
    assert any("短袖" in compose(row, rng) for _ in range(100))
    row["sleeve"] = "中袖"
    assert not any("短袖" in compose(row, rng) for _ in range(300))


def test_same_seed_same_prompts():
    assert _prompts(200, seed=3) == _prompts(200, seed=3)
    assert _prompts(200, seed=3) != _prompts(200, seed=4)


def test_a_row_with_a_caption_only_gives_the_caption():
    row = {"file_name": "train/1.webp", "caption": "紅色連衣裙，長袖"}
    rng = random.Random(0)
    assert {compose(row, rng) for _ in range(20)} == {"红色连衣裙,长袖"}


def test_composing_does_not_change_rows():
    before = json.dumps(ROWS[:50], ensure_ascii=False)
    _prompts(500)
    assert json.dumps(ROWS[:50], ensure_ascii=False) == before


@pytest.mark.parametrize(
    ("ground", "category", "phrase"),
    [
        ("白墙衣架", "衬衫", "挂在白墙前"),
        ("白墙裤架", "长裤", "挂在裤架上"),
        ("木地板", "连衣裙", "木地板背景"),
        ("红色布", "T恤", "铺在红布上"),
        ("灰色沙发", "运动鞋", "摆在灰色沙发上"),
    ],
)
def test_ground_phrases(ground, category, phrase):
    assert phrase in ground_phrases(ground, category)


def test_an_odd_ground_is_left_out():
    assert ground_phrases("车内方向盘前", "T恤") == ()
