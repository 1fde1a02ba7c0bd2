"""The commands on pictures through the real command line: what they write, what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmgen.files.publish import record_path_of
from mmgen.files.read import read_label, read_record, verify
from ui.command_line import main


@pytest.fixture
def photograph(tmp_path):
    picture = Image.new("RGB", (120, 160), (205, 195, 178))
    ImageDraw.Draw(picture).rectangle((30, 30, 90, 130), fill=(30, 60, 150))
    path = tmp_path / "coat.png"
    picture.save(path)
    return path


@pytest.fixture
def mask(tmp_path):
    picture = Image.new("RGB", (120, 160))
    ImageDraw.Draw(picture).rectangle((30, 30, 90, 130), fill=(255, 255, 255))
    path = tmp_path / "where.png"
    picture.save(path)
    return path


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_recolour_says_what_it_reached(photograph, mask, tmp_path, capsys):
    out = tmp_path / "out"
    code, said, _ = run(capsys, "recolour", photograph, "--to", "酒红", "--mask", mask, "-o", out)
    assert code == 0
    assert "酒红 #7B1E2B，得到 #7" in said
    assert "ΔE 0." in said
    assert verify(out / "coat-酒红.png")


def test_recolour_finds_the_garment_by_itself(photograph, tmp_path, capsys):
    out = tmp_path / "out"
    code, said, _ = run(capsys, "recolour", photograph, "--to", "#00A86B", "-o", out, "--json")
    assert code == 0
    facts = json.loads(said)
    assert facts["delta_e_2000"] < 2
    assert facts["in_gamut"]
    before = np.asarray(Image.open(photograph))
    after = np.asarray(Image.open(facts["path"]))
    assert (before[80, 60] != after[80, 60]).any()
    assert np.array_equal(before[:8], after[:8])


def test_a_colour_beyond_srgb_is_said(photograph, mask, tmp_path, capsys):
    arguments = ("--to", "lab(60,120,-40)", "--mask", mask, "-o", tmp_path / "out")
    code, said, _ = run(capsys, "recolour", photograph, *arguments)
    assert code == 0
    assert "超出 sRGB" in said


def test_colourways_make_one_picture_a_row_and_a_sheet(photograph, mask, tmp_path, capsys):
    card = tmp_path / "card.csv"
    card.write_text("名称,色值\n酒红,#7B1E2B\n墨绿,#1F4D3A\n白,#F4F4F2\n", encoding="utf-8")
    out = tmp_path / "out"
    code, said, _ = run(
        capsys, "colourways", photograph, "--colours", card, "--mask", mask, "-o", out
    )
    assert code == 0
    assert {path.name for path in out.glob("*.png")} == {
        "coat-酒红.png",
        "coat-墨绿.png",
        "coat-白.png",
        "coat-colourways.png",
    }
    assert all(read_label(path) for path in out.glob("*.png"))
    assert "3 张图片" in said


def test_colourways_of_words_are_drawn_once(generator, tmp_path, capsys):
    card = tmp_path / "card.csv"
    card.write_text("名称,色值\n酒红,#7B1E2B\n墨绿,#1F4D3A\n", encoding="utf-8")
    picture = Image.new("RGB", (192, 256))
    ImageDraw.Draw(picture).rectangle((50, 40, 140, 200), fill=(255, 255, 255))
    picture.save(tmp_path / "where.png")
    words = ("--colours", card, "--mask", tmp_path / "where.png", "--seed", "5", "--json")
    out = tmp_path / "out"
    code, said, err = run(capsys, "colourways", "一条红裙", *words, "-o", out)
    assert code == 0, err
    assert generator.drawn == 1
    design, *ways = [json.loads(line) for line in said.splitlines()]
    parent = read_record(record_path_of(Path(design["path"])))
    assert parent.request["prompt"] == "一条红裙"
    assert [way["colour"] for way in ways] == ["酒红", "墨绿"]
    for way in ways:
        assert read_record(Path(way["record"])).parent == design["sha256"]
    assert (out / "一条红裙-5-colourways.png").exists()


def test_a_row_of_a_card(photograph, mask, tmp_path, capsys):
    card = tmp_path / "card.csv"
    card.write_text("name,hex\nSKY-01,#6FB4E3\n", encoding="utf-8")
    arguments = ("--colours", card, "--mask", mask, "-o", tmp_path / "out")
    assert run(capsys, "recolour", photograph, "--to", "SKY-01", *arguments)[0] == 0
    code, _, said = run(capsys, "recolour", photograph, "--to", "SKY-02", *arguments)
    assert code == 2
    assert "可以选的是 SKY-01" in said


def test_background_and_own_preset(photograph, mask, tmp_path, capsys, empty_home):
    (empty_home / "config.toml").write_text('[presets]\nmine = "300x400"\n', encoding="utf-8")
    arguments = ("--to", "white", "--preset", "mine", "--mask", mask, "-o", tmp_path / "out")
    code, said, _ = run(capsys, "background", photograph, *arguments)
    assert code == 0
    assert "100% 符合，已核对" in said
    with Image.open(tmp_path / "out/coat-mine.png") as picture:
        assert picture.size == (300, 400)


def test_upscale_and_mask(photograph, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(capsys, "upscale", photograph, "--by", "2", "-o", out)[0] == 0
    with Image.open(out / "coat-x2.png") as picture:
        assert picture.size == (240, 320)
    assert run(capsys, "mask", photograph, "-o", out)[0] == 0
    with Image.open(out / "coat-mask.png") as picture:
        assert picture.getpixel((60, 80)) > (200, 200, 200)
        assert picture.getpixel((3, 3)) == (0, 0, 0)
    assert read_label(out / "coat-mask.png") is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["recolour", "PIC", "--to", "酒红红"], "不是认识的颜色"),
        (["recolour", "PIC", "--to", "lab(300,0,0)"], "不是颜色：L 是 0 到 100"),
        (["recolour", "none.png", "--to", "红"], "没有图片"),
        (["recolour", "DOT", "--to", "红"], "每边至少要 16 px"),
        (["recolour", "PIC", "--to", "红", "--mask", "SMALL"], "两者尺寸要一致"),
        (["recolour", "PIC", "--to", "红", "--mask", "BLACK"], "什么也没选中"),
        (["recolour", "PIC", "--to", "红", "--mask", "WHITE"], "选中了整张图"),
        (["colourways", "PIC", "--colours", "CARD"], "有 1 行不对：3 (坏 #12)"),
        (["colourways", "PIC", "--colours", "none.csv"], "读不了"),
        (["colourways", "none.png", "--colours", "GOOD"], "没有图片"),
        (["colourways", " ", "--colours", "GOOD"], "提示词是空的"),
        (["background", "PIC"], "请给出 --to 颜色、--preset 名称"),
        (["background", "PIC", "--to", "彩虹"], "不是认识的颜色"),
        (["background", "PIC", "--to", "white", "--preset", "ebay"], "尺寸预设 --preset"),
        (["background", "PIC", "--preset", "jd-main", "--size", "80x80"], "只能给一个"),
        (["background", "PIC", "--to", "transparent", "--format", "jpeg"], "存不了透明背景"),
        (["upscale", "PIC", "--by", "3"], "倍数 --by 是 3；可以选的是 2, 4"),
        (["upscale", "PIC", "--by", "two"], "应当是整数"),
        (["upscale", "WIDE", "--by", "4"], "最多允许"),
        (["mask", "PIC", "--part", "袖子"], "部位 --part"),
        (["edit", "PIC", "--prompt", "红裙", "--box", "1,2"], "方框 --box"),
        (["edit", "PIC", "--prompt", "红裙", "--box", "1,1,2,2", "--part", "upper"], "只能给一个"),
        (["edit", "PIC", "--prompt", " "], "提示词是空的"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_left(arguments, said, photograph, tmp_path, capsys):
    files = {
        "PIC": photograph,
        "DOT": ((1, 1), 0),
        "WIDE": ((4_000, 64), 0),
        "SMALL": ((20, 20), 128),
        "BLACK": ((120, 160), 0),
        "WHITE": ((120, 160), 255),
    }
    (tmp_path / "CARD").write_text("name,hex\n好,#112233\n坏,#12\n", encoding="utf-8")
    (tmp_path / "GOOD").write_text("name,hex\n好,#112233\n", encoding="utf-8")
    for name, what in files.items():
        if isinstance(what, tuple):
            Image.new("RGB", what[0], (what[1],) * 3).save(tmp_path / f"{name}.png")
    known = {name: str(tmp_path / f"{name}.png") for name in files}
    known |= {
        "PIC": str(photograph),
        "CARD": str(tmp_path / "CARD"),
        "GOOD": str(tmp_path / "GOOD"),
    }
    typed = [known.get(word, word) for word in arguments]
    code, out, err = run(capsys, *typed, "-o", tmp_path / "out")
    assert code == 2, err
    assert said in err
    assert out == ""
    assert not (tmp_path / "out").exists()
