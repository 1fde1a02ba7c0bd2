"""`mmgen generate` from typed words to labelled files, with a generator that costs nothing."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from mmgen.files.embedded_request import embedded_request
from mmgen.files.read import read_label, verify
from mmgen.values import ImageRecord
from ui.command_line import main

ROOT = Path(__file__).resolve().parent.parent.parent
QUICK = ("--steps", "2", "--size", "64x96")


@pytest.fixture
def draw(generator, tmp_path, capsys):
    """Run `mmgen generate ... -o out`; gives the JSON lines of stdout."""

    def run(*arguments: str, code: int = 0) -> list[dict]:
        got = main(["generate", *QUICK, "-o", str(tmp_path / "out"), "--json", *arguments])
        captured = capsys.readouterr()
        assert got == code, captured.err
        return [json.loads(line) for line in captured.out.splitlines()]

    return run


@pytest.fixture
def names(tmp_path):
    return lambda: sorted(path.name for path in (tmp_path / "out").iterdir())


def test_four_pictures_their_records_and_a_sheet(draw, names, tmp_path):
    lines = draw("蓝白格子长袖衬衫，挂在白墙前", "-n", "4", "--seed", "7")
    assert [line["seed"] for line in lines] == [7, 8, 9, 10]
    pictures = [f"蓝白格子长袖衬衫-挂在白墙前-{seed}.png" for seed in (7, 8, 9, 10)]
    assert names() == sorted([*pictures, *(name + ".json" for name in pictures), "sheet.png"])
    for path in (tmp_path / "out").glob("*.png"):
        assert verify(path), path
    with Image.open(tmp_path / "out" / pictures[0]) as picture:
        assert picture.size == (64, 96)


def test_the_record_and_the_label_say_what_was_asked_for(draw):
    (line,) = draw("红裙", "--seed", "3", "--negative", "帽子", "--guidance", "2.5")
    record = ImageRecord.from_json(Path(line["record"]).read_text(encoding="utf-8"))
    assert record.request["prompt"] == "红裙"
    assert record.request["negative_prompt"] == "帽子"
    assert record.request["guidance_scale"] == 2.5
    assert record.request["model"] == "numpy"
    assert record.label == read_label(line["path"]).to_dict()
    assert record.label["ProduceID"] == line["produce_id"]


def test_the_producer_is_the_configured_one(draw, empty_home):
    (empty_home / "config.toml").write_text('[label]\nproducer = "0019X"\n')
    draw("红裙", "-n", "2", "--seed", "1")
    for path in (Path(draw("红裙", "--seed", "5")[0]["path"]).parent).glob("*.png"):
        assert read_label(path).content_producer == "0019X"


def test_one_picture_has_no_sheet(draw, names):
    draw("红裙", "--seed", "3")
    assert names() == ["红裙-3.png", "红裙-3.png.json"]


@pytest.mark.parametrize(("kind", "suffix"), [("jpeg", ".jpg"), ("webp", ".webp")])
def test_other_formats(draw, kind, suffix):
    (line,) = draw("红裙", "--seed", "3", "--format", kind)
    assert line["path"].endswith(suffix)
    assert verify(line["path"])


def test_the_same_wish_twice_keeps_the_file_and_says_so(draw, names):
    (first,) = draw("红裙", "--seed", "3")
    before = Path(first["path"]).read_bytes()
    (second,) = draw("红裙", "--seed", "3")
    assert (first["kept"], second["kept"]) == (False, True)
    assert second["path"] == first["path"]
    assert Path(first["path"]).read_bytes() == before
    assert len(names()) == 2


def test_another_wish_of_the_same_name_is_written_beside(draw, names):
    draw("红裙", "--seed", "3")
    draw("红裙", "--seed", "3", "--guidance", "1")
    assert {"红裙-3.png", "红裙-3-2.png"} <= set(names())


def test_overwrite_replaces(draw, names):
    (first,) = draw("红裙", "--seed", "3")
    draw("红裙", "--seed", "3", "--guidance", "1", "--overwrite")
    assert names() == ["红裙-3.png", "红裙-3.png.json"]
    record = ImageRecord.from_json(Path(first["record"]).read_text(encoding="utf-8"))
    assert record.request["guidance_scale"] == 1.0


def test_a_picture_does_not_depend_on_its_neighbours(draw):
    four = draw("红裙", "-n", "4", "--seed", "7")
    (alone,) = draw("红裙", "--seed", "9", "--format", "webp")
    assert alone["produce_id"] == four[2]["produce_id"]


def test_a_prompt_file_names_files_by_id(draw, names, tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffsku-1\t红色连衣裙\r\nsku/2\t藏青大衣\r\n".encode())
    lines = draw("--prompts", str(path), "--seed", "5")
    assert [line["prompt"] for line in lines] == ["红色连衣裙", "藏青大衣"]
    assert [line["seed"] for line in lines] == [5, 5]
    assert "sku-1.png" in names()
    assert all(Path(line["path"]).parent == tmp_path / "out" for line in lines)


def test_a_prompt_file_with_several_pictures_a_line(draw, names, tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("a\t红色连衣裙\nb\t藏青大衣\n".encode("gb18030"))
    draw("--prompts", str(path), "--seed", "5", "-n", "2")
    assert {"a-1.png", "a-2.png", "b-1.png", "b-2.png", "sheet.png"} <= set(names())


def test_a_visible_label_changes_pixels_and_is_recorded(draw):
    (plain,) = draw("红裙", "--seed", "3", "--size", "192x256")
    (marked,) = draw("红裙", "--seed", "3", "--size", "192x256", "--visible-label")
    assert plain["path"] != marked["path"]
    pixels = [Image.open(line["path"]).tobytes() for line in (plain, marked)]
    assert pixels[0] != pixels[1]
    record = json.loads(Path(marked["record"]).read_text(encoding="utf-8"))
    assert record["visible_label"] is True


def test_the_request_travels_in_the_file_on_request(draw, generator, tmp_path, capsys):
    (line,) = draw("红裙", "--seed", "3", "--embed-request")
    (plain,) = draw("红裙", "--seed", "4")
    request = embedded_request(Path(line["path"]).read_bytes())["request"]
    assert request["prompt"] == "红裙"
    assert request["seed"] == 3
    assert verify(line["path"])
    assert embedded_request(Path(plain["path"]).read_bytes()) is None
    out = tmp_path / "jpeg"
    options = ("--format", "jpeg", "--embed-request", "-o", str(out))
    assert main(["generate", "红裙", *QUICK, *options]) == 2
    assert "--embed-request" in capsys.readouterr().err
    assert not out.exists()


def test_a_reference_is_recorded_by_its_hash_alone(draw, tmp_path):
    path = tmp_path / "secret-customer.jpg"
    Image.effect_noise((96, 128), 80).convert("CMYK").save(path)
    (line,) = draw("红裙", "--seed", "3", "--reference", str(path))
    text = Path(line["record"]).read_text(encoding="utf-8")
    assert len(json.loads(text)["references"]) == 1
    assert "secret-customer" not in text
    assert str(tmp_path) not in text


def test_people_are_told_where_and_how_long(generator, tmp_path, capsys):
    folder = tmp_path / "out"
    assert main(["generate", *QUICK, "-n", "2", "--seed", "1", "-o", str(folder), "红裙"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [str(folder / "红裙-1.png"), str(folder / "红裙-2.png")]
    assert out[2] == f"拼图：{folder / 'sheet.png'}"
    assert out[3].startswith(f"2 张图片在 {folder}，用时 ")


def test_a_warning_is_said_once_and_the_picture_is_made(generator, tmp_path, capsys):
    folder = str(tmp_path / "out")
    assert main(["generate", *QUICK, "-n", "3", "-o", folder, "--json", "一只猫"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("提示：“一只猫”里没有提到衣服；内置模型只认识衣服") == 1
    assert len(captured.out.splitlines()) == 3


def test_messages_are_english_on_request(generator, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MMGEN_LANG", "en")
    folder = str(tmp_path / "out")
    assert main(["generate", *QUICK, "-n", "2", "-o", folder, "一只猫"]) == 0
    captured = capsys.readouterr()
    assert "note: no garment is named in 一只猫" in captured.err
    assert f"2 pictures in {folder}" in captured.out


def test_without_a_seed_two_runs_differ(draw):
    (first,), (second,) = draw("红裙"), draw("红裙")
    assert first["seed"] != second["seed"]


def test_a_prompt_that_policy_forbids_is_refused_and_nothing_is_drawn(
    draw, generator, empty_home, tmp_path
):
    (empty_home / "rules.txt").write_text("brand: 某某牌\n", encoding="utf-8")
    (empty_home / "config.toml").write_text('[policy]\nrules = "rules.txt"\n')
    assert draw("某某牌红裙", code=2) == []
    assert generator.drawn == 0
    assert not (tmp_path / "out").exists()


WITH_STUB = """
import sys
from tests.ui.conftest import NumpyGenerator
from pipelines.text_to_image import TextToImagePipeline
from ui import generate
from ui.command_line import main
stub = TextToImagePipeline(NumpyGenerator(step_s=float(sys.argv[1])))
generate.load_pipeline = lambda *_, **__: stub
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def started(tmp_path, empty_home):
    """Starts `mmgen generate` in a process of its own; gives it when it has begun to draw."""

    def start(step_s: float, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_STUB, str(step_s), "generate", "--size", "64x64",
             "-o", str(tmp_path / "out"), *arguments, "裙"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert "载入" in process.stderr.readline()
        time.sleep(0.5)
        return process

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_after_the_step_and_keeps_what_is_finished(started, tmp_path, number):
    process = started(0.02, "--steps", "4", "-n", "60")
    process.send_signal(number)
    began = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 1.5
    assert "再按一次 Ctrl-C 立即停止" in err
    assert "已按要求停止：60 张里完成了" in err
    assert "Traceback" not in err
    finished = list((tmp_path / "out").glob("*.png"))
    assert 0 < len(finished) < 60
    assert all(verify(path) for path in finished)
    assert not list((tmp_path / "out").glob(".part-*"))


def test_a_second_ctrl_c_stops_at_once(started, tmp_path):
    process = started(10.0)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 2
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def read_terminal(terminal: int) -> str:
    """All that is shown until the other side closes, which Linux reports as an error."""
    shown = b""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 65536):
            shown += data
    os.close(terminal)
    return shown.decode(errors="replace")


