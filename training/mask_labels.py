"""Photographs + the colours their rows name -> rough garment masks, by GrabCut.

Nobody has drawn masks for the training photographs. What is known is where a
garment usually lies (the middle), what colours it has (seen by eye, main one
first) and that the border of the frame is mostly ground. GrabCut (Rother et al.
2004, https://doi.org/10.1145/1015706.1015720) turns these into a mask; what
does not look like a garment is dropped. A network that learns from thousands of
such masks averages their faults away; one round on its own answers cleans them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from skimage.color import rgb2lab

from mmgen.mask.border import border, unlike_border

HEIGHT, WIDTH = 128, 96
"""Pixels that labels are made at."""
_ITERATIONS = 4
_AREA = (0.06, 0.9)
"""Smallest and largest part of the photograph that a believable mask covers."""
_COLOUR_SPREAD = 14.0
"""Lab distance over which a pixel stops looking like a named colour."""
_LIGHTNESS_WEIGHT = 0.5
"""Folds move lightness more than hue."""


def make_labels(
    rows: Sequence[Mapping[str, Any]],
    pixels: np.ndarray,
    boxes: np.ndarray,
    lab_of: Mapping[str, Sequence[float]],
    cache: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Masks uint8 (N, 128, 96) of 0 and 1, and bool (N,): which of them to believe.

    `pixels` uint8 (N, 128, 96, 3), `boxes` (N, 4) as `training.dataset.pack` gives
    them; `lab_of`: colour name -> CIE Lab. Computed once and kept in `cache`.
    """
    named = "\n".join(str(row["file_name"]) for row in rows).encode()
    key = hashlib.sha256(named + pixels[:: max(1, len(pixels) // 64)].tobytes()).hexdigest()[:16]
    path = cache / f"{key}.masks.npz"
    if path.exists():
        with np.load(path) as kept:
            return kept["masks"], kept["believed"]
    masks = np.zeros(pixels.shape[:3], np.uint8)
    believed = np.zeros(len(pixels), bool)
    for index, row in enumerate(rows):
        colours = [lab_of[name] for name in row["colors"] if name in lab_of]
        masks[index], believed[index] = label_one(pixels[index], boxes[index], colours)
        if on_progress:
            on_progress(index + 1, len(rows))
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, masks=masks, believed=believed)
    part.rename(path)
    return masks, believed


def label_one(
    picture: np.ndarray, box: np.ndarray, colours: Sequence[Sequence[float]]
) -> tuple[np.ndarray, bool]:
    """uint8 (h, w, 3) -> mask uint8 (h, w) of 0 and 1, and whether it is believable."""
    lab = rgb2lab(picture)
    inside = _inside(box, *picture.shape[:2])
    evidence = _place(inside) + _colour(lab, colours) + _unlike_border(lab, inside)
    mask = refine(picture, evidence, inside)
    return mask, is_believable(mask, lab, inside)


def refine(picture: np.ndarray, evidence: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """GrabCut from log-odds of "garment" for each pixel -> mask uint8 of 0 and 1."""
    import cv2

    start = np.where(evidence > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    start[evidence > 3] = cv2.GC_FGD
    start[(evidence < -3.5) | ~inside] = cv2.GC_BGD
    if not ((start & 1).any() and (~start & 1).any()):
        return (evidence > 0).astype(np.uint8)
    scratch = np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(
        np.ascontiguousarray(picture[..., ::-1]),
        start,
        None,
        scratch[0],
        scratch[1],
        _ITERATIONS,
        cv2.GC_INIT_WITH_MASK,
    )
    return _cleaned((start & 1).astype(np.uint8))


def is_believable(mask: np.ndarray, lab: np.ndarray, inside: np.ndarray) -> bool:
    """Whether size, place and contrast of a mask are those of a garment."""
    share = mask[inside].mean()
    if not _AREA[0] < share < _AREA[1]:
        return False
    middle = mask[_middle(inside)].mean()
    contrast = np.linalg.norm(
        np.median(lab[mask > 0], axis=0) - np.median(lab[(mask == 0) & inside], axis=0)
    )
    return bool(middle > 0.5 and mask[border(inside.shape, inside)].mean() < 0.45 and contrast > 8)


def _inside(box: np.ndarray, height: int, width: int) -> np.ndarray:
    """bool (h, w): the part of the frame that is photograph."""
    top, left, bottom, right = np.round(box * [height, width, height, width]).astype(int)
    inside = np.zeros((height, width), bool)
    inside[top:bottom, left:right] = True
    return inside


def _place(inside: np.ndarray) -> np.ndarray:
    """Log-odds by place alone: +1.5 in the middle, falling to -2 at the border."""
    y, x = np.nonzero(inside)
    rows, columns = np.mgrid[: inside.shape[0], : inside.shape[1]]
    v = (rows - y.mean()) / max(1.0, np.ptp(y) / 2)
    u = (columns - x.mean()) / max(1.0, np.ptp(x) / 2)
    distance: np.ndarray = np.maximum(np.hypot(u, v), np.maximum(abs(u), abs(v)))
    return 1.5 - 3.5 * np.clip(distance, 0, 1.2) ** 2


def _colour(lab: np.ndarray, colours: Sequence[Sequence[float]]) -> np.ndarray:
    """Log-odds by nearness to the named colours, the main one counting fully."""
    if not colours:
        return np.zeros(lab.shape[:2])
    weights = np.array([_LIGHTNESS_WEIGHT, 1, 1])
    score = np.full(lab.shape[:2], -np.inf)
    for rank, colour in enumerate(colours[:3]):
        distance = np.linalg.norm((lab - np.array(colour)) * weights, axis=-1)
        score = np.maximum(score, 2.0 - distance / _COLOUR_SPREAD - 0.4 * rank)
    return np.clip(score, -1.5, 2.0)


def _unlike_border(lab: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Log-odds by distance from the colours of the border."""
    return np.clip(unlike_border(lab, inside) / 9 - 1.0, -1.2, 2.0)


def _middle(inside: np.ndarray) -> np.ndarray:
    """bool (h, w): the central third of the photograph."""
    y, x = np.nonzero(inside)
    third_y, third_x = np.ptp(y) // 3, np.ptp(x) // 3
    middle = np.zeros_like(inside)
    middle[y.min() + third_y : y.max() - third_y, x.min() + third_x : x.max() - third_x] = True
    return middle


def _cleaned(mask: np.ndarray) -> np.ndarray:
    """The largest pieces without specks and holes."""
    from scipy import ndimage

    opened = ndimage.binary_opening(mask, iterations=1)
    pieces, count = ndimage.label(opened)
    if not count:
        return mask
    sizes = ndimage.sum_labels(opened, pieces, range(1, count + 1))
    kept = np.isin(pieces, 1 + np.flatnonzero(sizes > 0.25 * sizes.max()))
    closed = ndimage.binary_closing(np.pad(kept, 2, mode="edge"), iterations=2)[2:-2, 2:-2]
    filled = ndimage.binary_fill_holes(closed | kept)
    return filled.astype(np.uint8)
