"""`mmgen models`: what is known of each hub model, for people or as JSON."""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from mmgen.errors import ModelUnsupported, UnknownChoice, WrongType
from mmgen.hub.families import FAMILIES, MODELS, HubModel, find_row
from mmgen.hub.folders import fetched_path, identify, pipeline_of, read_manifest
from mmgen.hub.licences import check_licence
from mmgen.hub.plan import (
    SPARE,
    Network,
    Placed,
    choose,
    networks_of_folder,
    networks_of_row,
    placements,
    working_bytes,
)
from mmgen.model_folder import INDEX, check_model_folder
from ui.words import phrase, say


def list_models(*, as_json: bool) -> None:
    """One line, or one JSON object, a model."""
    if as_json:
        for row in MODELS.values():
            print(json.dumps(facts_of(row), ensure_ascii=False))
        return
    lines = [tuple(say(f"models.{column}") for column in _COLUMNS)]
    lines += [_cells(row) for row in MODELS.values()]
    _print_table(lines)
    print(say("models.list_hint"))


def _print_table(lines: list[tuple[str, ...]]) -> None:
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        sys.stdout.write("  ".join(text + " " * (w - _width(text)) for text, w in cells).rstrip())
        sys.stdout.write("\n")


def show_model(name: str, *, accept: bool, as_json: bool) -> None:
    """Everything the table says of one model; `accept` accepts its licence."""
    row = row_called(name)
    if accept and (said := check_licence(row.id, row.licence, accept=True)):
        warnings.warn(said, stacklevel=2)
    facts = facts_of(row)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    if facts["references"] == "img2img":
        facts["references"] = _STARTS
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
        "variations": bool(family.img2img),
        "inpaint": bool(family.inpaint),
        "licence": row.licence.name,
        "conditions": row.licence.conditions or None,
        "must_accept": row.licence.must_accept,
        "tested": row.tested,
        "here": _is_here(row),
    }


def plan_model(
    name: str, *, memory: str | None, size: tuple[int, int] | None, as_json: bool
) -> None:
    """What each placement of a model takes, and which one fits into `memory` such as 12GB."""
    path = Path(name)
    row, networks = _weighed(name)
    height, width = size or row.size
    working = {tiled: working_bytes(row, height, width, tiled=tiled) for tiled in (False, True)}
    found = [
        one
        for one in placements(networks, row.family.denoiser, working=working, streams=True)
        if row.family.int8 or not one.quantised
    ]
    room = None if memory is None else _memory(memory)
    chosen = None if room is None else choose(found, room)
    if as_json:
        for one in found:
            facts = _plan_facts(one)
            facts["chosen"] = one is chosen
            print(json.dumps(facts, ensure_ascii=False))
        return
    print(say("models.plan_of", model=path.name, size=f"{width}x{height}"))
    for one in networks:
        parts = {"name": one.name, "total": _gb(one.total), "blocks": len(one.blocks)}
        print(say("models.plan_network", **parts))
    lines = [tuple(say(f"models.plan_{column}") for column in ("rung", "needs", "moves", "fits"))]
    lines += [_plan_cells(one, room, one is chosen) for one in found]
    _print_table(lines)
    if room is not None and chosen is None:
        least = min(found, key=lambda one: one.total)
        print(say("models.plan_none", memory=_gb(room), least=_gb(least.total)))
    elif chosen is not None and room is not None:
        print(say(f"models.plan_{chosen.rung.name}", memory=_gb(room)))


def _weighed(name: str) -> tuple[HubModel, list[Network]]:
    """The row that a name or folder stands for, and its networks in bfloat16."""
    row = None if Path(name).is_dir() else row_called(name)
    folder = Path(name) if row is None else fetched_path(row)
    if not (folder / INDEX).is_file() and row is not None:
        return row, networks_of_row(row, "bfloat16")
    pipeline = pipeline_of(folder)
    if pipeline not in FAMILIES:
        raise ModelUnsupported(path=folder, got=pipeline, allowed=", ".join(FAMILIES))
    known = identify(folder, pipeline, read_manifest(folder))[0]
    checked = check_model_folder(folder, allowed_classes=FAMILIES[pipeline].classes)
    return known, networks_of_folder(checked.path, "bfloat16")


def _memory(text: str) -> int:
    """`12GB` or `800MB` in bytes."""
    match = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,3})?)\s*([GM])i?B?\s*", text, re.I | re.ASCII)
    if not match:
        raise WrongType(name="--vram", got=repr(text)[:60], wanted="a size such as 12GB")
    return int(float(match[1]) * {"g": 1e9, "m": 1e6}[match[2].lower()])


def _plan_facts(one: Placed) -> dict[str, Any]:
    return {
        "placement": one.rung.name,
        "quantised": one.quantised,
        "weights": one.weights,
        "working": one.working,
        "total": one.total,
        "moved_each_step": one.moved_each_step,
    }


def _plan_cells(one: Placed, room: int | None, is_chosen: bool) -> tuple[str, ...]:
    name = one.rung.name + ("+int8" if one.quantised else "")
    fits = (
        "-"
        if room is None
        else say("models.yes" if one.total <= room * (1 - SPARE) else "models.no")
    )
    moves = _gb(one.moved_each_step) if one.moved_each_step else "-"
    return name, _gb(one.total), moves, fits + (" <" if is_chosen else "")


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


_COLUMNS = ("id", "parameters", "size", "steps", "references", "licence", "tested", "here")


_STARTS = "img2img: drawing starts from the picture with noise; no IP-Adapter is used"


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
