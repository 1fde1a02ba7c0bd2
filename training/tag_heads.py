"""Trains the attribute heads on what frozen towers see; a minute or two on one core.

The towers look at each photograph and at its mirror image once. Heads trained
on nine tenths are calibrated on the last tenth (one temperature a head, Guo et
al., arXiv 1706.04599); then new ones learn from all of them and keep the
temperatures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmgen.devices import choose_dtype
from mmgen.retrieval.colour_evidence import colour_evidence
from mmgen.retrieval.heads import ALSO, AttributeHeads, look
from mmgen.retrieval.towers import ImageEncoder
from mmgen.text.vocabulary import colour_family, load_vocabulary
from pipelines.retrievers import load_retriever
from pipelines.tag import NONE, PLAIN, our_towers
from training.dataset import pack, read_rows
from training.export import shipped_copy

WITHOUT_NONE = ("category", "colors", "patterns", "wearer")
"""Every garment has these; of the others, "none" is an answer."""
SEVERAL = ("colors", "patterns")
"""What a garment can have more than one of, the main one first."""
STRANGERS = 0.99
"""Part of the photographs that must not count as too near any other."""
OnLog = Callable[[int, Mapping[str, float]], None]
_CHUNK = 32


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TagHeadsConfig:
    """How the heads learn."""

    epochs: int = 25
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    hidden_size: int = 384
    also_weight: float = 8.0
    """Of the yes-or-no heads; most of their answers are an easy no."""
    held_out: float = 0.1
    """Part of the photographs that temperatures are fitted on."""
    seed: int = 0


def train_tag_heads(
    data: Path,
    out: Path,
    *,
    towers: Path | None = None,
    cache: Path,
    config: TagHeadsConfig | None = None,
    on_log: OnLog | None = None,
) -> dict[str, float]:
    """Photographs in `data` -> heads in `out`; returns their figures on `validation/`.

    `towers`: a folder that `load_retriever` takes; by default those it finds.
    `cache`: where decoded photographs are kept. Raises `TrainingDataMissing` and
    what `load_retriever` raises.
    """
    config = config or TagHeadsConfig()
    retriever = our_towers(load_retriever(None if towers is None else str(towers)))
    encoder = retriever.image_encoder
    rows, held_out = read_rows(data, "train"), read_rows(data, "validation")
    features = features_of(encoder, data, rows, cache)
    heads = fit_calibrated(config, rows, features, retriever.sha256, on_log)
    near = near_for_strangers(features[:, :, : encoder.config.projection_dim])
    copy = shipped_copy(heads, near=near)
    # A mean in bfloat16 would be off by more than some features vary.
    copy.mean, copy.scale = heads.mean.clone(), heads.scale.clone()
    copy.save_pretrained(out)
    saved = AttributeHeads.from_pretrained(out).float().eval()
    return figures(saved, features_of(encoder, data, held_out, cache), held_out)


@torch.inference_mode()
def features_of(
    encoder: ImageEncoder, data: Path, rows: Sequence[Mapping[str, Any]], cache: Path
) -> Tensor:
    """float16 (2, N, F): what heads read of each photograph, and of its mirror image."""
    size = {"height": encoder.config.image_height, "width": encoder.config.image_width}
    pixels, _ = pack(data, list(rows), cache, **size)
    encoder = encoder.to(memory_format=torch.channels_last)
    seen: list[list[Tensor]] = [[], []]
    for start in range(0, len(pixels), _CHUNK):
        chunk = torch.from_numpy(np.array(pixels[start : start + _CHUNK])).permute(0, 3, 1, 2)
        colours = colour_evidence(chunk)  # the same in a mirror
        for side, view in enumerate((chunk, chunk.flip(3))):
            seen[side].append(look(encoder, view, colours).half())
    return torch.stack([torch.cat(side) for side in seen])


def fit_calibrated(
    config: TagHeadsConfig,
    rows: Sequence[Mapping[str, Any]],
    features: Tensor,
    towers_sha256: str,
    on_log: OnLog | None = None,
) -> AttributeHeads:
    """Heads that learnt from all rows, with temperatures fitted on a part held out first."""
    targets = targets_of(rows)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(config.seed))
    count = max(1, round(config.held_out * len(rows)))
    kept, apart = order[count:], order[:count]
    trial = _new_heads(config, features, towers_sha256, {})
    fit(config, trial, features[:, kept], _rows_of(targets, kept), on_log)
    temperatures = fit_temperatures(trial, features[0, apart], _rows_of(targets, apart))
    heads = _new_heads(config, features, towers_sha256, temperatures)
    fit(config, heads, features, targets, on_log)
    return heads


def _new_heads(
    config: TagHeadsConfig,
    features: Tensor,
    towers_sha256: str,
    temperatures: Mapping[str, float],
) -> AttributeHeads:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # layers take no generator
        return AttributeHeads(
            labels=labels(),
            also=SEVERAL,
            in_features=features.shape[2],
            hidden_size=config.hidden_size,
            temperatures=temperatures,
            towers_sha256=towers_sha256,
        )


def near_for_strangers(vectors: Tensor) -> float:
    """The cosine that `STRANGERS` of the photographs do not reach with any other.

    vectors  (2, N, E), of each photograph and its mirror image, of any length
    """
    even = F.normalize(vectors.float(), dim=2)
    nearest = []
    for start in range(0, even.shape[1], 512):
        part = even[:, start : start + 512]
        cosines = torch.maximum(part[0] @ even[0].T, part[1] @ even[0].T)
        own = torch.arange(part.shape[1])
        cosines[own, own + start] = -1
        nearest.append(cosines.max(1).values)
    return round(torch.cat(nearest).quantile(STRANGERS).item(), 4)


def labels() -> dict[str, list[str]]:
    """Attribute -> its values in the vocabulary's order, `NONE` first where it is one."""
    return {
        name: [*([] if name in WITHOUT_NONE else [NONE]), *values]
        for name, values in load_vocabulary().attributes.items()
    }


