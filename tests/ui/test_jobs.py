"""`mmgen jobs` from the command line: what it says, and its exit codes."""

from __future__ import annotations

import json

import pytest
from planning import MAKER, plan, prompts

from mmgen.home import database_path
from mmgen.jobs.store import JobStore
from pipelines import run_job as run_job_module
from ui.command_line import main


@pytest.fixture
def store(empty_home, monkeypatch):
    monkeypatch.setattr(run_job_module, "MAKERS", {"batch": MAKER})
    folder = __import__("planning").__file__.rpartition("/")[0]
    monkeypatch.setenv("PYTHONPATH", folder)
    opened = JobStore(database_path())
    yield opened
    opened.close()


def test_no_jobs_yet(capsys):
    assert main(["jobs", "list"]) == 0
    assert "还没有任务" in capsys.readouterr().err


def test_a_job_from_listing_to_checking(store, tmp_path, capsys):
    job = plan(store, tmp_path / "夏装", [*prompts(3), "抛错的连衣裙"])
    assert main(["jobs", "list"]) == 0
    assert "进行中  0/4" in capsys.readouterr().out
    assert main(["jobs", "resume", job[:6]]) == 3
    told = capsys.readouterr()
    assert "任务 完成：完成 3，失败 1，剩 0" in told.out
    assert "失败：SKU0003（试了 3 次）：cannot draw this" in told.err
    assert (tmp_path / "夏装" / "report.html").is_file()
    assert main(["jobs", "show", str(tmp_path / "夏装")]) == 0
    assert "完成 3，等待 0，正在画 0，失败 1" in capsys.readouterr().out
    assert main(["jobs", "check", job]) == 0
    assert "3 张图片、标识和记录都与任务库一致" in capsys.readouterr().out
    assert main(["jobs", "report", job]) == 0
    next((tmp_path / "夏装").rglob("*.png")).unlink()
    capsys.readouterr()
    assert main(["jobs", "check", job]) == 1
    assert "文件不见了：SKU000" in capsys.readouterr().out


def test_retry_pause_and_cancel(store, tmp_path, capsys):
    job = plan(store, tmp_path / "out", prompts(2))
    assert main(["jobs", "pause", job, "--json"]) == 0
    paused = json.loads(capsys.readouterr().out)
    assert (paused["state"], paused["reason"]) == ("paused", "by request")
    assert main(["jobs", "show", job]) == 0
    assert "暂停的原因：按要求" in capsys.readouterr().out
    assert main(["jobs", "cancel", job]) == 0
    assert main(["jobs", "resume", job]) == 2
    assert "已取消" in capsys.readouterr().err
    assert main(["jobs", "retry", job, "SKU0001"]) == 0
    assert "1 行可以再试" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nothing"], "没有 nothing 这个任务"),
        (["resume", "nothing", "--workers", "two"], "工作进程数 --workers "),
    ],
)
def test_what_is_wrong_is_said(arguments, said, store, capsys):
    assert main(["jobs", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "0"], "允许的范围是 1 到 64"),
        (["--engine", "slurm"], "可以选的是 local, ray"),
        (["--engine", "ray", "--address", "10.0.0.5:6379"], "RAY_AUTH_MODE=token"),
        (["--address", "10.0.0.5:6379"], "要和它一起用"),
    ],
)
def test_how_to_run_is_checked_before_anything_starts(
    options, said, store, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    job = plan(store, tmp_path / "out", prompts(1))
    assert main(["jobs", "resume", job, *options]) == 2
    assert said in capsys.readouterr().err
