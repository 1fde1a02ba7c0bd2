"""`mmgen train` on a made-up folder with the smallest recipes."""

from __future__ import annotations

import re
import signal
import stat

import pytest

from ui.command_line import main


@pytest.fixture
def train(garments, capsys):
    def run(stage: str, *arguments: str, code: int = 0):
        got = main(["train", stage, "--recipe", "tiny", "--data", str(garments), *arguments])
        captured = capsys.readouterr()
        assert got == code, captured.err
        assert "Traceback" not in captured.err
        return captured

    return run


def test_a_stage_trains_resumes_and_says_where(train, empty_home):
    first = train("autoencoder")
    folder = empty_home / "training" / "local" / "autoencoder-tiny"
    assert first.out.startswith("训练完成：4 步，用时 ")
    assert str(folder) in first.out
    assert re.search(r"第 1/4 步，.*loss ", first.err)
    assert (folder / "export" / "vae" / "config.json").is_file()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    refused = train("autoencoder", code=2)
    assert "里已有检查点；请用 --resume 接着训练，或用 --run 换一个目录" in refused.err

    resumed = train("autoencoder", "--resume", "--steps", "6")
    assert "第 5/6 步" in resumed.err
    assert "第 4/6 步" not in resumed.err
    assert resumed.out.startswith("训练完成：6 步")


def test_weights_carry_on_in_another_run(train, tmp_path):
    train("autoencoder", "--run", str(tmp_path / "one"))
    second = train(
        "autoencoder",
        "--run", str(tmp_path / "two"),
        "--init-from", str(tmp_path / "one" / "export"),
        "--steps", "1",
    )  # fmt: skip
    assert second.out.startswith("训练完成：1 步")


def test_the_diffusion_stage_stands_on_named_components(train, tiny_model, tmp_path):
    done = train(
        "diffusion", "--components", str(tiny_model), "--run", str(tmp_path / "run"),
        "--steps", "1",
    )  # fmt: skip
    assert done.out.startswith("训练完成：1 步")


def test_what_to_start_from_must_be_there_and_safe(train, tiny_model, tmp_path):
    run = ("--run", str(tmp_path / "run"))
    assert "/none 没有模型" in train("autoencoder", "--init-from", "/none", *run, code=2).err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "缺少 vae" in train("autoencoder", "--init-from", str(empty), *run, code=2).err
    (empty / "vae").mkdir()
    (empty / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04K.")
    said = train("autoencoder", "--init-from", str(empty), *run, code=2).err
    assert "模型目录" in said or "pickle" in said
    assert not (tmp_path / "run").exists()


def test_resuming_what_never_ran_is_said(train, tmp_path):
    said = train("autoencoder", "--run", str(tmp_path / "none"), "--resume", code=2).err
    assert "里没有可以接着训练的检查点；请不带 --resume 开始" in said
    assert not (tmp_path / "none").exists()


def test_ctrl_c_keeps_a_checkpoint_to_go_on_from(train, tmp_path, monkeypatch):
    run = ("--run", str(tmp_path / "run"))

    def interrupt_at_two(steps):
        def log(step, figures):
            if step == 2 and "loss" in figures:
                signal.raise_signal(signal.SIGINT)

        return log

    with monkeypatch.context() as patch:
        patch.setattr("ui.train._log_to", interrupt_at_two)
        stopped = train("autoencoder", *run, code=130)
    assert stopped.out.startswith("已在第 2 步存好检查点并停止")
    assert train("autoencoder", *run, "--resume").out.startswith("训练完成：4 步")