def targets_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """int64 (N,) by head; float32 (N, values) for the heads of `ALSO`."""
    targets = {}
    for name, values in labels().items():
        place = {value: index for index, value in enumerate(values)}
        given = [_given(row, name) for row in rows]
        targets[name] = torch.tensor([place[one[0]] for one in given])
        if name in SEVERAL:
            several = torch.zeros(len(rows), len(values))
            for row, one in enumerate(given):
                several[row, [place[value] for value in one]] = 1
            targets[f"{ALSO}{name}"] = several
    return targets


def _given(row: Mapping[str, Any], name: str) -> list[str]:
    """What a row says, main value first; what is rare and unsaid counts as the commonest."""
    if name == "patterns":
        return row.get(name) or [PLAIN]
    if name == "colors":
        return row.get(name) or ["黑"]
    fallback = {"category": "其他", "wearer": "中性"}.get(name, NONE)
    return [row.get(name) or fallback]


def _rows_of(targets: Mapping[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    return {name: target[index] for name, target in targets.items()}


def fit(
    config: TagHeadsConfig,
    heads: AttributeHeads,
    features: Tensor,
    targets: Mapping[str, Tensor],
    on_log: OnLog | None = None,
) -> None:
    """Teach `heads` in place; all randomness comes from the seed."""
    generator = torch.Generator().manual_seed(config.seed)
    _set_scale(heads, features)
    count = features.shape[1]
    steps = max(1, config.epochs * count // config.batch_size)
    optimizer = torch.optim.AdamW(
        heads.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=max(steps, 2)
    )
    precision = choose_dtype(torch.device("cpu"))
    heads.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # dropout takes no generator
        for step in range(1, steps + 1):
            rows = torch.randint(count, (config.batch_size,), generator=generator)
            side = torch.randint(2, (config.batch_size,), generator=generator)
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                logits = heads(features[side, rows].float())
            loss = _loss(config, logits, _rows_of(targets, rows))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            if on_log and (step % 100 == 0 or step == steps):
                on_log(step, {"loss": loss.item(), "of": steps})
    heads.eval()


def _set_scale(heads: AttributeHeads, features: Tensor) -> None:
    """Even out the features; those that hardly vary must not drown the others in noise."""
    plain = features.float().flatten(0, 1)
    heads.mean.copy_(plain.mean(0))
    heads.scale.copy_(1 / (plain.std(0) + 0.02))


def _loss(
    config: TagHeadsConfig, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> Tensor:
    losses = [
        config.also_weight * F.binary_cross_entropy_with_logits(logits[name].float(), target)
        if name.startswith(ALSO)
        else F.cross_entropy(logits[name].float(), target, label_smoothing=config.label_smoothing)
        for name, target in targets.items()
    ]
    return torch.stack(losses).sum()


@torch.inference_mode()
def fit_temperatures(
    heads: AttributeHeads, features: Tensor, targets: Mapping[str, Tensor]
) -> dict[str, float]:
    """Head -> the temperature with which held-out answers are likeliest."""
    logits = heads(features.float())
    grid = torch.logspace(-0.7, 0.7, 57).tolist()

    def surprise(name: str, temperature: float) -> float:
        even, target = logits[name] / temperature, targets[name]
        if name.startswith(ALSO):
            return F.binary_cross_entropy_with_logits(even, target).item()
        return F.cross_entropy(even, target).item()

    return {name: round(min(grid, key=lambda value: surprise(name, value)), 3) for name in logits}


@torch.inference_mode()
def figures(
    heads: AttributeHeads, features: Tensor, rows: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """How often `heads` are right on `rows`, and how far their certainty is off (ECE)."""
    found = heads.probabilities(features[0].float())
    targets = targets_of(rows)
    category, colour, sleeve = targets["category"], targets["colors"], targets["sleeve"]
    families = [colour_family(name) for name in heads.config.labels["colors"]]
    family = _by_family(found["colors"], families)
    family_wanted = _by_family(F.one_hot(colour, len(families)).float(), families)
    is_plain = targets["patterns"] == heads.config.labels["patterns"].index(PLAIN)
    said_plain = found["patterns"].argmax(1) == heads.config.labels["patterns"].index(PLAIN)
    has_sleeve = sleeve > 0
    top3 = found["category"].topk(3, dim=1).indices
    shares = {
        "category_top1": found["category"].argmax(1) == category,
        "category_top3": (top3 == category[:, None]).any(1),
        "colour": found["colors"].argmax(1) == colour,
        "colour_family": family.argmax(1) == family_wanted.argmax(1),
        "sleeve_where_one": (found["sleeve"].argmax(1) == sleeve)[has_sleeve],
        "pattern": found["patterns"].argmax(1) == targets["patterns"],
        "plain_or_not": said_plain == is_plain,
        **{
            name: found[name].argmax(1) == targets[name]
            for name in ("sleeve", "neckline", "length", "fabric", "wearer")
        },
    }
    result = {name: hits.float().mean().item() for name, hits in shares.items()}
    for name in ("category", "colors", "sleeve", "patterns"):
        result[f"{name}_ece"] = calibration_error(found[name], targets[name])
    return result


def _by_family(probabilities: Tensor, families: Sequence[str]) -> Tensor:
    """(N, colours) -> (N, families), sums of their colours."""
    names = list(dict.fromkeys(families))
    index = torch.tensor([names.index(family) for family in families])
    return torch.zeros(len(probabilities), len(names)).index_add_(1, index, probabilities)


def calibration_error(probabilities: Tensor, target: Tensor, bins: int = 10) -> float:
    """Mean distance between certainty and share of right answers over equal bins."""
    certainty, answer = probabilities.max(1)
    is_right = (answer == target).float()
    place = (certainty * bins).long().clamp(max=bins - 1)
    total = 0.0
    for number in place.unique():
        inside = place == number
        gap = (certainty[inside].mean() - is_right[inside].mean()).abs()
        total += gap.item() * inside.float().mean().item()
    return total
