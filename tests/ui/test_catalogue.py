"""`mmgen catalogue` and `mmgen search`, typed; the towers are tiny real ones."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

from ui.command_line import main


@pytest.fixture
def photos(garments, tmp_path):
    folder = tmp_path / "photos"
    shutil.copytree(garments, folder)
    return folder


@pytest.fixture
def added(photos, tiny_model, capsys):
    """A default catalogue of eighteen made-up garments."""
    assert main(["catalogue", "add", str(photos), "--towers", str(tiny_model)]) == 0
    assert "图库 default：新增 18，更新 0，移动 0，未变 0，失败 0" in capsys.readouterr().out
    return photos


def test_search_prints_a_table_and_draws_a_sheet(added, tmp_path, capsys):
    sheet = tmp_path / "found" / "red.png"
    code = main(["search", "红色", "--filter", "颜色=红", "-n", "3", "--sheet", str(sheet)])
    captured = capsys.readouterr()
    assert code == 0
    lines = captured.out.splitlines()
    assert lines[0].split()[:3] == ["#", "相似度", "编号"]
    assert [line.split()[0] for line in lines[1:4]] == ["1", "2", "3"]
    assert "红色" in lines[1]
    with Image.open(sheet) as picture:
        assert picture.width > 400
    assert main(["verify", str(sheet)]) == 1  # photographs carry no AI label
    assert "没有 AI 标识" in capsys.readouterr().out


def test_json_is_one_object_a_line(added, capsys):
    picture = str(added / "train" / "0003.webp")
    assert main(["search", "--picture", picture, "-n", "2", "--json"]) == 0
    hits = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [set(hit) for hit in hits] == [
        {"item", "path", "sha256", "caption", "licence", "attributes", "score"}
    ] * 2
    assert main(["catalogue", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == 18


def test_bad_pictures_end_with_3_and_the_rest_is_in(photos, tiny_model, capsys):
    (photos / "bad.jpg").write_bytes(b"")
    code = main(["catalogue", "add", str(photos), "--towers", str(tiny_model), "--json"])
    captured = capsys.readouterr()
    assert code == 3
    facts = json.loads(captured.out)
    assert facts["added"] == 18
    assert facts["failed"] == [{"place": "bad.jpg", "code": "picture.unreadable"}]
    assert "跳过：" in captured.err


def test_check_and_remove(added, capsys):
    (added / "train" / "0000.webp").unlink()
    assert main(["catalogue", "check"]) == 3
    assert "train/0000.webp" in capsys.readouterr().out
    assert main(["catalogue", "remove", "--missing"]) == 0
    assert main(["catalogue", "remove", "train/0001.webp"]) == 0
    assert main(["catalogue", "check"]) == 0
    assert "16 张，一切正常" in capsys.readouterr().out
    assert main(["catalogue", "remove", "--all"]) == 2
    assert main(["catalogue", "remove", "--all", "--yes"]) == 0
    assert main(["catalogue", "list"]) == 0
    assert "还没有图库" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "红色", "--catalogue", "没有的"], "没有叫 没有的 的图库"),
        (["search", "红色", "--filter", "红"], "筛选条件 红 不是 名称=值"),
        (["search", "红色", "--filter", "尺码=L"], "没有图片带有属性 尺码"),
        (["search", "，。"], "没有可以搜索的内容"),
        (["search"], "请写上描述"),
        (["search", "红色", "-n", "0"], "允许的范围是 1 到 1000"),
        (["search", "红色", "--sheet", "x.gif"], "可以选的是"),
        (["catalogue", "add", "/nowhere"], "没有这个文件或目录"),
        (["catalogue", "check", "builtin"], "自带的，不能改动"),
        (["catalogue", "remove"], "请写上编号"),
        (["catalogue", "check", "没有的"], "没有叫 没有的 的图库"),
        (["generate", "裙子", "--retrieve", "9"], "允许的范围是 0 到 4"),
        (["generate", "裙子", "--catalogue", "x"], "--retrieve"),
    ],
)
def test_what_is_wrong_is_said_in_chinese(arguments, said, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.splitlines()[-1].startswith("错误：")


def test_a_fresh_home_searches_what_ships(capsys):
    arguments = ["search", "红色连衣裙", "-n", "5", "--filter", "类别=连衣裙", "--json"]
    assert main(arguments) == 0
    hits = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(hits) == 5
    assert all(hit["path"] is None and hit["licence"] == "CC0-1.0" for hit in hits)
    assert all(hit["attributes"]["category"] == ["连衣裙"] for hit in hits)
