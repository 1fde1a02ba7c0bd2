"""What may be asked for: rules of whoever runs mmgen, checked before anything is drawn.

    # rules.txt: one rule a line, `id: words` or `id: /regular expression/`
    violence: 枪支, 血腥, gore
    brand-x:  /\\bacme\\s*2\\d\\d\\d\\b/

No rules are shipped; a rules file named in the configuration sets them, and a
public service must name one. Prompt and rules are compared after NFKC,
simplification and case folding, without invisible characters; Chinese words
also with the spaces and stops between their characters left out.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from mmgen.characters import plain
from mmgen.errors import PromptRefused, SettingBad
from mmgen.settings import load_settings
from mmgen.values import ImageRequest

_RULE = re.compile(r"([A-Za-z0-9._-]{1,64})\s*[:：](.*)", re.DOTALL)
_FORM = "one rule a line: id: word, word or id: /regular expression/"
_SETTING = "policy.rules"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One line of the rules file, ready to compare."""

    id: str
    words: tuple[re.Pattern[str], ...]
    """Searched in the folded text."""
    spread_words: tuple[str, ...]
    """Chinese words, also found when spaces or stops stand between the characters."""

    def refuses(self, folded: str, squeezed: str) -> bool:
        """Whether the rule forbids a text, given folded and without spaces and stops."""
        return any(word.search(folded) for word in self.words) or any(
            word in squeezed for word in self.spread_words
        )


def check(request: ImageRequest, rules: tuple[Rule, ...] | None = None) -> None:
    """Raise `PromptRefused` with the id of the first rule that forbids the request.

    Reads prompt and negative prompt. `rules` default to those of the
    configuration; a rules file that is missing or wrong raises `SettingBad`,
    so that nothing is drawn unchecked.
    """
    if rules is None:
        rules = configured_rules()
    for text in (request.prompt, request.negative_prompt) if rules else ():
        folded = plain(text)
        squeezed = _squeeze(folded)
        for rule in rules:
            if rule.refuses(folded, squeezed):
                raise PromptRefused(rule=rule.id)


def configured_rules() -> tuple[Rule, ...]:
    """The rules in force; none when the configuration names no file."""
    path = load_settings().policy_rules
    return load_rules(path) if path else ()


def load_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, read again only when it has changed; raises `SettingBad`."""
    try:
        stat = path.stat()
        return _load_rules(path, stat.st_mtime_ns, stat.st_size)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SettingBad(name=_SETTING, source=path, got=reason, allowed=_FORM) from error


@functools.lru_cache(maxsize=8)
def _load_rules(path: Path, mtime_ns: int, size: int) -> tuple[Rule, ...]:
    rules = []
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            rules.append(_rule(line.strip(), f"{path}, line {number}"))
    return tuple(rules)


def _rule(line: str, source: str) -> Rule:
    # Messages never repeat the line: rules may be confidential.
    match = _RULE.fullmatch(line)
    body = match[2].strip() if match else ""
    if not match or not body:
        raise SettingBad(name=_SETTING, source=source, got="no rule", allowed=_FORM)
    if len(body) > 2 and body.startswith("/") and body.endswith("/"):
        return Rule(id=match[1], words=(_expression(body[1:-1], source),), spread_words=())
    words = [plain(word).strip() for word in re.split(r"[,，、;；]", body)]
    words = [word for word in words if word]
    if not words:
        raise SettingBad(name=_SETTING, source=source, got="a rule without words", allowed=_FORM)
    return Rule(
        id=match[1],
        words=tuple(_whole_word(word) for word in words),
        spread_words=tuple(_squeeze(word) for word in words if not word.isascii()),
    )


def _expression(pattern: str, source: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        got = f"a wrong regular expression ({error.msg})"
        raise SettingBad(name=_SETTING, source=source, got=got, allowed=_FORM) from error
    if expression.search(""):
        got = "an expression that matches everything"
        raise SettingBad(name=_SETTING, source=source, got=got, allowed=_FORM)
    return expression


def _whole_word(word: str) -> re.Pattern[str]:
    """Latin words match whole (`ass` is not in `class`); Chinese has no word breaks."""
    before = r"(?<![a-z0-9])" if word[0].isascii() and word[0].isalnum() else ""
    after = r"(?![a-z0-9])" if word[-1].isascii() and word[-1].isalnum() else ""
    spaced = r"\s+".join(re.escape(part) for part in word.split())
    return re.compile(f"{before}{spaced}{after}")


def _squeeze(folded: str) -> str:
    """The letters and digits of a text, without what stands between them."""
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LN")
