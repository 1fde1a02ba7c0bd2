"""`mmgen batch` with hub models of a few weights: their own defaults, adapters, mixed tables."""

from __future__ import annotations

import json

import pytest

from mmgen.files.read import read_record
from mmgen.hub import families
from tests.tiny_hub import lora
from ui.command_line import main

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning:diffusers"
)


@pytest.fixture
def batch(hub_folder, tmp_path, capsys):
    """Draw a table with the tiny Z-Image; gives code, stderr and sku -> record."""

    def run(text: str, *arguments: str):
        table, out = tmp_path / "products.csv", tmp_path / "out"
        table.write_text(text, encoding="utf-8")
        model = ("--model", str(hub_folder("z-image")), "--device", "cpu", "--no-scores")
        code = main(["batch", str(table), "-o", str(out), *model, *arguments])
        records = {path.parent.name: read_record(path) for path in out.rglob("*.png.json")}
        return code, capsys.readouterr().err, records

    return run


def test_a_table_names_models_and_adapters(batch, hub_folder, tmp_path):
    digest = lora("z-image", tmp_path / "brand")
    code, err, made = batch(
        "sku,prompt,model,adapter\n"
        "A,藏青色羊毛大衣,,\n"
        "B,藏青色羊毛大衣,,brand:0.5\n"
        f"C,藏青色羊毛大衣,{hub_folder('sdxl')},\n",
        *("--size", "64x64", "--steps", "2", "--seed", "1", "--same-noise"),
    )
    assert code == 0, err
    assert {sku: record.model["id"] for sku, record in made.items()} == {
        "A": "z-image",
        "B": "z-image",
        "C": "sdxl",
    }
    assert [made[sku].request["guidance_scale"] for sku in "AC"] == [
        families.MODELS[name].guidance for name in ("z-image", "sdxl")
    ]
    assert [one["sha256"] for one in made["B"].adapters] == [digest]
    assert not made["A"].adapters
    assert made["B"].adapters[0]["weight"] == 0.5
    assert len({record.pixels_sha256 for record in made.values()}) == 3
    assert str(tmp_path) not in json.dumps([record.request for record in made.values()])


def test_a_plan_takes_the_models_own_size_and_an_adapter_is_refused_first(
    batch, hub_folder, tmp_path, capsys
):
    table = tmp_path / "products.csv"
    table.write_text("sku,prompt\nA,大衣\n", encoding="utf-8")
    arguments = ["batch", str(table), "-o", str(tmp_path / "out"), "--dry-run"]
    assert main([*arguments, "--model", str(hub_folder("z-image"))]) == 0
    assert "768x1024" in capsys.readouterr().out.replace("×", "x").replace(" ", "")
    assert main([*arguments, "--adapter", str(tmp_path)]) == 2
    assert "embedded" in capsys.readouterr().err
    code, err, made = batch("sku,prompt,adapter\nA,大衣,none.safetensors\n")
    assert (code, made) == (2, {})
    assert "none.safetensors" in err
