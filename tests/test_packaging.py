"""The wheel alone is enough: built, installed into an empty environment, it draws."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TORCH = ("torch==2.13.0+cpu", "torch>=2.11")
"""The small build first, as in the Makefile."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def run(*command: object, cwd: Path = ROOT, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
        capture_output=True,
        text=True,
        check=check,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of what git tracks, so that nothing lying about gets in."""
    source = tmp_path_factory.mktemp("source")
    tracked = run("git", "ls-files", "-z").stdout.split("\0")
    for name in filter(None, tracked):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", source / "dist", source)
    (path,) = (source / "dist").glob("mmgen-*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "-q")
    for torch in TORCH:
        if run(*pip, torch, check=False).returncode == 0:
            break
    run(*pip, wheel)
    return folder


def test_the_wheel_holds_the_four_packages_and_the_assets(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"mmgen", "pipelines", "training", "ui"}
    assert "mmgen/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    shipped = {name.removeprefix("mmgen/_assets/") for name in names if "/_assets/" in name}
    tracked = run("git", "ls-files", "assets").stdout.split()
    assert shipped == {name.removeprefix("assets/") for name in tracked}


def test_the_installed_wheel_draws_from_anywhere(environment, tmp_path):
    for name in ("pipelines", "training", "ui"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('decoy')\n")
    command = environment / "bin" / "mmgen"
    for cwd, out in ((Path("/"), tmp_path / "one"), (tmp_path, tmp_path / "two")):
        drawn = run(
            command, "generate", "藏青色羊毛大衣", "-n", "2", "--seed", "7", "--steps", "2",
            "-o", out, "--json", cwd=cwd, check=False,
        )  # fmt: skip
        assert drawn.returncode == 0, drawn.stderr
        pictures = [json.loads(line)["path"] for line in drawn.stdout.splitlines()]
        assert len(pictures) == 2
        verified = run(command, "verify", *pictures, out / "sheet.png", cwd=cwd, check=False)
        assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_installed_wheel_imports_from_the_front_door(environment):
    code = (
        "import mmgen, sys; assert 'torch' not in sys.modules;"
        "print(mmgen.__file__, mmgen.TextToImagePipeline.__name__)"
    )
    printed = run(environment / "bin" / "python", "-c", code, cwd=Path("/")).stdout.split()
    assert Path(printed[0]).is_relative_to(environment)
    assert printed[1] == "TextToImagePipeline"
