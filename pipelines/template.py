"""`{颜色}{面料}{品类}` + a row -> a prompt."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from mmgen.errors import RequestError
from mmgen.tables.row import text_of

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_STOPS = ",，、;；。 \t"
_REPEATED_STOPS = re.compile(rf"(?:[{_STOPS}]*[,，、;；][{_STOPS}]*)(?=[,，、;；])")


class TemplateBad(RequestError):
    code = "batch.template"
    template = "the template {got} cannot be used ({reason}); the columns are {allowed}"


class Template:
    """Text with names of columns in braces; `{{` and `}}` stand for braces.

    Nothing but whole cells is filled in: a template is no program.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[tuple[str, str]] = []
        for match in _PART.finditer(text):
            token, name = match[0], match[1]
            if name is not None:
                self._parts.append(("", name.strip()))
            elif token in ("{", "}"):
                raise TemplateBad(got=text, reason="a brace is not paired", allowed="-")
            else:
                self._parts.append((token.replace("{{", "{").replace("}}", "}"), ""))
        self.fields = tuple(dict.fromkeys(name for _, name in self._parts if name))
        if not self.fields:
            raise TemplateBad(got=text, reason="it names no column", allowed="-")

    def check(self, columns: Collection[str]) -> None:
        """Raise `TemplateBad` where a named column does not exist."""
        for name in self.fields:
            if name not in columns:
                reason, allowed = f"there is no column {name}", ", ".join(columns)
                raise TemplateBad(got=self.text, reason=reason, allowed=allowed)

    def fill(self, row: Mapping[str, Any]) -> str:
        """The prompt of a row; empty where all named cells are.

        Stops that an empty cell leaves alone are taken away.
        """
        if not any(text_of(row.get(name)).strip() for name in self.fields):
            return ""
        filled = "".join(
            text_of(row.get(name)).replace("|", "、").strip() if name else text
            for text, name in self._parts
        )
        return _REPEATED_STOPS.sub("", filled).strip(_STOPS)
