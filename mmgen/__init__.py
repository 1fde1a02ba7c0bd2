"""mmgen: pictures of clothes from Chinese words.

    from mmgen import TextToImagePipeline

    pipe = TextToImagePipeline.from_pretrained()
    out = pipe("藏青色羊毛大衣", num_images_per_prompt=4, seed=7)
    out.save("out")

This is the front door, the only module documented for import. It knows where
each public name lives and fetches it on first use (PEP 562), so that
`import mmgen` loads neither torch nor diffusers.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mmgen.errors import MmgenError as MmgenError
    from mmgen.errors import MmgenWarning as MmgenWarning
    from mmgen.files.read import read_label as read_label
    from mmgen.files.read import verify as verify
    from mmgen.latents.pipeline import GarmentPipeline as GarmentPipeline
    from mmgen.values import ImageRecord as ImageRecord
    from mmgen.values import ImageRequest as ImageRequest
    from mmgen.values import Step as Step
    from pipelines.background import BackgroundPipeline as BackgroundPipeline
    from pipelines.catalogue import Catalogue as Catalogue
    from pipelines.edit import EditPipeline as EditPipeline
    from pipelines.recolour import RecolourPipeline as RecolourPipeline
    from pipelines.tag import Tagger as Tagger
    from pipelines.text_to_image import TextToImagePipeline as TextToImagePipeline
    from pipelines.upscale import Upscaler as Upscaler

_HOMES = {
    "BackgroundPipeline": "pipelines.background",
    "Catalogue": "pipelines.catalogue",
    "EditPipeline": "pipelines.edit",
    "GarmentPipeline": "mmgen.latents.pipeline",
    "ImageRecord": "mmgen.values",
    "ImageRequest": "mmgen.values",
    "MmgenError": "mmgen.errors",
    "MmgenWarning": "mmgen.errors",
    "RecolourPipeline": "pipelines.recolour",
    "Step": "mmgen.values",
    "Tagger": "pipelines.tag",
    "TextToImagePipeline": "pipelines.text_to_image",
    "Upscaler": "pipelines.upscale",
    "read_label": "mmgen.files.read",
    "verify": "mmgen.files.read",
}
"""Public name -> the module that defines it."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """The public `name`, imported from its module on first use.

    Raises `PackagesApart` when a folder elsewhere hides our `pipelines`.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'mmgen' has no attribute {name!r}")
    home = _HOMES[name]
    package = home.partition(".")[0]
    if package != __name__:
        _check_beside(package)
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _check_beside(package: str) -> None:
    """Raise unless `package`, a common word, is the folder shipped beside mmgen.

    `python -c` puts the working folder first on the path, so a folder of the
    same name there would be imported in its place.
    """
    here = Path(__file__).resolve().parent
    spec = importlib.util.find_spec(package)
    other = Path(spec.origin).resolve().parent if spec and spec.origin else None
    if other != here.parent / package:
        from mmgen.errors import PackagesApart

        raise PackagesApart(mmgen=here, package=package, other=other or "nowhere")
