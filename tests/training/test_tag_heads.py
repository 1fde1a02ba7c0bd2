"""The heads on a made-up folder and tiny towers: trained, calibrated, saved, refused."""

import json
import shutil

import pytest
import torch
from PIL import Image

from mmgen.retrieval.heads import ALSO, AttributeHeads
from pipelines.retrievers import load_retriever
from pipelines.tag import NEVER_NEAR, NONE, HeadsOfOtherTowers, Tagger, near_of
from training.dataset import read_rows
from training.tag_heads import (
    TagHeadsConfig,
    calibration_error,
    fit_temperatures,
    labels,
    near_for_strangers,
    targets_of,
    train_tag_heads,
)

QUICK = TagHeadsConfig(epochs=80, batch_size=12, hidden_size=32)


@pytest.fixture(scope="module")
def towers(tiny_model):
    return load_retriever(str(tiny_model))


@pytest.fixture(scope="module")
def trained(garments, tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    figures = train_tag_heads(
        garments, folder / "tags", towers=tiny_model, cache=folder / "packed", config=QUICK
    )
    return folder / "tags", figures


def test_colours_that_were_seen_are_named(trained, towers, garments):
    _, figures = trained
    assert figures["colour_family"] == 1.0
    assert set(figures) >= {"category_top1", "sleeve_where_one", "plain_or_not", "category_ece"}
    tagger = Tagger.from_pretrained(trained[0], retriever=towers)
    row = read_rows(garments, "train")[0]
    tags = tagger.tag([Image.open(garments / row["file_name"])])[0]
    assert tags.guesses["colors"][0][0] == row["colors"][0]
    assert tags.guesses["patterns"][0][0] == "纯色"


def test_probabilities_are_probabilities(trained, towers, garments):
    tagger = Tagger.from_pretrained(trained[0], retriever=towers)
    pictures = [Image.open(garments / row["file_name"]) for row in read_rows(garments)[:3]]
    vectors, tags = tagger.look(pictures)
    assert torch.allclose(
        torch.from_numpy(vectors), torch.from_numpy(towers.encode_image(pictures)), atol=2e-2
    )
    for one in tags:
        for name, guesses in one.guesses.items():
            values = [p for _, p in guesses]
            assert values == sorted(values, reverse=True)
            assert 0 <= sum(values) <= 1.001, name
        json.dumps(one.to_dict(), ensure_ascii=False, allow_nan=False)
    assert tagger([]) == []


def test_training_twice_gives_the_same_heads(trained, garments, tiny_model, tmp_path):
    train_tag_heads(
        garments, tmp_path / "tags", towers=tiny_model, cache=tmp_path / "packed", config=QUICK
    )
    name = "diffusion_pytorch_model.safetensors"
    assert (tmp_path / "tags" / name).read_bytes() == (trained[0] / name).read_bytes()


def test_heads_refuse_other_towers(trained, towers, tiny_model, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    config = other / "tokenizer" / "tokenizer_config.json"
    config.write_text(config.read_text() + "\n")
    strange = load_retriever(str(other))
    with pytest.raises(HeadsOfOtherTowers, match="train them again"):
        Tagger.from_pretrained(trained[0], retriever=strange)
    assert near_of(strange, trained[0]) == NEVER_NEAR
    assert 0 < near_of(towers, trained[0]) <= 1


def test_none_is_an_answer_and_no_class_is_lost(garments):
    values = labels()
    assert values["sleeve"][0] == NONE
    assert NONE not in values["category"]
    assert len(values["category"]) == 41
    assert len(values["colors"]) == 29
    rows = read_rows(garments)
    targets = targets_of(rows)
    trousers = [index for index, row in enumerate(rows) if row["category"] == "长裤"]
    assert (targets["sleeve"][trousers] == 0).all()
    assert targets[f"{ALSO}colors"].sum() == len(rows)


def test_the_temperature_mends_overconfidence():
    generator = torch.Generator().manual_seed(0)
    heads = AttributeHeads(labels={"category": ["a", "b"]}, in_features=2, hidden_size=2)
    target = torch.randint(2, (400,), generator=generator)
    is_wrong = torch.rand(400, generator=generator) < 0.25
    answer = torch.where(is_wrong, 1 - target, target)
    logits = torch.nn.functional.one_hot(answer, 2) * 4.0
    heads.forward = lambda features: {"category": logits}
    temperature = fit_temperatures(heads, torch.zeros(400, 2), {"category": target})["category"]
    before = calibration_error(logits.softmax(1), target)
    after = calibration_error((logits / temperature).softmax(1), target)
    assert temperature > 2
    assert after < 0.05 < before


def test_strangers_are_not_near():
    vectors = torch.nn.functional.one_hot(torch.arange(50)).float() + 0.1
    near = near_for_strangers(torch.stack([vectors, vectors]))
    even = torch.nn.functional.normalize(vectors, dim=1)
    assert near == pytest.approx((even[0] @ even[1]).item(), abs=1e-3)
