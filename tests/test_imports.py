"""Imports flow one way: ui -> training -> pipelines -> mmgen; stages do not know each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("mmgen", "pipelines", "training", "ui")
"""Lowest first: a file imports from its own layer and those before it."""
STAGES = (
    "tables",
    "text",
    "retrieval",
    "catalogue",
    "latents",
    "codes",
    "pixels",
    "files",
    "hub",
    "jobs",
    "evaluation",
    "colour",
    "mask",
)
FRONT_DOOR = Path("mmgen/__init__.py")
"""The one allowed arrow upwards."""


def imported_modules(source: str, path: Path) -> set[str]:
    """Full names of all modules that a file imports, wherever the import stands."""
    package = path.parent.parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            found.update(imported_by_call(node))
    return found


def imported_by_call(node: ast.Call) -> set[str]:
    """`importlib.import_module("ui.x")` with the name written out."""
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    argument = node.args[0]
    if name in ("import_module", "__import__") and isinstance(argument, ast.Constant):
        return {str(argument.value)}
    return set()


def stage_of(parts: tuple[str, ...]) -> str | None:
    return parts[1] if len(parts) > 1 and parts[0] == "mmgen" and parts[1] in STAGES else None


def faults(source: str, path: Path) -> list[str]:
    """What a file at `path` imports although it must not."""
    if path == FRONT_DOOR:
        return []
    found = []
    layer = LAYERS.index(path.parts[0])
    stage = stage_of(path.with_suffix("").parts)
    for module in sorted(imported_modules(source, path)):
        parts = tuple(module.split("."))
        if parts[0] in LAYERS and LAYERS.index(parts[0]) > layer:
            found.append(f"{path} imports {module}: upwards")
        other = stage_of(parts)
        if stage and other and other != stage:
            found.append(f"{path} imports {module}: stage to stage")
        if path.as_posix() == "training/loop.py" and (
            parts[0] == "pipelines" or other or parts[:2] == ("training", "towers")
        ):
            found.append(f"{path} imports {module}: the loop knows steps, not models")
    return found


def source_files() -> list[Path]:
    return sorted(
        path.relative_to(ROOT) for layer in LAYERS for path in (ROOT / layer).rglob("*.py")
    )


def test_imports_flow_one_way():
    found = [
        fault
        for path in source_files()
        if path != Path("mmgen/__main__.py")  # the command's own door, by name
        for fault in faults((ROOT / path).read_text(encoding="utf-8"), path)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("mmgen/text/encoder.py", "from mmgen.latents import transformer"),
        ("mmgen/text/encoder.py", "from ..latents import transformer"),
        ("mmgen/latents/pipeline.py", "from mmgen import pixels"),
        ("mmgen/devices.py", "import pipelines.text_to_image"),
        ("mmgen/devices.py", "def f():\n    import training"),
        ("mmgen/devices.py", "import importlib\nimportlib.import_module('ui.words')"),
        ("pipelines/search.py", "from ui.words import say"),
        ("pipelines/search.py", "from training import loop"),
        ("training/recipes.py", "from ui import words"),
        ("training/loop.py", "from mmgen.pixels.autoencoder import GarmentAutoencoder"),
        ("training/loop.py", "from pipelines import components"),
    ],
)
def test_a_planted_fault_is_found(path, source):
    assert faults(source, Path(path))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "mmgen/text/encoder.py",
            "from mmgen.values import Step\nfrom mmgen.text import tokenizer",
        ),
        ("mmgen/text/encoder.py", "from . import tokenizer\nfrom ..errors import MmgenError"),
        ("pipelines/text_to_image.py", "from mmgen.latents.pipeline import GarmentPipeline"),
        ("training/run.py", "from pipelines.components import load\nfrom training import loop"),
        ("ui/train.py", "from training import recipes"),
    ],
)
def test_an_allowed_import_passes(path, source):
    assert faults(source, Path(path)) == []


LIGHT = (
    "mmgen",
    "mmgen.values",
    "mmgen.errors",
    "mmgen.limits",
    "mmgen.seeds",
    "mmgen.devices",
    "mmgen.settings",
    "mmgen.assets",
    "mmgen.policy",
    "mmgen.catalogue.store",
    "mmgen.catalogue.index",
    "mmgen.files.label",
    "mmgen.colour.card",
    "mmgen.colour.recolour",
    "mmgen.mask.choose",
    "mmgen.pixels.cutout",
    "mmgen.pixels.sizes",
    "mmgen.tables.open",
    "mmgen.tables.write",
    "mmgen.typed",
    "ui.batch",
    "ui.replay",
    "mmgen.hub.families",
    "mmgen.hub.folders",
    "mmgen.hub.memory",
    "mmgen.files.read",
    "mmgen.files.write",
    "mmgen.files.read_picture",
    "mmgen.jobs.queue",
    "mmgen.jobs.store",
    "mmgen.image_folder",
    "ui.command_line",
    "ui.evaluate",
    "ui.generate",
    "ui.verify",
    "ui.commands_edit",
    "ui.recolour",
    "ui.background",
    "ui.edit",
    "ui.info",
    "ui.models",
    "mmgen.jobs.supervisor",
    "mmgen.jobs.worker",
    "ui.jobs",
    "ui.train",
)
HEAVY = ("torch", "diffusers", "transformers", "pipelines", "training")


@pytest.mark.parametrize("module", LIGHT)
def test_what_must_start_fast_loads_nothing_heavy(module):
    code = f"import sys, {module}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert result.stdout.strip() == "[]"
