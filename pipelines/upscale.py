"""Pictures two or four times as large: by the network that ships with mmgen, or by Lanczos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen import limits
from mmgen.assets import asset_path
from mmgen.devices import choose_dtype
from mmgen.errors import PictureTooLarge, UnknownChoice
from mmgen.model_folder import check_model_folder
from mmgen.pixels.upscaler import GarmentUpscaler, upscale
from pipelines.edited import Source, edited, read_source, tool
from pipelines.made_picture import MadePicture

UPSCALER_CLASSES = frozenset(
    {("mmgen.pixels.upscaler", "GarmentUpscaler"), ("diffusers", "GarmentUpscaler")}
)
FACTORS = (2, 4)
METHODS = ("network", "lanczos")
REVISION = 1


class Upscaler:
    """Enlarges pixels."""

    def __init__(self, net: GarmentUpscaler, sha256: str) -> None:
        self.net = net.eval()
        self.sha256 = sha256

    @classmethod
    def from_pretrained(cls, folder: Path | str | None = None) -> Upscaler:
        """The shipped network, or that of a folder. Raises `ModelError` leaves."""
        import torch

        path = asset_path("models/upscaler") if folder is None else Path(folder)
        checked = check_model_folder(path, allowed_classes=UPSCALER_CLASSES)
        net = GarmentUpscaler.from_pretrained(
            checked.path,
            torch_dtype=choose_dtype(torch.device("cpu")),
            local_files_only=True,
            use_safetensors=True,
        )
        checked.check_unchanged()
        net.to(memory_format=torch.channels_last)
        return cls(net, checked.sha256)

    def double(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) -> (2 H, 2 W, 3)."""
        return upscale(self.net, pixels)

    def enlarge(self, pixels: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) -> (by H, by W, 3); `by` is 2 or 4."""
        for _ in range(FACTORS.index(by) + 1):
            pixels = self.double(pixels)
        return pixels

    def __call__(
        self, picture: Path | str | Source, by: int = 2, method: str = "network"
    ) -> MadePicture:
        """The picture `by` times as large, with its record.

        Raises `UnknownChoice`, `PictureTooLarge` for a result beyond 8,192 px or 50
        million pixels, `PictureError`.
        """
        _check("by", by, FACTORS)
        _check("method", method, METHODS)
        source = picture if isinstance(picture, Source) else read_source(picture)
        height, width = (side * by for side in source.pixels.shape[:2])
        most = limits.EDITED_SIDE_PX[1]
        if max(height, width) > most or height * width > limits.PICTURE_PIXELS:
            limit = f"{most} px, {limits.PICTURE_PIXELS // 10**6} million pixels"
            raise PictureTooLarge(path=source.path, got=f"{width}x{height} px", limit=limit)
        used: tuple[str, ...] = ()
        if method == "network":
            pixels, used = self.enlarge(source.pixels, by), (self.sha256,)
        else:
            large = Image.fromarray(source.pixels).resize((width, height), Image.Resampling.LANCZOS)
            pixels = np.asarray(large)
        return edited(
            source,
            "upscale",
            pixels,
            model=tool(f"upscale-{method}", REVISION, *used),
            parameters={"by": by, "method": method},
        )


def _check(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        shown = ", ".join(map(str, allowed))
        raise UnknownChoice(name=name, got=repr(value)[:60], allowed=shown)
