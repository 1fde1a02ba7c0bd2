"""The one training loop; it knows steps, not models.

Everything random in step `s` comes from a generator seeded with (seed, s), and
the pictures of step `s` are a function of (seed, s). So a run holds no random
state: resumed equals unbroken, bit for bit, on the same machine.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from PIL.Image import Image
from torch import Tensor, nn

from training import checkpoint


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """How long and how fast to learn."""

    steps: int
    batch_size: int
    """Pictures a step, over all processes together."""
    learning_rate: float
    warmup_steps: int = 100
    decay_fraction: float = 0.3
    """The last part of the run, in which the rate falls to `final_rate` of itself."""
    final_rate: float = 0.03
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    optimizer: str = "adamw"
    """`muon`: the matrices of the blocks by Muon (arXiv 2502.16982), the rest by AdamW."""
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    """0 keeps no averaged weights."""
    compile: bool = False
    """Compile the model (needs a C++ compiler on a CPU); a minute that long runs win back."""
    seed: int = 0
    checkpoint_minutes: float = 5.0
    log_every: int = 25
    sample_every: int = 0
    """Steps between two sample sheets; 0 makes none."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer is {self.optimizer}; it must be adamw or muon")
        for name in ("decay_fraction", "final_rate", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1]")


class Task(Protocol):
    """What is learnt: the model, its data and its loss."""

    model: nn.Module
    num_rows: int

    def loss(
        self, model: nn.Module, rows: Tensor, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean loss over `rows` (int64 indices) and figures for the log."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Figures on pictures that are not trained on."""
        ...


Sample = Callable[[nn.Module], Image]
Export = Callable[[nn.Module, Path], None]
OnLog = Callable[[int, Mapping[str, float]], None]


def stream_seed(*parts: int | str) -> int:
    """A seed in [0, 2**63) that depends on all parts."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def rows_at(step: int, *, num_rows: int, batch_size: int, seed: int) -> Tensor:
    """int64 (batch_size,): the rows of one step; each epoch is a new permutation."""
    positions = torch.arange(step * batch_size, (step + 1) * batch_size)
    rows = torch.empty_like(positions)
    for epoch in (positions // num_rows).unique().tolist():
        generator = torch.Generator().manual_seed(stream_seed("order", seed, epoch))
        order = torch.randperm(num_rows, generator=generator)
        is_here = positions // num_rows == epoch
        rows[is_here] = order[positions[is_here] % num_rows]
    return rows


def rate_at(step: int, config: LoopConfig) -> float:
    """Learning rate: linear warm-up, constant, cosine to `final_rate` of it."""
    decay_from = config.steps * (1 - config.decay_fraction)
    scale = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if step > decay_from:
        done = (step - decay_from) / max(1.0, config.steps - decay_from)
        scale *= config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * done))
    return config.learning_rate * scale


def _is_block_matrix(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim == 2 and ".blocks." in f".{name}" and name.endswith("weight")


def _optimizers(model: nn.Module, config: LoopConfig) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon for the matrices of the blocks beside it.

    Matrices decay; gains, biases and embeddings of one dimension do not.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    by_muon: list[nn.Parameter] = []
    if config.optimizer == "muon":
        by_muon = [p for name, p in trained.items() if _is_block_matrix(name, p)]
    taken = {id(p) for p in by_muon}
    rest = [p for p in trained.values() if id(p) not in taken]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = config.learning_rate
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=rate, betas=config.betas, fused=True)
    ]
    if by_muon:
        # With this adjustment AdamW's rate and decay serve Muon too.
        muon = torch.optim.Muon(
            by_muon, lr=rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        found.append(muon)
    return found


def train(
    task: Task,
    config: LoopConfig,
    run: Path,
    accelerator: Accelerator,
    *,
    resume: bool = False,
    sample: Sample | None = None,
    export: Export | None = None,
    on_log: OnLog | None = None,
    stop: Callable[[int], bool] = lambda step: False,
) -> int:
    """Run to `config.steps`; returns the steps done.

    `stop(step)` asked after each step ends the run at a checkpoint. `export`
    receives the averaged weights where they are kept, at the end.
    """
    settings = dataclasses.asdict(config)
    model, *optimizers = accelerator.prepare(task.model, *_optimizers(task.model, config))
    average = None
    if config.ema_decay:
        average = EMAModel(task.model.parameters(), decay=config.ema_decay, foreach=True)
        average.to(accelerator.device)
        accelerator.register_for_checkpointing(average)
    step = checkpoint.load_newest(accelerator, run, settings) if resume else 0
    saved_at = logged_at = time.monotonic()
    logged_step = step
    model.train()
    is_last = False
    while step < config.steps and not is_last:
        loss, figures = _learn(task, model, optimizers, config, accelerator, step)
        if average is not None:
            average.step(task.model.parameters())
        step += 1
        if step % config.log_every == 0:
            now = time.monotonic()
            rate = (step - logged_step) * config.batch_size / (now - logged_at)
            logged_at, logged_step = now, step
            _log({"loss": loss.item(), "rows_per_s": rate, **figures}, step, accelerator, on_log)
        is_last = step == config.steps or stop(step)
        if config.sample_every and (step % config.sample_every == 0 or is_last):
            model.eval()
            look = functools.partial(_look, task, accelerator, run, step, sample, on_log)
            _with_average(task, average, look)
            model.train()
        if is_last or time.monotonic() - saved_at > 60 * config.checkpoint_minutes:
            checkpoint.save(accelerator, run, step, settings)
            saved_at = time.monotonic()
    if export and accelerator.is_main_process:
        _with_average(task, average, lambda: export(task.model, run / "export"))
    return step


def _learn(
    task: Task,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    config: LoopConfig,
    accelerator: Accelerator,
    step: int,
) -> tuple[Tensor, dict[str, float]]:
    """One step of the optimiser; this process takes its share of the batch."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, config)
    rank, share = accelerator.process_index, config.batch_size // accelerator.num_processes
    rows = rows_at(step, num_rows=task.num_rows, batch_size=config.batch_size, seed=config.seed)
    generator = torch.Generator().manual_seed(stream_seed("step", config.seed, step, rank))
    with accelerator.autocast():
        loss, figures = task.loss(
            model, rows[rank * share : (rank + 1) * share], generator, accelerator.device
        )
    accelerator.backward(loss)
    norm = accelerator.clip_grad_norm_(model.parameters(), config.max_grad_norm)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.detach(), {"norm": float(norm), **figures}


def _log(
    figures: dict[str, float], step: int, accelerator: Accelerator, on_log: OnLog | None
) -> None:
    accelerator.log(figures, step=step)
    if on_log and accelerator.is_main_process:
        on_log(step, figures)


def _look(
    task: Task,
    accelerator: Accelerator,
    run: Path,
    step: int,
    sample: Sample | None,
    on_log: OnLog | None,
) -> None:
    """Validate and draw a sheet."""
    if not accelerator.is_main_process:
        return
    _log(task.validate(task.model), step, accelerator, on_log)
    if sample:
        sample(task.model).save(run / f"sample-{step:08d}.png")


def _with_average(task: Task, average: EMAModel | None, work: Callable[[], None]) -> None:
    """Do `work` with the averaged weights in the model, then put the trained ones back."""
    if average is None:
        return work()
    average.store(task.model.parameters())
    average.copy_to(task.model.parameters())
    try:
        return work()
    finally:
        average.restore(task.model.parameters())
