"""A hub model's folder -> a generator: checked, licensed, loaded, placed in memory."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mmgen.devices import attention_backend, choose_device, choose_dtype
from mmgen.errors import AttentionFellBack, DeviceError, ModelError, UnknownChoice
from mmgen.files.read_picture import read_picture
from mmgen.hub import cogview4_attention, families
from mmgen.hub.families import Family, HubModel
from mmgen.hub.folders import MANIFEST, Manifest, identify, read_manifest
from mmgen.hub.generator import HubGenerator
from mmgen.hub.licences import check_licence
from mmgen.hub.memory import RUNGS, Ladder, Rung
from mmgen.hub.plan import choose, networks_of_folder, placements, working_bytes
from mmgen.model_folder import ModelFolder, check_model_folder

_DEFAULTS = ("auto", "native")


class DtypeUnfit(DeviceError):
    code = "device.dtype_unfit"
    template = "{model} does not compute rightly in {got}; allowed are {allowed}"


class TorchaoMissing(ModelError):
    code = "model.torchao_missing"
    template = (
        "weights in int8 need torchao, which is not installed; install it with"
        " pip install 'mmgen[quant]', or leave +int8 out"
    )


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
    placement, _, numbers = placement.partition("+")
    dtype = fit_dtype(family, name, place, torch_dtype)
    pipe = _load(folder, family, dtype, quantise=check_quantised(family, name, numbers))
    backend = _choose_attention(pipe, family, place, attention)
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
) -> list[Rung] | None:
    """The ladder from `placement` downwards; None: the device's own from the top.

    `auto` on a GPU begins at the first rung that fits into the memory that is free
    for a picture of the model's own size. Raises `UnknownChoice`.
    """
    names = [rung.name for rung in RUNGS]
    if placement == "auto":
        if device.type != "cuda":
            return None
        free, _ = torch.cuda.mem_get_info(device)
        name = str(dtype).removeprefix("torch.")
        working = {
            tiled: working_bytes(row, *row.size, tiled=tiled, item=dtype.itemsize)
            for tiled in (False, True)
        }
        found = placements(
            networks_of_folder(folder.path, name),
            row.family.denoiser,
            working=working,
            streams=True,
        )
        best = choose([one for one in found if not one.quantised], free)
        return list(RUNGS[names.index(best.rung.name if best else names[-1]) :])
    if placement not in names:
        raise UnknownChoice(name="placement", got=placement, allowed="auto, " + ", ".join(names))
    if device.type == "cpu" and placement not in ("resident", "tiled"):
        raise UnknownChoice(name="placement", got=placement, allowed="resident, tiled (cpu)")
    return list(RUNGS[names.index(placement) :]) if device.type != "cpu" else None


def check_quantised(family: Family, model: str, numbers: str) -> bool:
    """Whether weights are to be kept as `int8`; raises `UnknownChoice` or `TorchaoMissing`."""
    if not numbers:
        return False
    if numbers != "int8" or not family.int8:
        allowed = "+int8" if family.int8 else f"none for {model}"
        raise UnknownChoice(name="placement", got=f"+{numbers}", allowed=allowed)
    if importlib.util.find_spec("torchao") is None:
        raise TorchaoMissing()
    return True


def _load(
    folder: ModelFolder, family: Family, dtype: torch.dtype, *, quantise: bool = False
) -> Any:
    import diffusers

    kind = getattr(diffusers, family.pipeline)
    options: dict[str, Any] = {"quantization_config": _int8(folder)} if quantise else {}
    with quiet_loading():
        pipe = kind.from_pretrained(
            str(folder.path), dtype=dtype, local_files_only=True, use_safetensors=True, **options
        )
    folder.check_unchanged()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _int8(folder: ModelFolder) -> Any:
    """torchao's int8 weights for every network but the autoencoder, through diffusers."""
    from diffusers import PipelineQuantizationConfig, TorchAoConfig
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig as TransformersTorchAoConfig

    parts = {name.partition("/")[0] for name in folder.files if name.endswith(".safetensors")}
    kinds = {
        part: TransformersTorchAoConfig if "encoder" in part else TorchAoConfig
        for part in parts - {"vae", "safety_checker", "image_encoder"}
    }
    return PipelineQuantizationConfig(
        quant_mapping={part: kind(Int8WeightOnlyConfig()) for part, kind in kinds.items()}
    )


def _choose_attention(pipe: Any, family: Family, device: torch.device, wanted: str) -> str:
    """Choose the attention operator of the denoiser; returns its name.

    A family whose masks xformers would misread, or that calls PyTorch's operator
    itself, keeps `native`; where another was asked for by name, that is said.
    """
    if family.attention == "native" or family.boolean_mask:
        if wanted == "xformers" or (family.attention == "native" and wanted not in _DEFAULTS):
            reason = f"{family.pipeline} cannot use it"
            said = AttentionFellBack(wanted=wanted, reason=reason, used="native")
            warnings.warn(said, stacklevel=4)
            wanted = "native"
        wanted = "native" if wanted in _DEFAULTS else wanted
        if family.attention == "native":
            return wanted
    backend = attention_backend(device, wanted)
    return set_attention(pipe, family, backend)


def set_attention(pipe: Any, family: Family, backend: str) -> str:
    """Run the denoiser's attention by `backend`; returns what runs, `native` where it cannot."""
    denoiser = getattr(pipe, family.denoiser)
    if family.attention == "processor":
        if backend != "xformers":
            return "native"
        denoiser.enable_xformers_memory_efficient_attention()
        return backend
    if family.pipeline == "CogView4Pipeline":
        cogview4_attention.dispatch(denoiser)
    # Said even of `native`: the dispatcher's default is whatever the last model chose.
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
