"""make: the prompt arrives as typed, nothing is installed twice, an old Python is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")

PROMPTS = [
    "蓝白格子长袖衬衫,挂在白墙前",
    "a coat, navy blue",
    """it's a "red" dress""",
    "$HOME $(shell id) `id` ${x}",
    "100% 棉 #1; rm -rf x & true | cat > y",
    "back\\slash \\n",
    "-n 3",
    "two  spaces ",
    "",
]


@pytest.fixture
def workshop(tmp_path):
    """The Makefile with a finished `.venv` whose programs only say what they were given."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    say = "#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv))\n"
    for name in ("python", "mmgen", "pytest"):
        (binaries / name).write_text(say)
        (binaries / name).chmod(0o755)
    for stamp in (".installed", ".installed-test"):
        (tmp_path / ".venv" / stamp).write_text("")
    return tmp_path


def make(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAKE or "make", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def said(result: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The arguments of each program that ran."""
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_prompt_arrives_as_typed(workshop, prompt):
    ((program, *arguments),) = said(make(workshop, "generate", f"PROMPT={prompt}"))
    assert program.endswith("mmgen")
    assert arguments == ["generate", "-n", "4", "-o", "out", "--", prompt]


def test_the_prompt_may_come_from_the_environment(workshop):
    ((*_, prompt),) = said(make(workshop, "generate", PROMPT="红色 '裙子'"))
    assert prompt == "红色 '裙子'"


def test_further_arguments_follow_ours(workshop):
    ((*_, n, count, dashes, _),) = said(make(workshop, "generate", "PROMPT=x", "ARGS=-n 2"))
    assert (n, count, dashes) == ("-n", "2", "--")


def test_a_second_make_installs_nothing(workshop):
    ran = said(make(workshop, "generate", "PROMPT=x")) + said(make(workshop, "test"))
    assert [Path(program).name for program, *_ in ran] == ["mmgen", "pytest"]


def test_changed_requirements_install_again(workshop):
    later = (workshop / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(workshop / "pyproject.toml", (later, later))
    ran = said(make(workshop, "generate", "PROMPT=x"))
    assert any("pip" in arguments for arguments in ran)


def test_an_old_python_is_named_with_what_to_do(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    result = make(tmp_path, "generate", "PROMPT=x", f"PYTHON={old}")
    assert result.returncode != 0
    assert "Python 3.11 or newer" in result.stderr
    assert "Python 3.9.2" in result.stderr
    assert "PYTHON=" in result.stderr
    assert not (tmp_path / ".venv").exists()
