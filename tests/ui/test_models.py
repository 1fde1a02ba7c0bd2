"""`mmgen models ...`, and `mmgen generate --model FOLDER`, as typed."""

from __future__ import annotations

import json

import pytest

from mmgen.hub import families
from ui.command_line import main

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning:diffusers",
)


def test_the_list_names_every_model(capsys):
    assert main(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in families.MODELS)
    assert main(["models", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == list(families.MODELS)
    assert all(row["here"] is None for row in rows)


def test_show_says_what_a_licence_forbids_in_chinese_and_accepts_it(capsys):
    assert main(["models", "show", "Kwai-Kolors/Kolors-diffusers"]) == 0
    assert "商用要先向快手登记" in capsys.readouterr().out
    assert main(["models", "show", "kolors", "--accept-licence"]) == 0
    assert "从现在起接受 kolors" in capsys.readouterr().err
    assert main(["models", "show", "kolors", "--accept-licence"]) == 0
    assert capsys.readouterr().err == ""


def test_show_says_how_references_and_edits_are_done(capsys):
    assert main(["models", "show", "sdxl"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["参考图"] == "以图起步：在参考图上加噪再画，不用 IP-Adapter"
    assert (lines["整图改画"], lines["蒙版编辑"]) == ("是", "是")
    assert main(["models", "show", "cogview4-6b", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["references"], facts["variations"], facts["inpaint"]) == (None, False, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "show", "stable-cascade"], "stable-cascade"),
        (["models", "plan", "cogview4-6b", "--vram", "12 bananas"], "例如 12GB"),
        (["models", "fetch", "kolors"], "先阅读"),
        (["models", "fetch", "z-image", "--source", "ftp"], "hub, modelscope"),
        (["generate", "裙子", "--model", "z-image"], "mmgen models fetch z-image"),
    ],
)
def test_what_cannot_be_is_said_in_chinese(arguments, said, capsys):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_plan_needs_no_weights(capsys):
    assert main(["models", "plan", "cogview4-6b", "--vram", "12GB"]) == 0
    out = capsys.readouterr().out
    assert "text_encoder：17.6 GB，40 块" in out
    assert out.count(" <") == 1
    assert main(["models", "plan", "qwen-image", "--vram", "1GB"]) == 0
    assert "怎样都放不下" in capsys.readouterr().out


def test_a_plan_of_a_folder_reads_its_headers(hub_folder, capsys):
    assert main(["models", "plan", str(hub_folder("z-image")), "--vram", "8GB", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["placement"] for row in rows if row["chosen"]] == ["resident"]
    assert rows[0]["weights"] > rows[-1]["weights"] > 0


@pytest.mark.parametrize("name", ["cogview4-6b", "z-image", "qwen-image", "taiyi-1b", "sdxl"])
def test_generate_with_a_hub_model(name, hub_folder, tmp_path, capsys):
    arguments = ["generate", "藏青色羊毛大衣", "--model", str(hub_folder(name)), "--device", "cpu"]
    arguments += ["--size", "64x64", "--steps", "2", "--seed", "7", "-n", "2", "--json"]
    assert main([*arguments, "-o", str(tmp_path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    record = json.loads((tmp_path / f"{lines[0]['path']}.json").read_text(encoding="utf-8"))
    row = families.MODELS[name]
    assert record["model"]["id"] == name
    assert record["model"]["licence"] == row.licence.name
    assert record["request"]["guidance_scale"] == row.guidance
    assert record["environment"]["attention"] == "native"
    assert main(["verify", lines[0]["path"], lines[1]["path"]]) == 0
    assert str(hub_folder(name)) not in json.dumps(record)
