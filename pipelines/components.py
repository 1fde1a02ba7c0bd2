"""A model's name -> its loaded parts; the only place that loads weights for use.

The folder is checked before any loader sees it, and once more after loading:
what was hashed is what runs.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mmgen.assets import asset_path
from mmgen.devices import attention_backend, choose_device, choose_dtype
from mmgen.errors import ModelUnsupported
from mmgen.files.read_picture import read_picture
from mmgen.hub.families import FAMILIES
from mmgen.hub.folders import folder_of, pipeline_of
from mmgen.hub.generator import HubGenerator
from mmgen.latents.generator import GarmentGenerator, Language
from mmgen.latents.pipeline import GarmentPipeline
from mmgen.latents.transformer import GarmentTransformer2DModel  # noqa: F401 - see below
from mmgen.model_folder import (
    ModelFolder,
    check_model_folder,
    identity_of,
    shown,
)
from mmgen.pixels.autoencoder import GarmentAutoencoder  # noqa: F401
from mmgen.retrieval.towers import ImageEncoder  # noqa: F401
from mmgen.text.encoder import TextEncoder  # noqa: F401
from mmgen.text.garment_words import speaks_of_clothes
from mmgen.values import Retriever
from pipelines.exact_colour import normalize_colours

if TYPE_CHECKING:
    from pipelines.upscale import Upscaler

# diffusers resolves a custom component only where its module is already
# imported: that is what the imports above are for.

EMBEDDED = "embedded"
TOWERS = ("image_encoder", "text_encoder", "tokenizer")
EMBEDDED_CLASSES = frozenset(
    {
        ("diffusers", "GarmentPipeline"),
        ("mmgen.latents.pipeline", "GarmentPipeline"),
        ("mmgen.latents.transformer", "GarmentTransformer2DModel"),
        ("mmgen.pixels.autoencoder", "GarmentAutoencoder"),
        ("mmgen.retrieval.towers", "ImageEncoder"),
        ("mmgen.text.encoder", "TextEncoder"),
        ("diffusers", "FlowMatchEulerDiscreteScheduler"),
        ("transformers", "PreTrainedTokenizerFast"),
        ("transformers", "TokenizersBackend"),
    }
)
"""What a folder of the embedded model's kind may name: (library, class)."""


def find_model(model: str) -> Path:
    """The folder of `embedded`, of a fetched hub model, or of a path.

    Raises `AssetMissing` or `ModelNotFetched`.
    """
    return asset_path("models/embedded") if model == EMBEDDED else folder_of(model)


def load_generator(
    model: str = EMBEDDED,
    *,
    device: str | torch.device = "auto",
    torch_dtype: torch.dtype | None = None,
    attention: str = "auto",
    micro_batch: int | None = None,
    accept_licence: bool = False,
    placement: str = "auto",
) -> GarmentGenerator | HubGenerator:
    """The generator `model`, ready on `device`.

    `model`: `embedded`, the id of a fetched hub model (`mmgen models list`), or a
    folder in diffusers format of one of their kinds.
    `torch_dtype`: default bfloat16 where the hardware multiplies it, else float32.
    `accept_licence`, `placement`: for hub models; see `load_hub_generator`.
    Raises `ModelError` leaves for a folder that cannot be used and `DeviceMissing`.
    """
    path = find_model(model)
    kind = pipeline_of(path)
    if kind in FAMILIES:
        from pipelines.hub_models import load_hub_generator

        return load_hub_generator(
            path,
            kind,
            device=device,
            torch_dtype=torch_dtype,
            attention=attention,
            micro_batch=micro_batch,
            accept_licence=accept_licence,
            placement=placement,
        )
    if kind is not None and kind != GarmentPipeline.__name__:
        allowed = ", ".join([GarmentPipeline.__name__, *FAMILIES])
        raise ModelUnsupported(path=path, got=shown(kind), allowed=allowed)
    folder = check_model_folder(path, allowed_classes=EMBEDDED_CLASSES)
    place = choose_device(device) if isinstance(device, str) else device
    pipeline = load_pipeline(folder, torch_dtype or choose_dtype(place))
    pipeline.to(place)
    # Convolutions with channels last are what CPUs and tensor cores run fastest.
    pipeline.vae.to(memory_format=torch.channels_last)
    backend = attention_backend(place, attention)
    with _quiet("diffusers.models.modeling_utils"):
        pipeline.transformer.set_attention_backend(backend)
    return GarmentGenerator(
        pipeline,
        id=model if model == EMBEDDED else Path(model).name,
        sha256=folder.sha256,
        licence="Apache-2.0" if model == EMBEDDED else "unknown",
        language=Language(normalize=normalize_colours, speaks_of_clothes=speaks_of_clothes),
        read_picture=read_picture,
        micro_batch=micro_batch,
        towers_sha256=towers_identity(folder),
        enlarge=_enlarge,
    )


def _enlarge(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> twice the size, by the upscaler that ships with mmgen."""
    return _upscaler().double(pixels)


@functools.cache
def _upscaler() -> Upscaler:
    from pipelines.upscale import Upscaler

    return Upscaler.from_pretrained()


def towers_identity(folder: ModelFolder) -> str:
    """sha256 of the two towers within a checked folder; vectors and features remember it."""
    return identity_of(
        {name: digest for name, digest in folder.files.items() if name.split("/")[0] in TOWERS}
    )


def load_retriever(model: str | None = None) -> Retriever:
    """A retrieval model, on the CPU; see `pipelines.retrievers.load_retriever`."""
    from pipelines import retrievers

    return retrievers.load_retriever(model)


def load_pipeline(folder: ModelFolder, dtype: torch.dtype) -> GarmentPipeline:
    """The bare diffusers pipeline of a checked folder, on the CPU."""
    with _quiet("diffusers.pipelines.pipeline_utils"), contextlib.redirect_stderr(io.StringIO()):
        pipeline: Any = GarmentPipeline.from_pretrained(
            str(folder.path), dtype=dtype, local_files_only=True, use_safetensors=True
        )
    folder.check_unchanged()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline  # type: ignore[no-any-return]


@contextlib.contextmanager
def _quiet(name: str) -> Any:
    """Loaders' own chatter, in English and on stderr, is not for our users."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
