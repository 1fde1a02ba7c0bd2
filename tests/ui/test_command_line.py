"""The command line: its surface is frozen, its complaints are Chinese, its start is quick."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ui.command_line import command_tree, main

ROOT = Path(__file__).resolve().parent.parent.parent

SURFACE = {
    "": "--help --version",
    "background": (
        "--format --help --json --mask --output --overwrite --preset --shadow --size --to "
        "--visible-label -o PIC..."
    ),
    "colourways": (
        "--colours --device --format --help --json --mask --model --output --overwrite --seed "
        "--visible-label -o PIC|PROMPT"
    ),
    "edit": (
        "--box --device --format --guidance --help --json --mask --model --negative --output "
        "--overwrite --part --prompt --seed --size --steps --strength --visible-label -n -o "
        "PIC"
    ),
    "mask": "--help --json --output --overwrite --part -o PIC...",
    "recolour": (
        "--colours --format --help --json --mask --output --overwrite --to --visible-label "
        "-o PIC..."
    ),
    "train mask": "--data --help --init-from --recipe --resume --run --steps",
    "train upscaler": "--data --help --init-from --recipe --resume --run --steps",
    "upscale": (
        "--by --format --help --json --method --output --overwrite --visible-label -o PIC..."
    ),
    "catalogue": "--help",
    "catalogue add": "--catalogue --help --index --json --licence --towers SOURCE...",
    "catalogue check": "--help --json --rebuild --towers [NAME]",
    "catalogue list": "--help --json",
    "catalogue remove": "--all --catalogue --help --json --missing --yes [ID...]",
    "search": "--catalogue --filter --help --json --picture --sheet -n [QUERY]",
    "evaluate": (
        "--data --device --evaluator --guidance --help --json --limit --model --output --retrieve "
        "--steps -o"
    ),
    "batch": (
        "--adapter --address --device --dry-run --embed-request --engine --format --gpus "
        "--guidance --help --id --json --keep-best-of --lora --metrics --model --negative "
        "--no-scores --output --retry-mismatch --same-noise --seed --sheet --size --skip-bad "
        "--steps --store-url --template --visible-label --workers -n -o TABLE"
    ),
    "replay": "--device --help --json --model --parent --reference FILE...",
    "generate": (
        "--accept-licence --adapter --attention --background --candidates --catalogue --device "
        "--diverse --embed-request --filter --format --guidance --help --json --lora --model "
        "--negative --output --overwrite --placement --preset --prompts --reference --retrieve "
        "--seed --size --steps --visible-label -n -o PROMPT"
    ),
    "info": "--device --help --json --model",
    "jobs": "--help",
    "jobs cancel": "--help --json JOB",
    "jobs check": "--help --json JOB",
    "jobs list": "--help --json",
    "jobs pause": "--help --json JOB",
    "jobs report": "--help --json JOB",
    "jobs resume": (
        "--address --device --engine --gpus --help --json --model --store-url --workers JOB"
    ),
    "jobs retry": "--help --json JOB [ROW...]",
    "jobs show": "--help --json JOB",
    "models": "--help",
    "models fetch": (
        "--accept-licence --endpoint --help --json --private --revision --source MODEL"
    ),
    "models plan": "--help --json --size --vram MODEL",
    "models list": "--help --json",
    "models show": "--accept-licence --help --json MODEL",
    "similar": "--catalogue --help --json --sheet -n PIC",
    "tag": "--copy --help --json --seed PIC...",
    "train": "--help",
    "train autoencoder": "--data --help --init-from --recipe --resume --run --steps",
    "train builtin-catalogue": "--data --help --model --output -o",
    "train diffusion": "--components --data --help --init-from --recipe --resume --run --steps",
    "train evaluator": "--data --help --init-from --recipe --resume --run --steps",
    "train rebuild-data": "--help OUT SOURCE",
    "train tags": "--data --help --output --towers -o",
    "train towers": "--data --help --init-from --recipe --resume --run --steps",
    "verify": "--help --json FILE...",
}
"""All commands with all their options; a new one is added here knowingly."""


def surface_of(command, name: str = "") -> dict[str, str]:
    found = {"--help"}
    for parameter in command.params:
        is_option = parameter.param_type_name == "option"
        found.update(parameter.opts if is_option else [parameter.metavar])
    surface = {name: " ".join(sorted(found))}
    for inner_name, inner in getattr(command, "commands", {}).items():
        surface.update(surface_of(inner, f"{name} {inner_name}".strip()))
    return surface


def test_the_surface_is_the_one_agreed_on():
    assert surface_of(command_tree()) == SURFACE


def test_every_text_of_the_help_is_in_words():
    def check(command):
        assert not re.match(r"help\.", command.help or "help.")
        for parameter in command.params:
            assert not re.match(r"help\.", parameter.help or "help."), parameter.name
        for inner in getattr(command, "commands", {}).values():
            check(inner)

    check(command_tree())


@pytest.mark.parametrize("command", sorted(SURFACE))
def test_help_is_chinese_and_narrow(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert "用法" in out
    assert "Usage" not in out
    assert "Options" not in out
    width = max(
        sum(2 if ord(letter) > 0x2E80 else 1 for letter in line) for line in out.split("\n")
    )
    assert width <= 80


def test_help_is_english_on_request(capsys, monkeypatch):
    monkeypatch.setenv("MMGEN_LANG", "en")
    assert main(["generate", "--help"]) == 0
    out = capsys.readouterr().out
    assert "Usage: mmgen generate" in out
    assert not re.search("[一-鿿]", out.replace("藏青色羊毛大衣", ""))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["genrate"], "没有 genrate 这个命令"),
        (["generate", "裙子", "--sed", "3"], "没有 --sed 这个选项；是不是想写 --seed"),
        (["generate", "裙子", "--xyzzy"], "没有 --xyzzy 这个选项；用法见 mmgen generate --help"),
        (["generate", "红色", "裙子"], "多出了 裙子"),
        (["generate", "裙子", "--seed"], "选项 --seed 后面要有一个值"),
        (["generate", "裙子", "--json=1"], "选项 --json 后面不带值"),
        (["verify"], "缺少 FILE...；用法见 mmgen verify --help"),
        (["train", "vae"], "没有 vae 这个命令"),
        (["train", "towers", "--recipe"], "选项 --recipe 后面要有一个值"),
    ],
)
def test_a_wrong_command_is_said_in_chinese(arguments, said, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.startswith("错误：")
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [[], ["train"]])
def test_no_command_shows_the_help(arguments, capsys):
    assert main(arguments) == 2
    assert "用法" in capsys.readouterr().err


def test_an_unexpected_error_is_one_line_and_code_1(capsys, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("boom")

    monkeypatch.setattr("ui.verify.verify_files", fail)
    assert main(["verify", "x"]) == 1
    err = capsys.readouterr().err
    assert "意外的错误：RuntimeError：boom" in err
    assert "Traceback" not in err


def test_a_bad_config_is_said_by_commands_but_not_by_help(empty_home, capsys):
    (empty_home / "config.toml").write_text('lang = "zh"\ndevice = \n')
    assert main(["--help"]) == 0
    assert main(["info"]) == 2
    err = capsys.readouterr().err
    assert "config.toml" in err
    assert "line 2" in err


def test_info_names_the_source_of_each_setting_and_no_token(empty_home, capsys, monkeypatch):
    (empty_home / "config.toml").write_text('[hf]\ntoken = "hf_secret"\n')
    monkeypatch.setenv("MMGEN_DEVICE", "cpu")
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"\[device\] +cpu（MMGEN_DEVICE）", out)
    assert re.search(r"\[lang\] +zh（默认）", out)
    assert "config.toml, line 2" in out
    assert "hf_secret" not in out


def test_a_terminal_that_knows_no_chinese_gets_escapes_not_a_crash():
    environ = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = subprocess.run(
        [sys.executable, "-m", "mmgen", "genrate"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "\\u9519\\u8bef" in result.stderr


def test_help_starts_within_half_a_second_of_python_itself():
    def best_of_5(*arguments: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        return min(times)

    assert best_of_5("-m", "mmgen", "--help") - best_of_5("-c", "pass") < 0.5
