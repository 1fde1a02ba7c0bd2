"""Captions -> drawn pictures on disk, with or without retrieved references."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmgen.errors import DataError, MmgenWarning, OutputNotWritable
from mmgen.files.read import read_record
from mmgen.files.read_picture import PictureReader, sha256_of
from mmgen.values import ImageRequest, OnStep, Retriever
from pipelines.evaluation_set import EvaluationSet
from pipelines.text_to_image import TextToImagePipeline

OnProgress = Callable[[str, int, int], None]
"""(what: photographs, references or drawing; done; of)."""


class NotOurPicture(DataError):
    code = "evaluate.not_our_picture"
    template = "{path} was not made by an evaluation; choose another folder with -o"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """How pictures are drawn."""

    num_inference_steps: int = 24
    guidance_scale: float = 4.0
    retrieve: int = 0
    """Training photographs given as references in a second round; 0: no second round."""


@dataclasses.dataclass(frozen=True, slots=True)
class Drawing:
    """One round of pictures, a file a row; what is there already is used again."""

    pipe: TextToImagePipeline
    asked: EvaluationSet
    question: Question
    folder: Path
    references: Sequence[Mapping[str, Path]]

    def draw(self, on_progress: OnProgress, on_step: OnStep | None) -> list[Path]:
        """The file of each row; raises `NotOurPicture`, `OutputError` leaves, `Cancelled`."""
        requests = [self._request(index) for index in range(len(self.asked.rows))]
        names = [Path(row["file_name"]).with_suffix("").as_posix() for row in self.asked.rows]
        files = [self.folder / f"{name.replace('/', '-')}.png" for name in names]
        missing = [
            index for index, file in enumerate(files) if not self._is_there(file, requests[index])
        ]
        pictures = {sha256: path for row in self.references for sha256, path in row.items()}
        with warnings.catch_warnings():
            # Nobody typed these captions; what the model thinks of them is no news.
            warnings.simplefilter("ignore", MmgenWarning)
            stream = self.pipe.stream(
                [requests[index] for index in missing], pictures, on_step=on_step
            )
            for done, (index, made) in enumerate(zip(missing, stream, strict=True), 1):
                made.save(self.folder, name=files[index].stem, overwrite=True)
                on_progress("drawing", len(files) - len(missing) + done, len(files))
        return files

    def _request(self, index: int) -> ImageRequest:
        return ImageRequest(
            prompt=self.asked.rows[index]["caption"],
            num_inference_steps=self.question.num_inference_steps,
            guidance_scale=self.question.guidance_scale,
            seed=self.asked.seed(index),
            model=self.pipe.generator.id,
            references=tuple((sha256, 1.0) for sha256 in self.references[index]),
        )

    def _is_there(self, file: Path, request: ImageRequest) -> bool:
        """Whether `file` is what this model would draw; raises `NotOurPicture`."""
        if not file.exists():
            return False
        record_path = file.with_name(f"{file.name}.json")
        record = read_record(record_path) if record_path.is_file() else None
        if record is None:
            raise NotOurPicture(path=file)
        return (
            record.request == request.to_dict()
            and record.model.get("sha256") == self.pipe.generator.sha256
            and record.file.get("sha256") == sha256_of(file)
        )


def nearest_training_pictures(
    retriever: Retriever,
    asked: EvaluationSet,
    count: int,
    folder: Path,
    on_progress: OnProgress,
) -> list[dict[str, Path]]:
    """For each row, sha256 -> file of the training photographs nearest to its caption."""
    rows = asked.training_rows()
    names = [row["file_name"] for row in rows]
    key = hashlib.sha256("\n".join([retriever.sha256, *names]).encode()).hexdigest()[:16]
    cache = folder / f"training-{key}.npy"
    if cache.is_file():
        vectors = np.load(cache, allow_pickle=False)
    else:
        vectors = _encoded(retriever, [asked.folder / name for name in names], on_progress)
        _keep(vectors, cache)
    texts = retriever.encode_text([row["caption"] for row in asked.rows])
    found = np.argsort(-(texts @ vectors.T), axis=1, kind="stable")
    paths = [asked.folder / name for name in names]
    return [_first_distinct([paths[index] for index in row], count) for row in found]


def _first_distinct(paths: list[Path], count: int) -> dict[str, Path]:
    """sha256 -> file of the first `count` pictures; the same picture twice is one."""
    chosen: dict[str, Path] = {}
    for path in paths:
        if len(chosen) == count:
            break
        chosen.setdefault(sha256_of(path), path)
    return chosen


def _encoded(retriever: Retriever, paths: list[Path], on_progress: OnProgress) -> np.ndarray:
    parts = []
    with PictureReader() as reader:
        for start in range(0, len(paths), 64):
            pictures = [reader.read(path) for path in paths[start : start + 64]]
            parts.append(retriever.encode_image(pictures))
            on_progress("references", min(start + 64, len(paths)), len(paths))
    return np.concatenate(parts)


def _keep(vectors: np.ndarray, cache: Path) -> None:
    part = cache.with_suffix(".part")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, vectors, allow_pickle=False)
        part.rename(cache)
    except OSError as error:
        raise OutputNotWritable(path=cache, reason=error.strerror or error) from error
    finally:
        part.unlink(missing_ok=True)
