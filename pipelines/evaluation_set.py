"""A folder of photographs with captions -> what the model is asked and held against."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmgen.assets import asset_path
from mmgen.errors import DataError
from mmgen.evaluation.figures import digest_of, draw_others
from mmgen.files.read_picture import PictureReader
from mmgen.framing import fit
from mmgen.image_folder import read_rows
from mmgen.text.normalize import normalize
from mmgen.text.vocabulary import colour_family

_COMMITTED = "captions/others.json"


class NothingHeldOut(DataError):
    code = "evaluate.nothing_held_out"
    template = "{path} holds training pictures (train/) only; give a folder with others too"


class NoTrainingPictures(DataError):
    code = "evaluate.no_training_pictures"
    template = "{path} holds no training pictures (train/) to retrieve from; leave --retrieve out"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSet:
    """The rows that are asked, among all that are held out."""

    folder: Path
    rows: Sequence[Mapping[str, Any]]
    """Those that are asked."""
    own: Sequence[int]
    """Where each of them stands among `captions`."""
    captions: Sequence[str]
    """All held-out captions."""
    others: Sequence[Sequence[int]]
    """For each caption, the indices of the wrong answers beside it."""

    @property
    def categories(self) -> list[str | None]:
        """What each row's garment is; None where nobody wrote it down."""
        return [row.get("category") for row in self.rows]

    @property
    def families(self) -> list[str | None]:
        """The family of each row's main colour."""
        return [colour_family(row["colors"][0]) if row.get("colors") else None for row in self.rows]

    def seed(self, index: int) -> int:
        """A seed of its own for each row, whatever else is asked."""
        digest = hashlib.blake2b(self.rows[index]["file_name"].encode(), digest_size=4)
        return int.from_bytes(digest.digest())

    def photographs(
        self, height: int, width: int, on_progress: Callable[[int, int], None] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (N, H, W, 3) and boxes float32 (N, 4), as `fit` gives them."""
        frames, boxes = [], []
        with PictureReader() as reader:
            for done, row in enumerate(self.rows, 1):
                frame, box = fit(reader.read(self.folder / row["file_name"]), height, width)
                frames.append(frame)
                boxes.append(box)
                if on_progress:
                    on_progress(done, len(self.rows))
        return np.stack(frames), np.stack(boxes)

    def training_rows(self) -> list[dict[str, Any]]:
        """What may be retrieved; raises `NoTrainingPictures`."""
        rows = [row for row in read_rows(self.folder) if _is_training(row)]
        if not rows:
            raise NoTrainingPictures(path=self.folder)
        return rows


def read_evaluation_set(folder: Path, limit: int | None = None) -> EvaluationSet:
    """All rows outside `train/`, or `limit` of them drawn with seed 0.

    Raises `TrainingDataMissing`, `TrainingDataBroken`, `NothingHeldOut`.
    """
    rows = [row for row in read_rows(folder) if not _is_training(row)]
    if not rows:
        raise NothingHeldOut(path=folder)
    captions = [normalize(row["caption"]) for row in rows]
    chosen = list(range(len(rows)))
    if limit is not None and limit < len(rows):
        chosen = sorted(random.Random(0).sample(chosen, limit))
    return EvaluationSet(
        folder=folder,
        rows=[rows[index] for index in chosen],
        own=chosen,
        captions=captions,
        others=_others(captions),
    )


def _is_training(row: Mapping[str, Any]) -> bool:
    return str(row["file_name"]).split("/")[0] == "train"


def _others(captions: Sequence[str]) -> list[list[int]]:
    """The committed list where it belongs to these captions, else one drawn the same way."""
    committed = json.loads(asset_path(_COMMITTED).read_text(encoding="utf-8"))
    if committed["captions_sha256"] == digest_of(captions):
        others: list[list[int]] = committed["others"]
        return others
    return draw_others(captions)


def as_pictures(frames: np.ndarray) -> list[Image.Image]:
    """uint8 (N, H, W, 3) -> PIL pictures."""
    return [Image.fromarray(frame) for frame in frames]