def test_with_a_bar_on_the_terminal_results_still_go_to_stdout(tmp_path):
    terminal, stderr = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_STUB, "0.01", "generate", "-n", "2", "--seed", "5",
         "--size", "64x64", "--json", "-o", str(tmp_path / "out"), "裙"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=stderr,
    )  # fmt: skip
    os.close(stderr)
    shown = read_terminal(terminal)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    assert [json.loads(line)["seed"] for line in out.splitlines()] == [5, 6]
    assert "正在生成" in shown
    assert "还要约" in shown


def in_a_tmpfs(folder: Path, options: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run `script` where `folder` is a small file system of its own."""
    mount = f'mount -t tmpfs -o {options} tmpfs "$1" && shift && exec "$@"'
    arguments = ["0", "generate", "-o", str(folder / "out"), "--steps", "1", "-n", "20", "裙"]
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", str(folder),
         sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def may_mount(folder: Path) -> bool:
    try:
        return in_a_tmpfs(folder, "size=1m", "").returncode == 0
    except FileNotFoundError:
        return False


def test_a_disk_that_fills_up_leaves_whole_files_only(tmp_path):
    if not may_mount(tmp_path):
        pytest.skip("this machine allows no mounts of one's own")
    script = WITH_STUB.replace(
        "sys.exit(main(",
        "import atexit, pathlib; from mmgen.files.read import verify\n"
        "folder = pathlib.Path(sys.argv[4])\n"
        "atexit.register(lambda: print('LEFT', sorted({p.suffix for p in folder.iterdir()}),"
        " all(verify(p) for p in folder.glob('*.png')), len(list(folder.glob('*.png')))))\n"
        "sys.exit(main(",
    )
    result = in_a_tmpfs(tmp_path, "size=1m", script)
    assert result.returncode == 2, result.stderr
    assert "磁盘满了；请腾出空间" in result.stderr
    assert "LEFT ['.json', '.png'] True" in result.stdout


def test_a_read_only_disk_is_refused_before_drawing(tmp_path):
    if not may_mount(tmp_path):
        pytest.skip("this machine allows no mounts of one's own")
    result = in_a_tmpfs(tmp_path, "size=1m,ro", WITH_STUB)
    assert result.returncode == 2, result.stderr
    assert "文件系统是只读的" in result.stderr
