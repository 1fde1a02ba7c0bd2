"""`mmgen tag`: what pictures show; `mmgen train tags`: the heads that see it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmgen.errors import Missing, MmgenError
from mmgen.files.read_picture import PictureReader, sha256_of
from mmgen.home import private_folder
from ui.show_errors import report
from ui.words import duration, say

if TYPE_CHECKING:
    from pipelines.tag import Tagger, Tags

SOME_FAILED = 3
_SHOWN = 3
"""Values of an attribute in the table."""
_LIKELY = 0.1
"""What is less likely is not shown beside a likelier value."""
_ORDER = (
    "category",
    "colors",
    "patterns",
    "sleeve",
    "neckline",
    "length",
    "fabric",
    "wearer",
)


def tag(pictures: Sequence[Path], *, with_copy: bool, seed: int, as_json: bool) -> int:
    """Print the tags of each picture; returns 0, or 3 when some could not be read."""
    if not pictures:
        raise Missing(name="PIC", advice="give at least one picture")
    code = 0
    tagger: Tagger | None = None
    with PictureReader() as reader:
        for path in pictures:
            try:
                image = reader.read(path)
                digest = sha256_of(path)
            except MmgenError as error:
                code = report(error) if len(pictures) == 1 else max(SOME_FAILED, report(error))
                continue
            tagger = tagger or load_tagger()
            tags = tagger.tag([image])[0]
            copy = _copy_of(tags, f"{digest}{seed}") if with_copy else None
            print(_as_json(path, tags, copy) if as_json else _as_words(path, tags, copy))
            sys.stdout.flush()
    return code


def load_tagger() -> Tagger:
    """The heads that ship, on the towers in use; imports torch."""
    from pipelines.tag import Tagger

    return Tagger.from_pretrained()


def _copy_of(tags: Tags, seed: str) -> str:
    from pipelines.product_copy import write_copy

    return write_copy(tags.sure, seed)


def _as_json(path: Path, tags: Tags, copy: str | None) -> str:
    facts = {"path": str(path), **tags.to_dict()}
    if copy is not None:
        facts["copy"] = copy
    return json.dumps(facts, ensure_ascii=False)


def _as_words(path: Path, tags: Tags, copy: str | None) -> str:
    """A block for each picture: an attribute a line, likeliest value first."""
    lines = [str(path)]
    for name in _ORDER:
        guesses = tags.guesses[name][:_SHOWN]
        shown = [guesses[0], *(guess for guess in guesses[1:] if guess[1] >= _LIKELY)]
        told = "  ".join(f"{value or say('tag.none')} {p:.0%}" for value, p in shown)
        if name == "colors":
            family, p = tags.guesses["colour_family"][0]
            told += "  " + say("tag.family", family=family, p=f"{p:.0%}")
        also = _also(tags, name)
        lines.append(f"  {say(f'tag.{name}')}  {told}{also}")
    if copy is not None:
        lines.append(f"  {say('tag.copy')}  {copy}")
    return "\n".join(lines)


def _also(tags: Tags, name: str) -> str:
    """What else is surely there: the second colour, a second pattern."""
    further = tags.sure.get(name, ())[1:]
    return "  " + say("tag.also", values="、".join(further)) if further else ""


def train_tags(data: Path, towers: Path | None, output: Path) -> None:
    """Train the heads on `towers`, write them to `output` and tell how good they are."""
    from training.tag_heads import train_tag_heads

    if output.exists() and any(output.iterdir()):
        from mmgen.errors import OutputNotWritable

        raise OutputNotWritable(path=output, reason="Directory not empty")
    began = time.monotonic()
    private_folder(output)

    def log(step: int, figures: Mapping[str, float]) -> None:
        text = f"loss {figures['loss']:.4g}"
        steps = round(figures["of"])
        print(say("train.step", step=step, steps=steps, figures=text), file=sys.stderr, flush=True)

    cache = output.absolute().parent / "packed"
    figures = train_tag_heads(data, output, towers=towers, cache=cache, on_log=log)
    for name, value in figures.items():
        print(f"{name:20} {value:.3f}")
    elapsed = duration(time.monotonic() - began)
    print(say("tag.trained", folder=output, elapsed=elapsed))
