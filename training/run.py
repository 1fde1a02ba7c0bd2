"""Configuration -> objects -> the loop: one function a stage of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from accelerate import Accelerator

from mmgen.pixels.autoencoder import GarmentAutoencoder
from training import autoencoder
from training.dataset import pack, read_rows
from training.loop import LoopConfig, train

OnLog = Callable[[int, Mapping[str, float]], None]


def make_accelerator(run: Path) -> Accelerator:
    """bfloat16 where the device multiplies it; TensorBoard events under `run`."""
    run.mkdir(parents=True, exist_ok=True)
    is_cpu = not torch.cuda.is_available()
    precision = "bf16" if not is_cpu or torch.ops.mkldnn._is_mkldnn_bf16_supported() else "no"
    accelerator = Accelerator(mixed_precision=precision, cpu=is_cpu, project_dir=run)
    return accelerator


def train_autoencoder(
    config: autoencoder.AutoencoderConfig,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    init_from: Path | None = None,
    on_log: OnLog | None = None,
) -> int:
    """Photographs in `data` -> `run/export/vae`; returns the steps done."""
    accelerator = make_accelerator(run)
    pixels, boxes = pack(data, read_rows(data, "train"), run.parent / "packed")
    held_out = pack(data, read_rows(data, "validation"), run.parent / "packed")
    model = GarmentAutoencoder.from_pretrained(init_from / "vae") if init_from else None
    task = autoencoder.AutoencoderTask(config, pixels, boxes, held_out, model)
    return _run(task, config.loop, run, accelerator, resume, on_log, lambda model, folder: (
        autoencoder.export(model, folder, pixels)
    ))


def _run(task, loop: LoopConfig, run, accelerator, resume, on_log, export) -> int:
    return train(
        task,
        loop,
        run,
        accelerator,
        resume=resume,
        sample=task.sample,
        export=export,
        on_log=on_log,
    )
