"""`mmgen evaluate`: figures of a model on photographs that it never saw, and a report."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen import limits
from mmgen.errors import OutputNotWritable
from mmgen.settings import load_settings
from mmgen.values import Step, check_number, check_whole
from ui.interrupt import StopOnRequest
from ui.words import duration, say

if TYPE_CHECKING:
    from pipelines.evaluate import Evaluation

_QUIET_S = 5.0
_MOST_PICTURES = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What was typed."""

    data: Path
    folder: Path
    limit: int | None
    num_inference_steps: int
    guidance_scale: float
    retrieve: int
    evaluator: Path | None
    as_json: bool
    model: str | None
    device: str | None


def evaluate(order: Order) -> None:
    """Measure, then write report.json, report.html and the sheets into the folder."""
    began = time.monotonic()
    settings = load_settings({"model": order.model, "device": order.device})
    _check(order)
    print(say("loading"), file=sys.stderr, flush=True)
    from pipelines import evaluate as evaluation
    from pipelines.components import EMBEDDED, load_retriever
    from pipelines.evaluation_set import read_evaluation_set
    from pipelines.judge import load_judge
    from pipelines.text_to_image import TextToImagePipeline
    from ui.evaluation_report import write_report

    asked = read_evaluation_set(order.data, order.limit)
    pipe = TextToImagePipeline.from_pretrained(settings.model, device=settings.device)
    is_ours = hasattr(pipe.generator, "pipeline") and settings.model != EMBEDDED
    with StopOnRequest() as stop:

        def on_step(step: Step) -> bool:
            return not stop.asked

        done = evaluation.evaluate(
            pipe,
            load_judge(order.evaluator),
            load_retriever(settings.model if is_ours else None),
            asked,
            order.folder,
            evaluation.Question(
                num_inference_steps=order.num_inference_steps,
                guidance_scale=order.guidance_scale,
                retrieve=order.retrieve,
            ),
            on_progress=_Told(),
            on_step=on_step,
        )
    _write_json(done, order.folder / "report.json")
    page = write_report(done, order.folder, settings.label_producer)
    if order.as_json:
        print(json.dumps(done.figures, ensure_ascii=False))
        return
    print("\n".join(lines_of(done.figures)))
    print(say("evaluate.done", page=page, elapsed=duration(time.monotonic() - began)))


def _check(order: Order) -> None:
    if order.limit is not None:
        check_whole("limit", order.limit, 1, _MOST_PICTURES)
    check_whole("num_inference_steps", order.num_inference_steps, *limits.NUM_INFERENCE_STEPS)
    check_number("guidance_scale", order.guidance_scale, *limits.GUIDANCE_SCALE)
    check_whole("retrieve", order.retrieve, 0, limits.NUM_REFERENCES)


def _write_json(done: Evaluation, path: Path) -> None:
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(
            json.dumps(done.figures, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputNotWritable(path=path, reason=error.strerror or error) from error


class _Told:
    """A line on stderr now and then, with the time left."""

    def __init__(self) -> None:
        self._what = ""
        self._began = self._told = 0.0
        self._first = 0

    def __call__(self, what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._told, self._first = what, now, now, done
        elif now - self._told > _QUIET_S or done == of:
            self._told = now
            left = (now - self._began) / (done - self._first) * (of - done)
            name = say(_DOING[what])
            text = say("evaluate.progress", what=name, done=done, of=of, left=duration(left))
            print(text, file=sys.stderr, flush=True)


_DOING = {
    "photographs": "evaluate.reading",
    "references": "evaluate.retrieving",
    "drawing": "evaluate.drawing",
}


def lines_of(figures: dict[str, Any]) -> list[str]:
    """The figures as lines for a terminal; shares in percent."""
    lines = [
        say(
            "evaluate.asked",
            count=figures["data"]["pictures"],
            of=figures["data"]["held_out"],
            steps=figures["question"]["num_inference_steps"],
        )
    ]
    if coded := figures["autoencoder"]:
        lines.append(say("evaluate.autoencoder", psnr=coded["psnr"], ssim=coded["ssim"]))
    for key, name in (("evaluate.towers", "towers"), ("evaluate.judge_recall", "photographs")):
        recall = {k: 100 * v for k, v in figures[name].items() if k[1:2] == "2"}
        lines.append(say(key, **recall))
    lines.append(say("evaluate.photographs", **_shares(figures["photographs"])))
    for name, title in ROUNDS.items():
        if name in figures:
            lines.append(say(title, **_shares(figures[name])))
            lines.append(say("evaluate.relative", **_shares(figures[name]["relative"])))
            lines.append(say("evaluate.spread", **spread(figures[name])))
    return lines


ROUNDS = {"plain": "evaluate.plain", "references": "evaluate.with_references"}
"""Round of pictures -> the line about it."""


def _shares(figures: dict[str, Any]) -> dict[str, str]:
    names = ("r_precision", "category", "colour_family")
    return {name: share(figures[name]) for name in names}


def spread(figures: dict[str, Any]) -> dict[str, str]:
    """frechet (relative) and near_copies as text."""
    relative = figures["frechet_relative"]
    return {
        "frechet": "-" if relative is None else f"{relative:.2f}",
        "near_copies": share(figures["near_copies"]),
    }


def share(value: float | None) -> str:
    """A part of one in percent; a dash where nothing was measured."""
    return "-" if value is None else f"{100 * value:.1f}%"
