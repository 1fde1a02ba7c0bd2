"""A hub model's folder -> a generator: checked, licensed, loaded, placed in memory."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mmgen.devices import attention_backend, choose_device, choose_dtype
from mmgen.errors import DeviceError, ModelError
from mmgen.files.read_picture import read_picture
from mmgen.hub import families
from mmgen.hub.families import Family, HubModel
from mmgen.hub.folders import MANIFEST, Manifest, identify, read_manifest
from mmgen.hub.generator import HubGenerator
from mmgen.hub.licences import check_licence
from mmgen.hub.memory import RUNGS, Ladder
from mmgen.model_folder import ModelFolder, check_model_folder


class DtypeUnfit(DeviceError):
    code = "device.dtype_unfit"
    template = "{model} does not compute rightly in {got}; allowed are {allowed}"


class ModelAltered(ModelError):
    code = "model.altered"
    template = (
        "the files in {path} are not those that were fetched ({file} differs);"
        " fetch {model} again with mmgen models fetch"
    )


def load_hub_generator(
    path: Path,
    pipeline: str,
    *,
    device: str | torch.device = "auto",
    torch_dtype: torch.dtype | None = None,
    attention: str = "auto",
    micro_batch: int | None = None,
    accept_licence: bool = False,
    placement: str = "auto",
) -> HubGenerator:
    """The generator in the folder `path`, whose model_index.json names `pipeline`.

    `placement`: a rung of `mmgen.hub.memory`, or `auto`: the first that fits into
    the memory that is free. Raises `ModelError` leaves for a folder that cannot be
    used, `LicenceNotAccepted`, `DtypeUnfit`, `DeviceMissing`.
    """
    family = families.FAMILIES[pipeline]
    manifest = read_manifest(path)
    row, name, licence = identify(path, pipeline, manifest)
    if said := check_licence(name, licence, accept=accept_licence):
        warnings.warn(said, stacklevel=3)
    folder = check_model_folder(path, allowed_classes=family.classes)
    check_fetched(folder, name, manifest)
    place = choose_device(device) if isinstance(device, str) else device
    dtype = fit_dtype(family, name, place, torch_dtype)
    pipe = _load(folder, family, dtype)
    backend = _set_attention(pipe, family, place, attention)
    ladder = Ladder(place, family.denoiser, rungs_from(placement, folder, row, place, dtype))
    ladder.place(pipe)
    return HubGenerator(
        pipe,
        row,
        id=name,
        sha256=folder.sha256,
        licence=licence.name,
        revision=manifest.revision if manifest else None,
        ladder=ladder,
        read_picture=read_picture,
        attention=backend,
        micro_batch=micro_batch,
    )


def check_fetched(folder: ModelFolder, name: str, manifest: Manifest | None) -> None:
    """Raise `ModelAltered` when a file differs from what was fetched."""
    if manifest is None:
        return
    for file in sorted({*folder.files, *manifest.files} - {MANIFEST}):
        if folder.files.get(file) != manifest.files.get(file):
            raise ModelAltered(path=folder.path, file=file, model=name)


def fit_dtype(
    family: Family, name: str, device: torch.device, wanted: torch.dtype | None
) -> torch.dtype:
    """The number format to load in; raises `DtypeUnfit` for one that overflows."""
    if wanted is not None:
        got = str(wanted).removeprefix("torch.")
        if got not in family.dtypes:
            raise DtypeUnfit(model=name, got=got, allowed=", ".join(family.dtypes))
        return wanted
    chosen = choose_dtype(device)
    if device.type == "cuda" and chosen is torch.float32 and "float16" in family.dtypes:
        return torch.float16
    return chosen


def rungs_from(
    placement: str, folder: ModelFolder, row: HubModel, device: torch.device, dtype: torch.dtype
) -> list[Any] | None:
    """The ladder from `placement` downwards; None: the device's own from the top."""
    if placement != "auto":
        names = [rung.name for rung in RUNGS]
        return list(RUNGS[names.index(placement) :])
    return None


def _load(folder: ModelFolder, family: Family, dtype: torch.dtype) -> Any:
    import diffusers

    kind = getattr(diffusers, family.pipeline)
    with quiet_loading():
        pipe = kind.from_pretrained(
            str(folder.path), dtype=dtype, local_files_only=True, use_safetensors=True
        )
    folder.check_unchanged()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _set_attention(pipe: Any, family: Family, device: torch.device, wanted: str) -> str:
    """Choose the attention operator of the denoiser; returns its name."""
    denoiser = getattr(pipe, family.denoiser)
    if family.attention == "native" or (family.boolean_mask and wanted == "auto"):
        return "native"
    backend = attention_backend(device, wanted)
    if family.attention == "processor":
        if backend == "xformers":
            denoiser.enable_xformers_memory_efficient_attention()
            return backend
        return "native"
    with quiet_loading():
        denoiser.set_attention_backend(backend)
    return backend


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Loaders' own chatter, in English and on stderr, is not for our users."""
    names = ("diffusers", "transformers")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
