"""Bad input through the real command line: a Chinese sentence, code 2, nothing left behind."""

from __future__ import annotations

import os
import re
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from ui import generate
from ui.command_line import main


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    """Whatever is refused here is refused before a model is loaded."""

    def fail(settings):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(generate, "load_pipeline", fail)


@pytest.fixture
def refused(tmp_path, capsys):
    """Run `mmgen generate ... -o out`; gives the sentence after checking the promises."""

    def run(*arguments: str, out: Path | None = None) -> str:
        folder = out or tmp_path / "out"
        code = main(["generate", "-o", str(folder), *arguments])
        captured = capsys.readouterr()
        assert code == 2, captured.err
        assert captured.out == ""
        assert captured.err.startswith("错误：")
        assert captured.err.count("\n") == 1
        assert re.search("[一-鿿]", captured.err)
        assert "Traceback" not in captured.err
        assert not (tmp_path / "out").exists()
        return captured.err

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([""], "提示词是空的；请描述一件衣服"),
        (["  \u3000\n"], "提示词是空的"),
        (["衣" * 100_000], "提示词有 100000 个字，最多允许 1000 个"),
        (["红\ud800裙"], "第 2 个字符是 U+D800"),
        (["红裙\0"], "第 3 个字符是 U+0000"),
        (["裙子", "--negative", "\x1b[31m"], "U+001B"),
        ([], "请写上提示词，或用 --prompts 给出文件"),
        (["裙子", "-n", "0"], "张数 -n 是 0，允许的范围是 1 到 64"),
        (["裙子", "-n", "-1"], "张数 -n 是 -1，允许的范围是 1 到 64"),
        (["裙子", "-n", "1000000"], "张数 -n 是 1000000，允许的范围是 1 到 64"),
        (["裙子", "-n", "二"], "张数 -n 是 '二'，应当是整数"),
        (["裙子", "-n", "1.5"], "应当是整数"),
        (["裙子", "--steps", "0"], "步数 --steps 是 0，允许的范围是 1 到 150"),
        (["裙子", "--size", "192x250"], "图片的高是 250，必须是 16 的倍数，例如 256"),
        (["裙子", "--size", "100x256"], "图片的宽是 100，必须是 16 的倍数"),
        (["裙子", "--size", "0x0"], "允许的范围是 64 到 4096"),
        (["裙子", "--size", "-64x64"], "允许的范围是 64 到 4096"),
        (["裙子", "--size", "大"], "宽x高，例如 192x256"),
        (["裙子", "--guidance", "nan"], "引导强度 --guidance 是 nan，允许的范围是 0.0 到 30.0"),
        (["裙子", "--guidance", "inf"], "引导强度 --guidance 是 inf"),
        (["裙子", "--guidance", "很大"], "应当是数字"),
        (["裙子", "--seed", "-1"], "随机种子 --seed 是 -1，允许的范围是 0 到"),
        (["裙子", "--seed", str(2**63 - 2), "-n", "4"], f"到 {2**63 - 4}"),
        (["裙子", "--format", "bmp"], "图片格式 --format 是 'bmp'；可以选的是 png, jpeg, webp"),
        (["裙子", "--prompts", "x.txt"], "PROMPT 和 --prompts 只能给一个"),
        (["--prompts", "/none/x.txt"], "读不了 /none/x.txt（没有这个文件或目录）"),
    ],
)
def test_bad_values(refused, arguments, said):
    assert said in refused(*arguments)


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header claims a size; its pixels are a few bytes of zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 2) * height))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "whole.png"
    Image.effect_noise((96, 128), 80).convert("RGB").save(path)
    return path


def test_a_reference_that_is_missing(refused, tmp_path):
    assert "没有图片；请检查路径" in refused("裙子", "--reference", str(tmp_path / "no.png"))


def test_a_reference_that_is_a_folder(refused, tmp_path):
    assert str(tmp_path) in refused("裙子", "--reference", str(tmp_path))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_reference_that_is_truncated(refused, tmp_path, picture, share):
    data = picture.read_bytes()
    path = tmp_path / "cut.png"
    path.write_bytes(data[: int(len(data) * share)])
    assert "cut.png 不是能读的" in refused("裙子", "--reference", str(path))


def test_a_reference_of_90_megapixels(refused, tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(png_of(10_000, 9_000))
    assert "10000 x 9000 px，最多允许" in refused("裙子", "--reference", str(path))


def test_a_reference_that_moves(refused, tmp_path):
    path = tmp_path / "moves.png"
    frames = [Image.new("RGB", (64, 64), (shade, 0, 0)) for shade in (0, 90, 180)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50)
    assert "是动图（3 帧）" in refused("裙子", "--reference", str(path))


def test_a_text_file_named_png(refused, tmp_path):
    path = tmp_path / "words.png"
    path.write_text("这不是图片")
    assert "words.png 不是能读的 PNG、JPEG 或 WebP 图片（格式不对）" in refused(
        "裙子", "--reference", str(path)
    )


def test_a_gif_is_named_as_what_cannot_be_read(refused, tmp_path):
    path = tmp_path / "old.gif"
    Image.new("RGB", (64, 64)).save(path)
    assert "不是能读的" in refused("裙子", "--reference", str(path))


def test_five_references(refused, tmp_path):
    paths = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (64, 64), (number, 0, 0)).save(path)
        paths += ["--reference", str(path)]
    assert "给了 5 张参考图，最多允许 4 张" in refused("裙子", *paths)


def test_an_output_folder_below_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("x")
    said = refused("裙子", out=tmp_path / "file" / "out")
    assert "路径中间有一段不是目录" in said
    assert "-o" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_without_permission(refused, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "没有权限" in refused("裙子", out=locked / "out")


def test_an_output_folder_on_a_read_only_disk(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(os, "ST_RDONLY", os.statvfs(tmp_path).f_flag | 1)
    assert "文件系统是只读的" in refused("裙子")


def test_an_output_folder_on_a_full_disk(refused, tmp_path, monkeypatch):
    usage = generate.shutil._ntuple_diskusage(10**9, 10**9, 0)
    monkeypatch.setattr(generate.shutil, "disk_usage", lambda path: usage)
    assert "磁盘满了；请腾出空间，或用 -o 换一个目录" in refused("裙子")


def test_a_bad_line_in_a_prompt_file_stops_before_anything_is_drawn(refused, tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("红裙\n" + "衣" * 2000 + "\n", encoding="utf-8")
    said = refused("--prompts", str(path))
    assert "第 2 行：提示词有 2000 个字，最多允许 1000 个；请缩短；请改正这一行" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "towers", "--recipe", "best"], "配方 --recipe 是 best；可以选的是"),
        (["train", "autoencoder", "--steps", "0"], "步数 --steps 是 0"),
        (["train", "autoencoder", "--steps", "many"], "应当是整数"),
        (["train", "towers", "--resume", "--init-from", "x"], "只能给一个"),
        (["train", "autoencoder", "--recipe", "tiny", "--data", "/none"], "/none 里没有训练图片"),
        (["train", "rebuild-data", "/none", "/none/out"], "/none 里没有训练图片"),
        (["verify", "/none/a.png"], "/none/a.png 没有图片"),
    ],
)
def test_bad_input_of_other_commands(arguments, said, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
