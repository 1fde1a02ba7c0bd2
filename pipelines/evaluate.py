"""A model and a folder of photographs that it never saw -> figures of its quality.

The judge takes no part in drawing. Each figure about drawn pictures stands
beside the same figure about the photographs: what the judge gets wrong there,
no drawing can get right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import mmgen
from mmgen.evaluation import figures
from mmgen.evaluation.judge import Judge, Verdicts
from mmgen.pixels.autoencoder import GarmentAutoencoder
from mmgen.pixels.fidelity import box_mask, psnr, ssim, to_unit
from mmgen.values import OnStep, Retriever
from pipelines.evaluation_drawing import Drawing, OnProgress, Question, nearest_training_pictures
from pipelines.evaluation_set import EvaluationSet, as_pictures
from pipelines.text_to_image import TextToImagePipeline

SCHEMA = "mmgen.evaluation/1"
_CHUNK = 8


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Figures, and what a report shows beside them."""

    figures: dict[str, Any]
    """JSON values; see `evaluate`."""
    rows: Sequence[Mapping[str, Any]]
    photographs: np.ndarray
    """uint8 (N, H, W, 3)."""
    files: dict[str, list[Path]]
    """Round ("plain", "references") -> the picture of each row."""
    right: dict[str, list[dict[str, bool | None]]]
    """Round -> for each row whether own caption, garment and colour family were recognised."""


def evaluate(
    pipe: TextToImagePipeline,
    judge: Judge,
    retriever: Retriever,
    asked: EvaluationSet,
    folder: Path,
    question: Question,
    *,
    on_progress: OnProgress = lambda what, done, of: None,
    on_step: OnStep | None = None,
) -> Evaluation:
    """Draw each caption of `asked` and hold the pictures against the photographs.

    Pictures are written to `folder` as they come; those that are there already and
    answer the same request of the same model are used again. Figures:

    autoencoder   psnr (dB) and ssim of the photographs; None for foreign autoencoders
    towers        recall of `retriever`, both ways, among the photographs
    photographs   what the judge makes of the photographs: its own accuracy
    plain, references   the same of what was drawn, `relative` to the photographs, with
                  frechet, frechet_photographs and near_copies

    Raises `PictureError` leaves for photographs, `OutputError` leaves, `Cancelled`.
    """
    height, width = 256, 192
    frames, boxes = asked.photographs(
        height, width, lambda done, of: on_progress("photographs", done, of)
    )
    seen = judge.look(as_pictures(frames))
    words = judge.read(asked.captions)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "mmgen": mmgen.__version__,
        "data": {
            "pictures": len(asked.rows),
            "held_out": len(asked.captions),
            "captions_sha256": figures.digest_of(asked.captions),
        },
        "model": {"id": pipe.generator.id, "sha256": pipe.generator.sha256},
        "evaluator": {"sha256": judge.sha256},
        "question": dataclasses.asdict(question),
        "autoencoder": _autoencoder(pipe, frames, boxes),
        "towers": _towers(retriever, asked, frames),
    }
    report["photographs"] = _named(seen, words, asked) | figures.recalls(
        words[list(asked.own)] @ seen.vectors.T
    )
    near_photographs, _ = figures.nearest(seen.vectors, judge.training_vectors)
    references: dict[str, list[dict[str, Path]]] = {"plain": [{} for _ in asked.rows]}
    if question.retrieve:
        references["references"] = nearest_training_pictures(
            retriever, asked, question.retrieve, folder, on_progress
        )
    files, right = {}, {}
    for name, given in references.items():
        drawing = Drawing(pipe, asked, question, folder / name, given)
        files[name] = drawing.draw(on_progress, on_step)
        verdicts = judge.look(list(_opened(files[name])))
        report[name] = _drawn_figures(verdicts, seen, words, asked, judge, near_photographs)
        right[name] = _right(verdicts, words, asked)
    return Evaluation(figures=report, rows=asked.rows, photographs=frames, files=files, right=right)


# --- the parts ------------------------------------------------------------------------------


@torch.inference_mode()
def _autoencoder(
    pipe: TextToImagePipeline, frames: np.ndarray, boxes: np.ndarray
) -> dict[str, float] | None:
    """PSNR and SSIM of photographs that went through the latents; padding left out."""
    vae = getattr(getattr(pipe.generator, "pipeline", None), "vae", None)
    if not isinstance(vae, GarmentAutoencoder):
        return None
    noise, structure = [], []
    for start in range(0, len(frames), _CHUNK):
        pixels = to_unit(torch.from_numpy(frames[start : start + _CHUNK]))
        mask = box_mask(torch.from_numpy(boxes[start : start + _CHUNK]), *pixels.shape[2:])
        latents = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode()
        made = vae.decode(latents.to(vae.dtype)).sample.float().cpu()
        noise.append(psnr(made, pixels, mask))
        structure.append(ssim(made, pixels, mask))
    return {"psnr": torch.cat(noise).mean().item(), "ssim": torch.cat(structure).mean().item()}


def _towers(retriever: Retriever, asked: EvaluationSet, frames: np.ndarray) -> dict[str, float]:
    texts = retriever.encode_text([row["caption"] for row in asked.rows])
    return figures.recalls(texts @ retriever.encode_image(as_pictures(frames)).T)


def _named(seen: Verdicts, words: np.ndarray, asked: EvaluationSet) -> dict[str, float | None]:
    return {
        "r_precision": figures.r_precision(seen.vectors, words, asked.own, asked.others),
        "category": figures.agreement(seen.categories, asked.categories),
        "colour_family": figures.agreement(seen.families, asked.families),
    }


def _drawn_figures(
    drawn: Verdicts,
    photographs: Verdicts,
    words: np.ndarray,
    asked: EvaluationSet,
    judge: Judge,
    near_photographs: np.ndarray,
) -> dict[str, Any]:
    own, theirs = _named(drawn, words, asked), _named(photographs, words, asked)
    near, _ = figures.nearest(drawn.vectors, judge.training_vectors)
    distances = figures.frechet_beside_split_half(drawn.vectors, photographs.vectors)
    return {
        **own,
        "relative": {name: _ratio(own[name], theirs[name]) for name in own},
        "frechet": distances and distances[0],
        "frechet_photographs": distances and distances[1],
        "frechet_relative": distances and _ratio(*distances),
        "near_copies": float(figures.near_copies(near, near_photographs).mean()),
    }


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _right(
    drawn: Verdicts, words: np.ndarray, asked: EvaluationSet
) -> list[dict[str, bool | None]]:
    rows = []
    for index, own in enumerate(asked.own):
        category, family = asked.categories[index], asked.families[index]
        one = slice(index, index + 1)
        hit = figures.r_precision(drawn.vectors[one], words, [own], asked.others)
        rows.append(
            {
                "caption": bool(hit),
                "category": None if category is None else drawn.categories[index] == category,
                "colour_family": None if family is None else drawn.families[index] == family,
            }
        )
    return rows


def _opened(files: Sequence[Path]) -> Iterator[Image.Image]:
    for file in files:
        with Image.open(file, formats=("PNG",)) as picture:
            yield picture.convert("RGB")
