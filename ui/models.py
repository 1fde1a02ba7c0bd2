"""`mmgen models`: what is known of each hub model, for people or as JSON."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from mmgen.errors import UnknownChoice
from mmgen.hub.families import MODELS, HubModel, find_row
from mmgen.hub.folders import fetched_path, read_manifest
from mmgen.hub.licences import check_licence
from mmgen.model_folder import INDEX
from ui.words import phrase, say


def list_models(*, as_json: bool) -> None:
    """One line, or one JSON object, a model."""
    if as_json:
        for row in MODELS.values():
            print(json.dumps(facts_of(row), ensure_ascii=False))
        return
    lines = [tuple(say(f"models.{column}") for column in _COLUMNS)]
    lines += [_cells(row) for row in MODELS.values()]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        sys.stdout.write("  ".join(text + " " * (w - _width(text)) for text, w in cells).rstrip())
        sys.stdout.write("\n")
    print(say("models.list_hint"))


def show_model(name: str, *, accept: bool, as_json: bool) -> None:
    """Everything the table says of one model; `accept` accepts its licence."""
    row = row_called(name)
    if accept and (said := check_licence(row.id, row.licence, accept=True)):
        warnings.warn(said, stacklevel=2)
    facts = facts_of(row)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    width = max(_width(say(f"models.{key}")) for key in facts)
    for key, value in facts.items():
        label = say(f"models.{key}")
        sys.stdout.write(f"{label}{' ' * (width - _width(label))}  {_shown(value)}\n")


def row_called(name: str) -> HubModel:
    """The row of that name; raises `UnknownChoice`."""
    if row := find_row(name):
        return row
    raise UnknownChoice(name="model", got=name, allowed=", ".join(MODELS))


def facts_of(row: HubModel) -> dict[str, Any]:
    """What the table says of a model, and whether it is here."""
    family, height, width = row.family, *row.size
    return {
        "id": row.id,
        "pipeline": row.pipeline,
        "hub": row.hub,
        "modelscope": row.modelscope or None,
        "parameters": round(row.parameters, 2),
        "memory": round(row.parameters * 2, 1),
        "size": f"{width}x{height}",
        "sides": list(row.sides),
        "steps": row.steps,
        "guidance": row.guidance,
        "negative": family.has_negative,
        "dtypes": list(family.dtypes),
        "attention": "native" if family.attention == "native" else "xformers, native",
        "adapters": family.lora,
        "references": _references(row),
        "inpaint": bool(family.inpaint),
        "licence": row.licence.name,
        "conditions": row.licence.conditions or None,
        "must_accept": row.licence.must_accept,
        "tested": row.tested,
        "here": _is_here(row),
    }


_COLUMNS = ("id", "parameters", "size", "steps", "references", "licence", "tested", "here")


def _references(row: HubModel) -> str | None:
    family = row.family
    if family.edits:
        return "edit"
    return "img2img" if family.img2img else None


def _is_here(row: HubModel) -> str | None:
    folder = fetched_path(row)
    if not (folder / INDEX).is_file():
        return None
    manifest = read_manifest(folder)
    return manifest.revision if manifest else str(folder)


def _cells(row: HubModel) -> tuple[str, ...]:
    facts = facts_of(row)
    facts["parameters"] = f"{facts['parameters']:.1f} B"
    facts["here"] = bool(facts["here"])
    if row.licence.must_accept:
        facts["licence"] += " *"
    return tuple(_shown(facts[column]) for column in _COLUMNS)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return say("models.yes" if value else "models.no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return phrase(str(value))


def _width(text: str) -> int:
    """Columns in a terminal: a Chinese character takes two."""
    return sum(2 if ord(letter) > 0x2E80 else 1 for letter in text)
