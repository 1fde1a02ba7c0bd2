"""What can be measured of a picture against what was asked for."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mmgen.pixels.cutout import border_share
from mmgen.text.garment_words import find_attributes
from mmgen.text.vocabulary import colour_family
from mmgen.values import Retriever

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipelines.made_picture import MadePicture

_STEPS = 127
"""A vector of length 1 is kept as int8: close enough for similarities."""


class Tagger(Protocol):
    """What sees attributes in pictures; `pipelines/tag.py` has the one that ships."""

    def look(self, images: Sequence[Image]) -> tuple[np.ndarray, Sequence[Any]]:
        """Vectors as `Retriever.encode_image` gives them, and tags with `sure`."""
        ...


class Quality:
    """Text-picture score and tags of each picture, and its vector for comparing pictures."""

    def __init__(self, retriever: Retriever, tagger: Tagger | None = None) -> None:
        self._retriever, self._tagger = retriever, tagger
        self._texts: dict[str, np.ndarray] = {}

    @property
    def sees(self) -> bool:
        """Whether `seen` and `checks.mismatch` are told."""
        return self._tagger is not None

    def measure(self, made: MadePicture) -> tuple[MadePicture, str]:
        """The picture with `scores.text_image` (-1 to 1), and its vector as text.

        `checks.background` says how white the rim is, as shops ask. With a tagger also
        `seen`, and `checks.mismatch`: the attributes that it shows otherwise than the
        prompt names them.
        """
        prompt = made.request.prompt
        if prompt not in self._texts:
            self._texts.clear()  # rows come one after another: the last prompt is enough
            self._texts[prompt] = self._retriever.encode_text([prompt])[0]
        made = dataclasses.replace(made, checks={**_background(made), **(made.checks or {})})
        if self._tagger:
            vectors, tags = self._tagger.look([made.image])
            sure = {name: list(values) for name, values in tags[0].sure.items()}
            checks = {**(made.checks or {}), "mismatch": mismatch(prompt, sure)}
            made = dataclasses.replace(made, seen=sure, checks=checks)
        else:
            vectors = self._retriever.encode_image([made.image])
        score = round(float(self._texts[prompt] @ vectors[0]), 4)
        scores = {**(made.scores or {}), "text_image": score}
        return dataclasses.replace(made, scores=scores), pack_vector(vectors[0])


def _background(made: MadePicture) -> dict[str, Any]:
    """How much of the rim is white; a picture put on another ground has said so already."""
    share = border_share(made.pixels, (255, 255, 255))
    said = {"colour": "#FFFFFF", "border_share": round(share, 6), "pure": share == 1.0}
    return {"background": said}


def mismatch(prompt: str, seen: Mapping[str, Sequence[str]]) -> list[str]:
    """The attributes of which something else is seen than `prompt` asks for.

    What is not asked for or not seen surely is no mismatch; colours are compared by
    family (藏青 and 蓝), since shades are told apart by nobody.
    """
    asked = find_attributes(prompt)
    differs = []
    for name in ("category", "sleeve"):
        if asked.get(name) and seen.get(name) and seen[name][0] not in asked[name]:
            differs.append(name)
    wanted = {colour_family(colour) for colour in asked.get("colors", ())}
    shown = {colour_family(colour) for colour in seen.get("colors", ())}
    shown |= set(seen.get("colour_family", ()))
    if wanted and shown and not wanted & shown:
        differs.append("colors")
    return differs


def is_mismatch(made: MadePicture) -> bool:
    """Whether `measure` saw something else than was asked for."""
    return bool((made.checks or {}).get("mismatch"))


def score_of(made: MadePicture) -> float:
    """The text-picture score that `measure` gave; lowest where there is none."""
    return float((made.scores or {}).get("text_image", -1.0))


def pack_vector(vector: np.ndarray) -> str:
    """A float vector of length 1 as base64 of int8."""
    return base64.b64encode(np.round(vector * _STEPS).astype(np.int8).tobytes()).decode()


def unpack_vector(text: str) -> np.ndarray:
    """float32 (E,) of length 1, as near as int8 allows."""
    vector = np.frombuffer(base64.b64decode(text), np.int8).astype(np.float32)
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SharedLook:
    """Whether pictures of one product look more alike than pictures of different ones."""

    within: float
    """Mean cosine of two pictures of one product, -1 to 1."""
    across: float
    """Mean cosine of two pictures of different products."""
    products: int
    """With two pictures or more."""


def shared_look(vectors: Iterable[tuple[str, str]]) -> SharedLook | None:
    """From (product, packed vector) pairs; None without a product of two pictures.

    Exact over all pairs, from sums alone: one vector a product is kept.
    """
    sums: dict[str, tuple[np.ndarray, int]] = {}
    for product, packed in vectors:
        vector = unpack_vector(packed)
        total, count = sums.get(product, (np.zeros_like(vector), 0))
        sums[product] = total + vector, count + 1
    pairs_within = sum(n * (n - 1) / 2 for _, n in sums.values())
    count = sum(n for _, n in sums.values())
    pairs_across = count * (count - 1) / 2 - pairs_within
    if not pairs_within or not pairs_across:
        return None
    # |a + b + c|^2 = 3 + 2 (ab + ac + bc) for vectors of length 1
    within = sum((float(total @ total) - n) / 2 for total, n in sums.values())
    everything = np.sum([total for total, _ in sums.values()], axis=0)
    across = (float(everything @ everything) - count) / 2 - within
    return SharedLook(
        within=within / pairs_within,
        across=across / pairs_across,
        products=sum(n > 1 for _, n in sums.values()),
    )


def quality_columns(details: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of manifest and report that an item's details give; None where absent."""
    scores, checks = details.get("scores") or {}, details.get("checks") or {}
    differs = checks.get("mismatch")
    return {
        "text_image": scores.get("text_image"),
        "candidates": scores.get("candidates"),
        "background": (checks.get("background") or {}).get("border_share"),
        "seen": details.get("seen"),
        "mismatch": None if differs is None else ", ".join(differs),
    }
