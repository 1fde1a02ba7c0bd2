"""Configuration -> objects -> the loop: one function a stage of training.

Each writes its result into `run/export` in the folder names of the embedded
model, beside its checkpoints, sample sheets and TensorBoard events.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import TorchDynamoPlugin
from transformers import PreTrainedTokenizerFast

from mmgen.assets import asset_path
from mmgen.devices import choose_device, choose_dtype
from mmgen.evaluation.evaluator import Evaluator
from mmgen.latents.transformer import GarmentTransformer2DModel
from mmgen.mask.network import GarmentMaskNet
from mmgen.pixels.autoencoder import GarmentAutoencoder
from mmgen.pixels.upscaler import GarmentUpscaler
from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.encoder import TextEncoder
from mmgen.text.normalize import normalize
from mmgen.text.tokenizer import build_tokenizer
from mmgen.text.vocabulary import load_vocabulary
from training import autoencoder, diffusion, evaluator, mask, mask_labels, towers, upscaler
from training.captions import PromptComposer
from training.dataset import pack, read_rows
from training.latent_cache import cached_grids, cached_latents, cached_maps, cached_vectors
from training.loop import LoopConfig, OnLog, train

Stop = Callable[[int], bool]
"""Asked after each step; True ends the run at a checkpoint."""


def never(step: int) -> bool:
    """Run to the end."""
    return False


def train_autoencoder(
    config: autoencoder.AutoencoderConfig,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    init_from: Path | None = None,
    on_log: OnLog | None = None,
    stop: Stop = never,
) -> int:
    """Photographs in `data` -> `run/export/vae`; returns the steps done.

    `init_from`: a folder that holds `vae/` to start from.
    """
    pixels, boxes = pack(data, read_rows(data, "train"), packed_folder(run))
    held_out = pack(data, read_rows(data, "validation"), packed_folder(run))
    model = GarmentAutoencoder.from_pretrained(init_from / "vae") if init_from else None
    task = autoencoder.AutoencoderTask(config, pixels, boxes, held_out, model)

    def export(model: Any, folder: Path) -> None:
        autoencoder.export(model, folder, pixels)

    return _run(task, config.loop, run, resume, export, on_log, stop)


def train_towers(
    config: towers.TowersConfig,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    init_from: Path | None = None,
    on_log: OnLog | None = None,
    stop: Stop = never,
) -> int:
    """Photographs and captions in `data` -> `run/export/{tokenizer,text_encoder,image_encoder}`.

    `init_from`: a folder that holds these three to start from; its tokenizer stays.
    """
    rows, held_out_rows = read_rows(data, "train"), read_rows(data, "validation")
    size = {"height": config.image_height, "width": config.image_width}
    pixels, _ = pack(data, rows, packed_folder(run), **size)
    held_out, _ = pack(data, held_out_rows, packed_folder(run), **size)
    if init_from:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(init_from / "tokenizer")
        encoders = (
            TextEncoder.from_pretrained(init_from / "text_encoder"),
            ImageEncoder.from_pretrained(init_from / "image_encoder"),
        )
    else:
        tokenizer = build_tokenizer(_texts(rows))
        encoders = None
    task = towers.TowersTask(config, tokenizer, rows, pixels, (held_out_rows, held_out), encoders)

    def export(model: Any, folder: Path) -> None:
        towers.export(model, tokenizer, folder)

    return _run(task, config.loop, run, resume, export, on_log, stop)


def train_evaluator(
    config: evaluator.EvaluatorConfig,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    init_from: Path | None = None,
    on_log: OnLog | None = None,
    stop: Stop = never,
) -> int:
    """Photographs and captions in `data` -> `run/export/evaluator`; returns the steps done.

    `init_from`: a folder that holds `evaluator/` to start from.
    """
    rows, held_out_rows = read_rows(data, "train"), read_rows(data, "validation")
    size = {"height": config.image_height, "width": config.image_width}
    pixels, _ = pack(data, rows, packed_folder(run), **size)
    held_out, _ = pack(data, held_out_rows, packed_folder(run), **size)
    judge = Evaluator.from_pretrained(init_from / "evaluator") if init_from else None
    task = evaluator.EvaluatorTask(config, rows, pixels, (held_out_rows, held_out), judge)

    def export(model: Any, folder: Path) -> None:
        evaluator.export(model, folder, pixels)

    return _run(task, config.loop, run, resume, export, on_log, stop)


def train_diffusion(
    config: diffusion.DiffusionConfig,
    data: Path,
    run: Path,
    *,
    components: Path | None = None,
    resume: bool = False,
    init_from: Path | None = None,
    on_log: OnLog | None = None,
    stop: Stop = never,
) -> int:
    """Photographs, captions and the frozen parts -> `run/export`, a whole model folder.

    `components`: a folder with `vae`, `text_encoder`, `tokenizer` and
    `image_encoder`; by default the shipped model's. `init_from`: a folder that
    holds a `transformer` to start from.
    """
    parts = components or asset_path("models/embedded")
    frozen = diffusion.Frozen(
        vae=GarmentAutoencoder.from_pretrained(parts / "vae"),
        text_encoder=TextEncoder.from_pretrained(parts / "text_encoder"),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(parts / "tokenizer"),
        image_encoder=ImageEncoder.from_pretrained(parts / "image_encoder"),
    )
    device = choose_device("auto")
    seen = [_look_at(frozen, data, split, run, device) for split in ("train", "validation")]
    model = None
    if init_from:
        model = GarmentTransformer2DModel.from_pretrained(init_from / "transformer")
    task = diffusion.DiffusionTask(config, frozen, seen[0], seen[1], model, device)

    def export(model: Any, folder: Path) -> None:
        diffusion.export(task, model.transformer, folder)

    return _run(task, config.loop, run, resume, export, on_log, stop)


def train_mask(
    config: mask.MaskConfig,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    init_from: Path | None = None,
    on_log: OnLog | None = None,
    stop: Stop = never,
) -> int:
    """Photographs and the colours their rows name -> `run/export/mask`; returns the steps done.

    `init_from`: a folder that holds `mask/` to start from.
    """
    photographs = _labelled(data, "train", config.num_labels, run)
    held_out = _labelled(data, "validation", config.num_labels, run)
    model = GarmentMaskNet.from_pretrained(init_from / "mask") if init_from else None
    task = mask.MaskTask(config, photographs, held_out, model)
    return _run(task, config.loop, run, resume, mask.export, on_log, stop)


def _labelled(data: Path, split: str, count: int, run: Path) -> tuple[Any, Any, Any]:
    """Small pictures, their boxes and the rough masks that are to be believed."""
    rows, cache = read_rows(data, split), packed_folder(run)
    size = {"height": mask_labels.HEIGHT, "width": mask_labels.WIDTH}
    pixels, boxes = pack(data, rows, cache, **size)
    chosen, places = mask.chosen_rows(rows, count)
    pixels, boxes = pixels[places], boxes[places]
    masks, believed = mask_labels.make_labels(
        chosen, pixels, boxes, load_vocabulary().lab_of, cache
    )
    return pixels[believed], boxes[believed], masks[believed]


def train_upscaler(
    config: upscaler.UpscalerConfig,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    init_from: Path | None = None,
    on_log: OnLog | None = None,
    stop: Stop = never,
) -> int:
    """Photographs in `data` -> `run/export/upscaler`; returns the steps done.

    `init_from`: a folder that holds `upscaler/` to start from.
    """
    size = {"height": upscaler.HEIGHT, "width": upscaler.WIDTH}
    rows = read_rows(data, "train")[: config.num_pictures]
    pixels, _ = pack(data, rows, packed_folder(run), **size)
    held_out, _ = pack(data, read_rows(data, "validation")[:100], packed_folder(run), **size)
    model = GarmentUpscaler.from_pretrained(init_from / "upscaler") if init_from else None
    task = upscaler.UpscalerTask(config, pixels, held_out, model)
    return _run(task, config.loop, run, resume, upscaler.export, on_log, stop)


def _look_at(
    frozen: diffusion.Frozen, data: Path, split: str, run: Path, device: torch.device
) -> diffusion.Photographs:
    rows, cache = read_rows(data, split), packed_folder(run)
    pixels, boxes = pack(data, rows, cache)
    size = frozen.image_encoder.config
    small, _ = pack(data, rows, cache, height=size.image_height, width=size.image_width)
    return diffusion.Photographs(
        rows=rows,
        latents=cached_latents(frozen.vae, pixels, cache, device),
        boxes=boxes,
        grids=cached_grids(frozen.image_encoder, small, cache, device),
        maps=cached_maps(frozen.image_encoder, small, cache, device),
        vectors=cached_vectors(frozen.image_encoder, small, cache, device),
    )


def _texts(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Captions, and composed prompts enough that every synonym's characters are met."""
    composer, rng = PromptComposer(rows), random.Random(0)
    for index, row in enumerate(rows):
        yield normalize(row["caption"])
        yield from (composer.compose(index, rng) for _ in range(8))


