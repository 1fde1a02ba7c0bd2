"""Pixels -> where the garment is: the network that ships with mmgen, and its edge made sharp."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmgen.assets import asset_path
from mmgen.devices import choose_dtype
from mmgen.mask import choose
from mmgen.mask.network import GarmentMaskNet, garment_probability
from mmgen.mask.refine import refine
from mmgen.model_folder import check_model_folder
from pipelines.edited import Source

MASK_CLASSES = frozenset(
    {("mmgen.mask.network", "GarmentMaskNet"), ("diffusers", "GarmentMaskNet")}
)


class GarmentMask:
    """Finds the garment in a picture of any size."""

    def __init__(self, net: GarmentMaskNet, sha256: str) -> None:
        self.net = net.eval()
        self.sha256 = sha256

    @classmethod
    def from_pretrained(cls, folder: Path | str | None = None) -> GarmentMask:
        """The shipped network, or that of a folder. Raises `ModelError` leaves."""
        import torch

        path = asset_path("models/mask") if folder is None else Path(folder)
        checked = check_model_folder(path, allowed_classes=MASK_CLASSES)
        net = GarmentMaskNet.from_pretrained(
            checked.path,
            torch_dtype=choose_dtype(torch.device("cpu")),
            local_files_only=True,
            use_safetensors=True,
        )
        checked.check_unchanged()
        return cls(net, checked.sha256)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (H, W, 3) -> float32 (H, W) in [0, 1]; all zero where no garment is seen."""
        return refine(garment_probability(self.net, pixels), pixels)


def select(
    source: Source,
    finder: GarmentMask,
    *,
    mask: Path | None = None,
    box: tuple[int, int, int, int] | None = None,
    part: str = "garment",
) -> tuple[NDArray[np.float32], dict[str, object], str | None]:
    """The mask (H, W) meant by a file, a box or a part; how to say it; the file's sha256.

    Raises leaves of `mmgen.mask.choose` and `PictureError`.
    """
    height, width = source.pixels.shape[:2]
    if mask is not None:
        from mmgen.files.read_picture import read_picture

        chosen = choose.from_picture(read_picture(mask), mask, height, width)
        return chosen, {"mask": "file"}, hashlib.sha256(mask.read_bytes()).hexdigest()
    if box is not None:
        return choose.from_box(box, height, width), {"mask": "box", "box": list(box)}, None
    chosen = choose.from_garment(finder(source.pixels), part)
    return chosen, {"mask": part, "mask_network": finder.sha256}, None
