"""JSON from strangers: UTF-8 only, no key twice, no nesting that exhausts the reader."""

from __future__ import annotations

import json
from typing import Any


class NotJson(ValueError):
    """The bytes are not JSON as it should be; the message says why."""


def parse_json(data: bytes) -> Any:
    """The value in `data`; raises `NotJson`.

    Two readers may take different ones of two equal keys, so that what was
    checked is not what is used; such a text is refused.
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        raise NotJson("not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise NotJson("not JSON") from error
    except RecursionError as error:
        raise NotJson("nested too deeply") from error
    except ValueError as error:
        # Our own refusal, or a figure with more digits than Python converts.
        reason = "a key stands twice" if isinstance(error, NotJson) else "a figure is too long"
        raise NotJson(reason) from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise NotJson("a key stands twice")
    return values
