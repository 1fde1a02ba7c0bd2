"""Vectors and names -> figures of quality; plain numpy, no model."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

NUM_OTHERS = 99
NEAR_PERCENTILE = 99.5
_LEAST_PICTURES = 8
"""Below this a covariance says nothing."""


def recalls(scores: Any) -> dict[str, float]:
    """scores (N, N), text by picture, right pair on the diagonal -> recall at 1, 5, 10, both ways.

    Keys: t2i_r1, t2i_r5, ..., i2t_r10. A tie with a wrong one counts as right.
    """
    table = np.asarray(scores, np.float32)
    right = np.diagonal(table)
    ranks = {"t2i": (table > right[:, None]).sum(1), "i2t": (table > right[None]).sum(0)}
    return {
        f"{name}_r{k}": float((rank < k).mean()) for name, rank in ranks.items() for k in (1, 5, 10)
    }


def draw_others(captions: Sequence[str], *, count: int = NUM_OTHERS) -> list[list[int]]:
    """For each caption, `count` indices of other captions, drawn once with seed 0.

    One with the same words as its own is no other; where there are fewer, all are taken.
    """
    source = random.Random(0)
    drawn = []
    for own in captions:
        allowed = [index for index, caption in enumerate(captions) if caption != own]
        drawn.append(sorted(source.sample(allowed, min(count, len(allowed)))))
    return drawn


def digest_of(captions: Sequence[str]) -> str:
    """sha256 of the captions in their order: which list of others belongs to them."""
    return hashlib.sha256("\n".join(captions).encode()).hexdigest()


def r_precision(
    pictures: np.ndarray, texts: np.ndarray, own: Sequence[int], others: Sequence[Sequence[int]]
) -> float:
    """Part of the pictures whose own caption is nearer than all of their others.

    pictures  float32 (N, E), unit vectors
    texts     float32 (M, E), unit vectors of all captions
    own       for each picture the index of its caption
    others    for each caption (M of them) the indices of the others
    """
    hits = [
        vector @ texts[index] >= max((texts[others[index]] @ vector).tolist(), default=-1.0)
        for vector, index in zip(pictures, own, strict=True)
    ]
    return float(np.mean(hits))


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of two sets of vectors (N, E) taken as Gaussians (arXiv 1706.08500)."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    shift = first.mean(0) - second.mean(0)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = _root(one)
    both = np.linalg.eigvalsh(root @ two @ root).clip(min=0)
    return float(shift @ shift + np.trace(one) + np.trace(two) - 2 * np.sqrt(both).sum())


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    root: np.ndarray = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def frechet_beside_split_half(
    drawn: np.ndarray, photographs: np.ndarray
) -> tuple[float, float] | None:
    """(drawn, photographs): the distance of each from photographs that no prompt belongs to.

    Row i of both belongs to one prompt. The rows are halved at random (seed 0): what was
    drawn from one half is held against the photographs of the other, and so are the
    photographs of that half: both distances are of sets of one size. None for too few.
    """
    order = np.random.default_rng(0).permutation(len(photographs))
    one, two = order[: len(order) // 2], order[len(order) // 2 :]
    if len(one) < _LEAST_PICTURES:
        return None
    across = [frechet(drawn[one], photographs[two]), frechet(drawn[two], photographs[one])]
    return float(np.mean(across)), frechet(photographs[one], photographs[two])


def nearest(vectors: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each unit vector (N, E), the cosine of the nearest of `known` (M, E), and which it is."""
    scores = vectors @ known.T
    which = scores.argmax(1)
    return scores[np.arange(len(scores)), which], which


def near_copies(drawn: np.ndarray, photographs: np.ndarray) -> np.ndarray:
    """bool (N,): nearer to a training picture than nearly all unseen photographs are.

    drawn, photographs  cosines to the nearest training picture (`nearest`); the bound is the
                        99.5th percentile of those of the photographs
    """
    is_near: np.ndarray = drawn > np.percentile(photographs, NEAR_PERCENTILE)
    return is_near


def agreement(seen: Sequence[str | None], wanted: Sequence[str | None]) -> float | None:
    """Part of the pictures named as wanted; those with nothing wanted do not count."""
    hits = [one == other for one, other in zip(seen, wanted, strict=True) if other is not None]
    return float(np.mean(hits)) if hits else None
