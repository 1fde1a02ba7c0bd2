"""Settings, and where each came from: flag > environment > config.toml > default.

lang = "zh"                  # or "en"
device = "auto"
model = "embedded"
offline = false

[label]
producer = "mmgen-local"     # ContentProducer of GB 45438-2025

[policy]
rules = "rules.txt"          # relative to this file

[presets]
my-shop = "900x1200"         # sizes for `--preset`, width first

[hf]
endpoint = "https://huggingface.co"
token = "..."                # never printed
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmgen.errors import FileUnreadable, SettingBad
from mmgen.home import config_path

_PRESETS = "presets."
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
# Printable ASCII but space, quote and backslash: GB 45438-2025, annex E.
_LABEL_VALUE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,128}")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The values in force; `sources` says of each field where it came from."""

    lang: str = "zh"
    """Language of messages: zh or en."""
    device: str = "auto"
    model: str = "embedded"
    """`embedded`, or a folder in diffusers format."""
    offline: bool = False
    """Never ask a hub for anything."""
    label_producer: str = "mmgen-local"
    """ContentProducer in the label; a public service must set its own code."""
    policy_rules: Path | None = None
    presets: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    """One's own names for sizes: width, height in pixels."""
    hf_endpoint: str | None = None
    hf_token: str | None = dataclasses.field(default=None, repr=False)
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def shown(self) -> dict[str, tuple[str, str]]:
        """Key -> (value, source) for people; a token is shown as set or not set."""
        lines = {}
        for key, spec in _SPECS.items():
            value = getattr(self, spec.field)
            text = {None: "-", True: "true", False: "false"}.get(value, str(value))
            if spec.is_secret and value:
                text = "***"
            lines[key] = (text, self.sources.get(key, "default"))
        return lines


def _one_of(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(" | ".join(choices))
        return str(value)

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text")
    return value


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("true | false")


def _producer(value: Any) -> str:
    if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
        raise ValueError("1 to 128 ASCII characters without space, quote and backslash")
    return value


def _size(value: Any) -> tuple[int, int]:
    """`900x1200` as width, height."""
    match = re.fullmatch(r"(\d{2,4})[x×](\d{2,4})", value) if isinstance(value, str) else None
    if not match:
        raise ValueError("WIDTHxHEIGHT, 10 to 9999 each")
    return int(match[1]), int(match[2])


def _address(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/]+\S*", value):
        raise ValueError("an http(s) address")
    return value


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Spec:
    """How one setting is read."""

    field: str
    check: Callable[[Any], Any]
    """Gives the value or raises ValueError that says what is allowed."""
    variable: str | None = None
    is_path: bool = False
    is_secret: bool = False


_SPECS = {
    "lang": _Spec(field="lang", check=_one_of("zh", "en"), variable="MMGEN_LANG"),
    "device": _Spec(field="device", check=_text, variable="MMGEN_DEVICE"),
    "model": _Spec(field="model", check=_text, variable="MMGEN_MODEL"),
    "offline": _Spec(field="offline", check=_switch, variable="MMGEN_OFFLINE"),
    "label.producer": _Spec(field="label_producer", check=_producer),
    "policy.rules": _Spec(field="policy_rules", check=_text, is_path=True),
    "hf.endpoint": _Spec(field="hf_endpoint", check=_address, variable="HF_ENDPOINT"),
    "hf.token": _Spec(field="hf_token", check=_text, variable="HF_TOKEN", is_secret=True),
}


def load_settings(
    flags: Mapping[str, str | None] | None = None, environ: Mapping[str, str] = os.environ
) -> Settings:
    """The settings in force; `flags` maps keys such as `device` to what was typed, or None.

    Raises `SettingBad`, which names key, place (file and line), value and what is
    allowed, and `FileUnreadable` when config.toml exists but cannot be read.
    """
    path = config_path(environ)
    text = _read(path)
    filed = _flatten(_parse(path, text), path, text)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, spec in _SPECS.items():
        if (flag := (flags or {}).get(key)) is not None:
            got, source = flag, f"--{key}"
        elif spec.variable and environ.get(spec.variable):
            got, source = environ[spec.variable], spec.variable
        elif key in filed:
            got, source = filed[key], _place(path, text, key)
        else:
            continue
        try:
            value = spec.check(got)
        except ValueError as error:
            shown = "***" if spec.is_secret else repr(got)[:80]
            raise SettingBad(name=key, source=source, got=shown, allowed=error) from None
        values[spec.field] = path.parent / Path(value).expanduser() if spec.is_path else value
        sources[key] = source
    return Settings(**values, presets=_presets(filed, path, text), sources=sources)


def _presets(filed: Mapping[str, Any], path: Path, text: str) -> dict[str, tuple[int, int]]:
    presets = {}
    for key, value in filed.items():
        if not key.startswith(_PRESETS):
            continue
        try:
            presets[key.removeprefix(_PRESETS)] = _size(value)
        except ValueError as error:
            source, got = _place(path, text, key), repr(value)[:80]
            raise SettingBad(name=key, source=source, got=got, allowed=error) from None
    return presets


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise FileUnreadable(path=path, reason=reason) from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Only the reason: the line itself may hold the token.
        reason, _, place = str(error).partition(" (at ")
        source = f"{path}, {place.rstrip(')').partition(',')[0] or 'last line'}"
        raise SettingBad(name=path.name, source=source, got=reason, allowed="TOML") from None


def _flatten(data: Mapping[str, Any], path: Path, text: str) -> dict[str, Any]:
    """`{"label": {"producer": x}}` as `{"label.producer": x}`; an unknown key raises."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": deep for inner, deep in value.items()})
        else:
            flat[name] = value
    for key in flat:
        if key not in _SPECS and not key.startswith(_PRESETS):
            raise SettingBad(
                name=key,
                source=_place(path, text, key),
                got="an unknown key",
                allowed=", ".join([*_SPECS, "presets.NAME"]),
            )
    return flat


def _place(path: Path, text: str, key: str) -> str:
    """`config.toml, line 3`: where `key` is set."""
    table, _, name = key.rpartition(".")
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if header := re.match(r"\[\s*([^\]]+?)\s*\]", stripped):
            current = header[1].replace('"', "")
        written = stripped.partition("=")[0].strip().replace('"', "")
        if (current, written) in ((table, name), ("", key)):
            return f"{path}, line {number}"
    return str(path)
