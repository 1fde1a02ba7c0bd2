"""Key or error -> the sentence a person reads, in the language in force."""

from __future__ import annotations

import functools
import re
from contextvars import ContextVar
from typing import Any

from mmgen.errors import MmgenError, MmgenWarning
from ui import strings

_language: ContextVar[str] = ContextVar("language", default="zh")


def use_language(lang: str) -> None:
    """Speak `zh` or `en` from now on."""
    _language.set(lang)
    phrase.cache_clear()


def say(key: str, **params: Any) -> str:
    """The interface text `key` with its placeholders filled."""
    table = strings.INTERFACE_EN if _language.get() == "en" else strings.INTERFACE_ZH
    return table[key].format(**params)


def sentence(problem: MmgenError | MmgenWarning) -> str:
    """What `problem` says: the English template, or the Chinese sentence of its code.

    In Chinese, values that are English phrases (`a whole number`, `Permission
    denied`) are put into Chinese too; what the user typed stays as it is.
    """
    if _language.get() == "en":
        return str(problem)
    known = strings.ERRORS if isinstance(problem, MmgenError) else strings.WARNINGS
    template = known.get(problem.code)
    if template is None:
        return str(problem)
    values = {key: _value_in_chinese(value) for key, value in problem.params.items()}
    if problem.code.startswith("value."):
        name = problem.params.get("name")
        values["name"] = strings.NAMES.get(str(name), f"{name} ")
    return template.format(**values)


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 60:
        return say("seconds", seconds=seconds)
    minutes, rest = divmod(round(seconds), 60)
    return say("minutes", minutes=minutes, seconds=rest)


def _value_in_chinese(value: Any) -> str:
    if isinstance(value, MmgenError):
        return sentence(value).rstrip("。")
    return phrase(str(value))


@functools.lru_cache(maxsize=1024)
def phrase(text: str) -> str:
    """An English phrase that an error carries, in the language in force."""
    if _language.get() == "en":
        return text
    if text in strings.PHRASES:
        return strings.PHRASES[text]
    for pattern, chinese in strings.PATTERNS.items():
        if match := re.fullmatch(pattern, text):
            return chinese.format(*match.groups())
    return text
