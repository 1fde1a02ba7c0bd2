"""`mmgen generate` with a real, tiny model: bytes repeat, bad folders are refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mmgen.files.read import verify
from ui.command_line import main

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def draw(tiny_model, tmp_path, capsys):
    def run(*arguments: str, out: str = "out") -> list[dict]:
        folder = str(tmp_path / out)
        options = ["--model", str(tiny_model), "--device", "cpu", "--steps", "3", "--json"]
        code = main(["generate", "-o", folder, *options, *arguments])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return [json.loads(line) for line in captured.out.splitlines()]

    return run


def test_the_same_request_gives_the_same_bytes_alone_and_among_others(draw):
    four = draw("红色连衣裙", "-n", "4", "--seed", "7", out="four")
    again = draw("红色连衣裙", "-n", "4", "--seed", "7", out="again")
    (alone,) = draw("红色连衣裙", "--seed", "9", out="alone")
    assert [line["sha256"] for line in four] == [line["sha256"] for line in again]
    assert alone["sha256"] == four[2]["sha256"]
    assert len({line["sha256"] for line in four}) == 4


def test_prompts_of_a_file_do_not_change_each_other(draw, tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("a\t红色连衣裙\nb\t藏青羊毛大衣\n", encoding="utf-8")
    both = draw("--prompts", str(path), "--seed", "7", out="both")
    (second,) = draw("藏青羊毛大衣", "--seed", "7", out="second")
    assert both[1]["sha256"] == second["sha256"]
    assert both[0]["sha256"] != second["sha256"]


def test_a_reference_changes_the_picture(draw, tmp_path):
    path = tmp_path / "photo.jpg"
    Image.linear_gradient("L").convert("RGB").save(path)
    (plain,) = draw("红色连衣裙", "--seed", "7", out="plain")
    (guided,) = draw("红色连衣裙", "--seed", "7", "--reference", str(path), out="guided")
    assert plain["sha256"] != guided["sha256"]
    assert verify(guided["path"])


def test_the_record_says_what_drew_it_and_no_path(draw, tiny_model, tmp_path):
    (line,) = draw("红色连衣裙", "--seed", "7")
    text = Path(line["record"]).read_text(encoding="utf-8")
    record = json.loads(text)
    assert record["model"]["id"] == "tiny-model"
    assert len(record["model"]["sha256"]) == 64
    assert record["environment"]["device"] == "cpu"
    assert str(tiny_model.parent) not in text
    assert str(tmp_path) not in text


@pytest.fixture
def broken(tiny_model, tmp_path, capsys):
    """Spoils a copy of the model; gives the sentence that `mmgen generate` says of it."""

    def run(spoil) -> str:
        folder = tmp_path / "model"
        shutil.copytree(tiny_model, folder)
        spoil(folder)
        code = main(["generate", "红裙", "--model", str(folder), "-o", str(tmp_path / "out")])
        captured = capsys.readouterr()
        assert code == 2, captured.err
        assert not (tmp_path / "out").exists()
        assert "Traceback" not in captured.err
        last = captured.err.splitlines()[-1]
        assert last.startswith("错误：")
        return last

    return run


WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


def test_a_model_folder_without_its_weights(broken):
    said = broken(lambda folder: (folder / WEIGHTS).unlink())
    assert "缺少" in said
    assert "请从来源重新复制" in said


def test_a_model_folder_with_truncated_weights(broken):
    def spoil(folder):
        os.truncate(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size // 2)

    said = broken(spoil)
    assert f"{WEIGHTS} 坏了" in said
    assert "请重新复制" in said


def test_a_model_folder_with_a_foreign_program(broken):
    said = broken(lambda folder: (folder / "pipeline.py").write_text("print('hello')"))
    assert "pipeline.py" in said


def test_a_model_folder_with_pickled_weights(broken):
    said = broken(lambda folder: (folder / "transformer" / "model.bin").write_bytes(b"\x80\x04K."))
    assert "pickle" in said
    assert "safetensors" in said


def test_a_model_folder_that_names_a_strange_class(broken):
    def spoil(folder):
        index = json.loads((folder / "model_index.json").read_text())
        index["vae"] = ["subprocess", "Popen"]
        (folder / "model_index.json").write_text(json.dumps(index))

    assert "subprocess" in broken(spoil)


@pytest.mark.parametrize("name", ["/none/at/all", "not-a-model"])
def test_a_model_that_is_not_there(name, capsys, tmp_path):
    assert main(["generate", "红裙", "--model", name, "-o", str(tmp_path / "out")]) == 2
    assert f"{name} 没有模型；请给出 diffusers 格式的目录" in capsys.readouterr().err


def test_a_device_that_is_not_there(tiny_model, capsys, tmp_path):
    options = ["--model", str(tiny_model), "--device", "cuda:9", "-o", str(tmp_path / "out")]
    assert main(["generate", "红裙", *options]) == 2
    assert "设备 cuda:9 在这里用不了（找到 " in capsys.readouterr().err


def test_a_process_of_its_own_says_nothing_but_what_it_should(tiny_model, tmp_path):
    """No library speaks up on stderr, and no Python warning leaks."""
    result = subprocess.run(
        [sys.executable, "-m", "mmgen", "generate", "红色连衣裙", "-n", "2", "--steps", "2",
         "--seed", "7", "--model", str(tiny_model), "-o", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert result.stderr == "正在载入模型\n"
    assert len(result.stdout.splitlines()) == 4
