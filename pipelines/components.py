"""A model's name -> its loaded parts; the only place that loads weights for use.

The folder is checked before any loader sees it, and once more after loading:
what was hashed is what runs.
"""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from mmgen.assets import asset_path
from mmgen.devices import attention_backend, choose_device, choose_dtype
from mmgen.files.read_picture import read_picture
from mmgen.framing import fit
from mmgen.latents.generator import GarmentGenerator, Language
from mmgen.latents.pipeline import GarmentPipeline
from mmgen.latents.transformer import GarmentTransformer2DModel  # noqa: F401 - see below
from mmgen.model_folder import ModelFolder, check_model_folder, identity_of
from mmgen.pixels.autoencoder import GarmentAutoencoder  # noqa: F401
from mmgen.retrieval.retriever import TowerRetriever
from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.encoder import TextEncoder
from mmgen.text.garment_words import speaks_of_clothes
from mmgen.text.normalize import normalize

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
    """The folder of `embedded`, or of a path; raises `ModelFolderMissing` or `AssetMissing`."""
    return asset_path("models/embedded") if model == EMBEDDED else Path(model)


def load_generator(
    model: str = EMBEDDED,
    *,
    device: str | torch.device = "auto",
    torch_dtype: torch.dtype | None = None,
    attention: str = "auto",
    micro_batch: int | None = None,
) -> GarmentGenerator:
    """The generator `model`, ready on `device`.

    `model`: `embedded`, or a folder in diffusers format of the same classes.
    `torch_dtype`: default bfloat16 where the hardware multiplies it, else float32.
    Raises `ModelError` leaves for a folder that cannot be used and `DeviceMissing`.
    """
    folder = check_model_folder(find_model(model), allowed_classes=EMBEDDED_CLASSES)
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
        language=Language(normalize=normalize, speaks_of_clothes=speaks_of_clothes),
        read_picture=read_picture,
        micro_batch=micro_batch,
    )


def load_retriever(model: str = EMBEDDED) -> TowerRetriever:
    """The two towers of `model`, on the CPU, as a `Retriever`.

    Its sha256 covers the towers' files alone: vectors outlive a new denoiser.
    Raises as `load_generator`.
    """
    folder = check_model_folder(find_model(model), allowed_classes=EMBEDDED_CLASSES)
    files = {name: digest for name, digest in folder.files.items() if name.split("/")[0] in TOWERS}
    dtype = choose_dtype(torch.device("cpu"))
    options = {"dtype": dtype, "local_files_only": True, "use_safetensors": True}
    retriever = TowerRetriever(
        tokenizer=PreTrainedTokenizerFast.from_pretrained(folder.path / "tokenizer"),
        text_encoder=TextEncoder.from_pretrained(folder.path / "text_encoder", **options),
        image_encoder=ImageEncoder.from_pretrained(folder.path / "image_encoder", **options),
        sha256=identity_of(files),
        prepare_text=normalize,
        prepare_image=lambda image, height, width: fit(image, height, width)[0],
    )
    folder.check_unchanged()
    return retriever


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
