"""`mmgen tag`, `mmgen similar` and `mmgen train tags` as they are typed."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from mmgen.values import ImageRecord
from ui.command_line import main


@pytest.fixture(scope="module")
def towers(tiny_model):
    from pipelines.retrievers import load_retriever

    return load_retriever(str(tiny_model))


@pytest.fixture(scope="module")
def heads(garments, tiny_model, tmp_path_factory):
    from training.tag_heads import TagHeadsConfig, train_tag_heads

    folder = tmp_path_factory.mktemp("heads")
    config = TagHeadsConfig(epochs=80, batch_size=12, hidden_size=32)
    train_tag_heads(
        garments, folder / "tags", towers=tiny_model, cache=folder / "packed", config=config
    )
    return folder / "tags"


@pytest.fixture
def tiny_tagger(monkeypatch, towers, heads):
    """The tiny heads take the place of those that ship."""
    from pipelines.tag import Tagger

    monkeypatch.setattr(
        "ui.tag.load_tagger", lambda: Tagger.from_pretrained(heads, retriever=towers)
    )
    monkeypatch.setattr("pipelines.tag.asset_path", lambda name: heads)


def run(capsys, *arguments, code=0):
    got = main([str(one) for one in arguments])
    captured = capsys.readouterr()
    assert got == code, captured.err
    assert "Traceback" not in captured.err
    return captured


def test_a_picture_is_told_in_words(tiny_tagger, garments, capsys):
    out = run(capsys, "tag", garments / "train" / "0000.webp", "--copy").out
    for word in ("品类", "颜色", "图案", "袖长", "文案", "%"):
        assert word in out
    assert "红" in out


def test_json_is_one_object_a_picture(tiny_tagger, garments, capsys):
    pictures = sorted((garments / "train").glob("*.webp"))[:2]
    lines = run(capsys, "tag", *pictures, "--json", "--copy").out.splitlines()
    facts = [json.loads(line) for line in lines]
    assert [one["path"] for one in facts] == [str(path) for path in pictures]
    for one in facts:
        assert set(one) == {"path", "sure", "guesses", "also", "copy"}
        assert "none" in one["guesses"]["sleeve"] or len(one["guesses"]["sleeve"]) == 5
        assert one["copy"].endswith("。")


def test_a_bad_picture_costs_only_itself(tiny_tagger, garments, tmp_path, capsys):
    bad = tmp_path / "坏.png"
    bad.write_bytes(b"\x89PNG nothing")
    good = garments / "train" / "0001.webp"
    done = run(capsys, "tag", bad, good, "--json", code=3)
    assert "坏.png" in done.err
    assert json.loads(done.out)["path"] == str(good)
    assert run(capsys, "tag", bad, code=2).out == ""


def test_heads_are_trained_by_one_command_and_not_over_others(
    garments, tiny_model, tmp_path, capsys
):
    out = tmp_path / "tags"
    command = ("train", "tags", "--data", garments, "--towers", tiny_model, "-o", out)
    done = run(capsys, *command)
    assert "category_top1" in done.out
    assert (out / "config.json").is_file()
    assert "目录不是空的" in run(capsys, *command, code=2).err


def test_similar_tells_a_copy_and_draws_a_sheet(
    tiny_tagger, towers, garments, tmp_path, capsys, monkeypatch
):
    from pipelines.catalogue import Catalogue

    made = Catalogue.create("春装", retriever=towers)
    made.add(garments)
    monkeypatch.setattr(
        "pipelines.catalogue.Catalogue.open", lambda name, **_: made if name == "春装" else None
    )
    design = tmp_path / "design.jpg"
    Image.open(garments / "train" / "0003.webp").save(design, quality=70)
    sheet = tmp_path / "sheet.png"
    done = run(capsys, "similar", design, "--catalogue", "春装", "-n", "4", "--sheet", sheet)
    assert len(done.out.splitlines()) == 6
    assert "撞款" in done.out
    with Image.open(sheet) as picture:
        assert picture.width > 400
    lines = run(capsys, "similar", design, "--catalogue", "春装", "--json").out.splitlines()
    assert {"item", "likeness", "alignment", "is_same", "is_near"} <= set(json.loads(lines[0]))


def test_candidates_are_drawn_and_the_best_kept(generator, towers, monkeypatch, tmp_path, capsys):
    from pipelines.rank import Ranker

    monkeypatch.setattr("pipelines.rank.Ranker.from_pretrained", lambda: Ranker(towers))
    out = run(
        capsys, "generate", "红裙子", "-n", "2", "--candidates", "5", "--steps", "1",
        "--seed", "3", "-o", tmp_path / "out", "--json",
    ).out  # fmt: skip
    facts = [json.loads(line) for line in out.splitlines()]
    assert generator.drawn == 5
    assert [one["scores"]["rank"] for one in facts] == [1, 2]
    assert facts[0]["scores"]["text_image"] >= facts[1]["scores"]["text_image"]
    assert {one["seed"] for one in facts} <= set(range(3, 8))
    for one in facts:
        with open(one["record"], encoding="utf-8") as file:
            record = ImageRecord.from_json(file.read())
        assert record.scores == one["scores"]
        assert f"-{one['seed']}." in one["path"]


def test_fewer_candidates_than_pictures_are_refused(generator, tmp_path, capsys):
    arguments = ("generate", "红裙子", "-n", "4", "--candidates", "2", "-o", tmp_path / "out")
    assert "候选数 --candidates 是 2" in run(capsys, *arguments, code=2).err
    assert not (tmp_path / "out").exists()
