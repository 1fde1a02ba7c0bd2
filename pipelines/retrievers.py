"""A retrieval model's name -> its loaded towers, as a `Retriever`.

Two kinds of folder: towers of our own (alone, or within a generator), and any
Chinese-CLIP in transformers' format. The folder is checked before any loader
sees it, and once more after loading.
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from mmgen.assets import asset_path
from mmgen.devices import choose_dtype
from mmgen.errors import AssetMissing
from mmgen.framing import fit
from mmgen.model_folder import (
    INDEX,
    check_model_folder,
    check_parts_folder,
    check_transformers_folder,
    is_chinese_clip,
)
from mmgen.retrieval.chinese_clip import ChineseClipRetriever
from mmgen.retrieval.retriever import TowerRetriever
from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.encoder import TextEncoder
from mmgen.text.normalize import normalize
from mmgen.values import Retriever
from pipelines.components import EMBEDDED, EMBEDDED_CLASSES, find_model, towers_identity

TOWERS = "towers"
PARTS = {
    "image_encoder": "ImageEncoder",
    "text_encoder": "TextEncoder",
    "tokenizer": "PreTrainedTokenizerFast",
}
"""The parts of two towers of our own kind, and their classes."""


def find_retriever(model: str | None = None) -> Path:
    """The folder of a retrieval model.

    None: the towers that ship for retrieval, else those of the embedded model.
    `towers` and `embedded` name either; anything else is a folder.
    Raises `AssetMissing` or `ModelError` leaves.
    """
    if model in (None, TOWERS):
        with contextlib.suppress(AssetMissing):
            return asset_path(f"models/{TOWERS}")
    return find_model(EMBEDDED if model in (None, TOWERS) else model)


def name_of_retriever(model: str | None = None) -> str:
    """What to keep, so that the same retrieval model can be loaded again: a name or a path."""
    if model in (None, TOWERS, EMBEDDED):
        is_embedded = find_retriever(model) == find_model(EMBEDDED)
        return EMBEDDED if is_embedded else TOWERS
    return os.path.abspath(model)


def load_retriever(model: str | None = None) -> Retriever:
    """A retrieval model, on the CPU.

    `model`: as `find_retriever`. Its sha256 covers the towers' files alone:
    vectors outlive a new denoiser. Raises `ModelError` leaves for a folder that
    cannot be used.
    """
    path = find_retriever(model)
    return _load_chinese_clip(path) if is_chinese_clip(path) else _load_towers(path)


def _load_towers(path: Path) -> TowerRetriever:
    is_bare = path.is_dir() and not (path / INDEX).is_file()
    if is_bare:
        folder = check_parts_folder(path, PARTS)
    else:
        folder = check_model_folder(path, allowed_classes=EMBEDDED_CLASSES)
    dtype = choose_dtype(torch.device("cpu"))
    options = {"dtype": dtype, "local_files_only": True, "use_safetensors": True}
    retriever = TowerRetriever(
        tokenizer=PreTrainedTokenizerFast.from_pretrained(folder.path / "tokenizer"),
        text_encoder=TextEncoder.from_pretrained(folder.path / "text_encoder", **options),
        image_encoder=ImageEncoder.from_pretrained(folder.path / "image_encoder", **options),
        sha256=towers_identity(folder),
        prepare_text=normalize,
        prepare_image=lambda image, height, width: fit(image, height, width)[0],
    )
    folder.check_unchanged()
    return retriever


def _load_chinese_clip(path: Path) -> ChineseClipRetriever:
    from transformers import BertTokenizer, ChineseCLIPModel

    # The one that works without torchvision; named here, the other complains.
    from transformers.models.chinese_clip.image_processing_pil_chinese_clip import (
        ChineseCLIPImageProcessorPil,
    )

    folder = check_transformers_folder(path, architecture="ChineseCLIPModel")
    dtype = choose_dtype(torch.device("cpu"))
    with contextlib.redirect_stderr(io.StringIO()):  # the loader draws a bar of its own
        model = ChineseCLIPModel.from_pretrained(
            path, dtype=dtype, use_safetensors=True, local_files_only=True
        )
    retriever = ChineseClipRetriever(
        model=model,
        tokenizer=BertTokenizer.from_pretrained(path, local_files_only=True),
        image_processor=ChineseCLIPImageProcessorPil.from_pretrained(path, local_files_only=True),
        sha256=folder.sha256,
        prepare_text=normalize,
    )
    folder.check_unchanged()
    return retriever
