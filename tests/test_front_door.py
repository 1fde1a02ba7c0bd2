"""The front door: every public name, found lazily, from anywhere, never a stranger's."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import mmgen
from mmgen.errors import MmgenError, PackagesApart

ROOT = Path(__file__).resolve().parent.parent


def python(code: str, cwd: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds mmgen as an installed package is found: on the path."""
    return subprocess.run(
        [sys.executable, *(arguments or ("-c", code))],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
    )


def names_for_type_checkers() -> dict[str, str]:
    """Name -> module, as written under `if TYPE_CHECKING:`."""
    tree = ast.parse((ROOT / "mmgen/__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.asname
    }


def test_type_checkers_and_the_table_know_the_same_names():
    assert names_for_type_checkers() == mmgen._HOMES


@pytest.mark.parametrize("name", sorted(mmgen._HOMES))
def test_every_name_opens(name):
    module = importlib.import_module(mmgen._HOMES[name])
    assert getattr(mmgen, name) is getattr(module, name)


def test_the_door_lists_what_it_opens():
    assert set(dir(mmgen)) == set(mmgen.__all__) == {"__version__", *mmgen._HOMES}
    assert mmgen.__version__.count(".") == 2


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Pipelein"):
        _ = mmgen.Pipelein


def test_importing_mmgen_loads_nothing_heavy():
    code = (
        "import sys, mmgen; mmgen.ImageRequest; mmgen.MmgenError\n"
        "print({'torch', 'diffusers', 'pipelines'} & set(sys.modules))"
    )
    assert python(code, ROOT).stdout.strip() == "set()"


@pytest.mark.parametrize("where", ["/", None])
def test_the_pipeline_opens_from_any_folder(where, tmp_path):
    code = "import mmgen; print(mmgen.TextToImagePipeline.__module__)"
    result = python(code, where or tmp_path)
    assert result.stdout.strip() == "pipelines.text_to_image", result.stderr


@pytest.fixture
def decoys(tmp_path):
    """A folder with packages of our names that are not ours."""
    for name in ("pipelines", "training", "ui"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("print('decoy loaded')\n")
    return tmp_path


def test_a_decoy_in_the_working_folder_is_named_not_loaded(decoys):
    code = (
        "import mmgen\n"
        "try: mmgen.TextToImagePipeline\n"
        "except mmgen.MmgenError as error: print(error.code, error)"
    )
    out = python(code, decoys).stdout
    assert out.startswith("install.apart")
    assert str(decoys / "pipelines") in out
    assert str(ROOT / "mmgen") in out
    assert "decoy loaded" not in out


def test_folders_without_code_are_no_decoys(tmp_path):
    for name in ("pipelines", "ui"):
        (tmp_path / name).mkdir()
    result = python("import mmgen; print(mmgen.TextToImagePipeline.__name__)", tmp_path)
    assert result.stdout.strip() == "TextToImagePipeline", result.stderr


def test_python_m_mmgen_is_the_command(tmp_path):
    result = python("", tmp_path, "-m", "mmgen", "--version")
    assert result.stdout.strip() == f"mmgen {mmgen.__version__}", result.stderr


def test_python_m_mmgen_does_not_run_a_decoy(decoys):
    result = python("", decoys, "-m", "mmgen", "--version")
    assert result.returncode == 2
    assert str(decoys / "ui") in result.stderr
    assert "decoy loaded" not in result.stdout


def test_the_check_raises_with_both_paths(monkeypatch, decoys):
    monkeypatch.syspath_prepend(str(decoys))
    for name in [name for name in sys.modules if name.partition(".")[0] == "training"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(PackagesApart) as caught:
        mmgen._check_beside("training")
    assert isinstance(caught.value, MmgenError)
    assert caught.value.params["other"] == decoys / "training"
