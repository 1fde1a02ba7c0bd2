"""`mmgen info`: versions, devices, the model, and where each setting came from."""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from typing import Any

from mmgen import __version__
from mmgen.assets import asset_path
from mmgen.errors import MmgenError
from mmgen.home import home_path
from mmgen.settings import Settings, load_settings
from ui.words import say

_PACKAGES = ("torch", "diffusers", "transformers", "peft", "pillow", "xformers")


def show_info(*, model: str | None, device: str | None, as_json: bool) -> None:
    """Print the facts, for people or as one JSON object."""
    settings = load_settings({"model": model, "device": device})
    facts = {
        "versions": _versions(),
        "home": str(home_path()),
        "device": _device(settings),
        "embedded": _embedded(),
        "settings": {
            key: {"value": value, "source": source}
            for key, (value, source) in settings.shown().items()
        },
    }
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        _print_for_people(facts)


def _versions() -> dict[str, str]:
    versions = {"mmgen": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "-"
    return versions


def _device(settings: Settings) -> dict[str, str]:
    """What would be used; the first thing here that needs torch."""
    from mmgen.devices import attention_backend, choose_device, choose_dtype

    chosen = choose_device(settings.device)
    facts = {
        "device": str(chosen),
        "dtype": str(choose_dtype(chosen)).removeprefix("torch."),
        "attention": attention_backend(chosen),
    }
    if chosen.type == "cuda":
        import torch

        facts["name"] = torch.cuda.get_device_name(chosen)
    return facts


def _embedded() -> dict[str, Any]:
    """Where the embedded model is and how much disk it takes."""
    try:
        folder = asset_path("models/embedded")
    except MmgenError:
        return {"path": None, "megabytes": 0}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"path": str(folder), "megabytes": round(size / 2**20, 1)}


def _print_for_people(facts: dict[str, Any]) -> None:
    lines = dict(facts["versions"])
    lines["home"] = facts["home"]
    lines.update(facts["device"])
    embedded = facts["embedded"]
    lines["embedded"] = (
        f"{embedded['path']} ({embedded['megabytes']} MB)" if embedded["path"] else "-"
    )
    for key, setting in facts["settings"].items():
        source = setting["source"]
        if source == "default":
            source = say("help.default")
        lines[f"[{key}]"] = say("info.place", value=setting["value"], source=source)
    width = max(map(len, lines))
    for key, value in lines.items():
        sys.stdout.write(f"{key:{width}}  {value}\n")
