"""Nothing that ships may read pickled objects, run a model's own code, or start a shell."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for package in ("mmgen", "pipelines", "training", "ui")
    for path in (ROOT / package).rglob("*.py")
)
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SWITCHES = {
    "allow_pickle": False,
    "trust_remote_code": False,
    "weights_only": True,
    "use_safetensors": True,
    "safe_serialization": True,
    "shell": False,
}
"""Keyword -> the only value it may be given."""


def findings(source):
    """What is forbidden in a Python source, as (line, what)."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.partition(".")[0] for alias in node.names}
            names |= {(getattr(node, "module", None) or "").partition(".")[0]}
            yield from ((line, f"import {name}") for name in names & MODULES)
        elif isinstance(node, ast.Attribute) and node.attr == "load":
            if isinstance(node.value, ast.Name) and node.value.id in {"torch", *MODULES}:
                yield line, f"{node.value.id}.load"
        elif isinstance(node, ast.keyword) and node.arg in SWITCHES:
            value = node.value
            if not isinstance(value, ast.Constant) or value.value is not SWITCHES[node.arg]:
                yield line, f"{node.arg}={ast.unparse(value)}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"eval", "exec"}:
            yield line, ast.unparse(node.func)


def test_there_are_sources_to_look_at():
    assert len(SOURCES) > 20


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_pickle_and_no_code_of_strangers(path):
    source = path.read_text(encoding="utf-8")
    assert list(findings(source)) == []
    for text in ("torch.load(", "trust_remote_code=True"):
        assert text not in source


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import dill as harmless",
        "torch.load(path)",
        "f = torch.load",
        "np.load(path, allow_pickle=True)",
        "load(x, trust_remote_code=True)",
        "load(x, trust_remote_code=flag)",
        "save(x, safe_serialization=False)",
        "run(x, shell=True)",
        "eval(text)",
    ],
)
def test_the_gate_sees(source):
    assert list(findings(source))
