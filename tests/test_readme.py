"""What the README shows can be typed: its commands, options, Python names and settings exist."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from pathlib import Path

import mmgen
from mmgen.settings import load_settings
from ui.command_line import command_tree

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Each `mmgen ...` line of an indented block."""
    lines = re.findall(r"^ {4}(?:\.venv/bin/)?mmgen (.+)$", TEXT, re.MULTILINE)
    assert len(lines) >= 8
    return [shlex.split(line) for line in lines]


def test_every_command_and_option_exists():
    for words in commands():
        command = command_tree()
        while getattr(command, "commands", None):
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        typed = {word for word in words if word.startswith("-")}
        assert typed <= options, typed - options


def test_every_option_named_in_the_text_exists():
    def options_of(command) -> set[str]:
        own = {name for parameter in command.params for name in parameter.opts}
        inner = getattr(command, "commands", {}).values()
        return own.union(*(options_of(each) for each in inner))

    named = set(re.findall(r"`(--[a-z-]+)", TEXT))
    assert len(named) >= 4
    assert named <= options_of(command_tree())


def test_the_python_example_uses_public_names():
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    imported = [
        alias.name
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert imported
    assert set(imported) <= set(mmgen.__all__)


def test_the_settings_shown_are_settings(empty_home):
    lines = TEXT.partition("home folder (`MMGEN_HOME`).")[2].partition("## Training")[0]
    shown = "\n".join(line[4:] for line in lines.splitlines() if line.startswith("    "))
    assert tomllib.loads(shown)
    (empty_home / "config.toml").write_text(shown, encoding="utf-8")
    assert load_settings().label_producer == "mmgen-local"
