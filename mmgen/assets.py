"""A name -> the path of a file or folder that ships with mmgen."""

from __future__ import annotations

from pathlib import Path

from mmgen.errors import AssetMissing

_PACKAGE = Path(__file__).resolve().parent


def asset_path(name: str) -> Path:
    """The file or folder `name` of `assets/`, e.g. `models/embedded`.

    A wheel carries the assets as `mmgen/_assets`; a checkout has them beside
    `mmgen/`. Raises `AssetMissing`, which names both places.
    """
    installed = _PACKAGE / "_assets" / name
    checkout = _PACKAGE.parent / "assets" / name
    for path in (installed, checkout):
        if path.exists():
            return path
    raise AssetMissing(name=name, first=installed, second=checkout)