def packed_folder(run: Path) -> Path:
    """Decoded pictures are shared by the runs of one folder."""
    return run.parent / "packed"


def make_accelerator(run: Path, *, compile_model: bool = False) -> Accelerator:
    """On the GPU where there is one, in bfloat16 where it multiplies it; TensorBoard in `run`."""
    run.mkdir(parents=True, exist_ok=True)
    device = choose_device("auto")
    precision = "bf16" if choose_dtype(device) == torch.bfloat16 else "no"
    accelerator = Accelerator(
        mixed_precision=precision,
        cpu=device.type == "cpu",
        project_dir=run,
        dynamo_plugin=TorchDynamoPlugin(backend="inductor", dynamic=False)
        if compile_model
        else None,
        log_with="tensorboard" if _has_tensorboard() else None,
    )
    accelerator.init_trackers("tensorboard")
    return accelerator


def _has_tensorboard() -> bool:
    from accelerate.utils import is_tensorboard_available

    return bool(is_tensorboard_available())


def _run(
    task: Any,
    loop: LoopConfig,
    run: Path,
    resume: bool,
    export: Callable[[Any, Path], None],
    on_log: OnLog | None,
    stop: Stop,
) -> int:
    accelerator = make_accelerator(run, compile_model=loop.compile)
    try:
        return train(
            task,
            loop,
            run,
            accelerator,
            resume=resume,
            sample=getattr(task, "sample", None),
            export=export,
            on_log=on_log,
            stop=stop,
        )
    finally:
        accelerator.end_training()
