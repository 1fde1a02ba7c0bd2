"""Chinese and English say the same: every code, every key, every placeholder."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from mmgen import errors
from ui import strings
from ui.words import duration, phrase, say, sentence, use_language

ROOT = Path(__file__).resolve().parent.parent.parent


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def text_of(node: ast.expr) -> str:
    value = ast.literal_eval(node)
    assert isinstance(value, str)
    return value


def leaves(base: str | None = None) -> dict[str, str]:
    """Code -> English template of every class, in whatever file, that has both."""
    found = {}
    for layer in ("mmgen", "pipelines", "training", "ui"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and (
                    base is None or base in map(ast.unparse, node.bases)
                ):
                    values = {
                        target.id: statement.value
                        for statement in node.body
                        if isinstance(statement, ast.Assign)
                        for target in statement.targets
                        if isinstance(target, ast.Name)
                    }
                    if {"code", "template"} <= values.keys():
                        code = text_of(values["code"])
                        assert code not in found, f"two classes have the code {code}"
                        found[code] = text_of(values["template"])
    return found


def test_every_code_has_a_sentence_and_every_sentence_a_code():
    assert not strings.ERRORS.keys() & strings.WARNINGS.keys()
    assert {**strings.ERRORS, **strings.WARNINGS}.keys() == leaves().keys()


def test_a_sentence_has_the_placeholders_of_its_template():
    chinese = {**strings.ERRORS, **strings.WARNINGS}
    assert {code: placeholders(text) for code, text in chinese.items()} == {
        code: placeholders(template) for code, template in leaves().items()
    }


def test_warnings_and_errors_are_not_mixed_up():
    warnings = {"warning"} | set(leaves(base="MmgenWarning"))
    assert strings.WARNINGS.keys() <= warnings
    assert not strings.ERRORS.keys() & warnings


def test_the_interface_has_the_same_keys_and_placeholders_in_both_languages():
    chinese, english = strings.INTERFACE_ZH, strings.INTERFACE_EN
    assert chinese.keys() == english.keys()
    for key, text in chinese.items():
        assert placeholders(text) == placeholders(english[key]), key


def test_every_key_that_is_used_exists_and_every_key_is_used():
    files = [path for path in (ROOT / "ui").rglob("*.py") if path.parent.name != "strings"]
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    used = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_]+)?)["']""", source))
    keys = strings.INTERFACE_ZH.keys()
    computed = {key for key in keys if key.startswith(("verify.", "models.", "replay.", "tag."))}
    assert keys - computed <= used


def test_chinese_sentences_are_chinese():
    for text in {**strings.ERRORS, **strings.WARNINGS}.values():
        assert re.search("[一-鿿]", text)
        assert not re.search("[一-鿿][,;:!?(]|[,;!?)][一-鿿]", text), text


def test_an_error_is_said_in_both_languages():
    error = errors.OutOfRange(name="num_inference_steps", got=0, low=1, high=150)
    assert sentence(error) == "步数 --steps 是 0，允许的范围是 1 到 150。"
    use_language("en")
    try:
        assert sentence(error) == str(error)
    finally:
        use_language("zh")


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("Permission denied", "没有权限"),
        ("0 CUDA devices found", "找到 0 块 CUDA 显卡"),
        ("蓝色", "蓝色"),
        ("{not a placeholder}", "{not a placeholder}"),
    ],
)
def test_phrases_inside_errors_are_translated_and_what_was_typed_is_not(english, chinese):
    assert phrase(english) == chinese


def test_braces_in_what_was_typed_do_no_harm():
    error = errors.UnknownChoice(name="format", got="'{0}{x}'", allowed="png")
    assert "'{0}{x}'" in sentence(error)


def test_durations_read_like_durations():
    assert duration(3.21) == "3.2 秒"
    assert duration(125) == "2 分 05 秒"
    assert say("interrupted") == "已停止。"
