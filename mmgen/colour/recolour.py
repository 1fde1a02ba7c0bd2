"""A garment moved to another colour, in CIELAB: folds, texture and highlights stay.

Three questions in turn: which pixels have the garment's main colour (`find_main`),
what shade would each have if the cloth were dyed otherwise (`_dyed`), and what
did it come to, measured on the 8-bit picture (`measure`). Pixels that the mask
leaves out, and those of secondary colours (a print, stripes, buttons), keep
their bytes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmgen.colour.lab import difference, into_gamut, lab_of, pixels_of
from mmgen.errors import PictureError

Floats = NDArray[np.float32]

_CLUSTERS = 6
_SAMPLE = 20_000
_LIGHTNESS_WEIGHT = 0.5
"""In clustering: folds move lightness, another dye moves a and b."""
_SAME_CHROMA = 13.0
_SAME_LIGHTNESS = 20.0
_FARTHEST_LIGHTNESS = 42.0
"""Lab distances within which two clusters are one cloth in light and shade."""
_CHROMA_WEIGHT = 0.4
_LEAST_SHARE = 0.04
_SOFTNESS = 3.0
_STRANGE = (18.0, 30.0)
"""Distance from the main clusters at which a pixel begins to be, and is, something else."""
_MOST_UNEQUAL = 2.5
"""How much flatter highlights may become than folds, or the other way round."""
_ROOM = (1.5, 98.5)
"""L that the darkest fold and the brightest highlight may take."""
_LEAST_PIXELS = 64
_CORRECTIONS = 3
_DOUBTFUL, _SURE = 0.2, 0.8
"""Membership below and above which a pixel is wholly other cloth, wholly this one.

Between, a large step of lightness would turn the noise of the membership into texture.
"""
_OUTSIDE, _INSIDE = 0.4, 0.9
"""Mask below and above which a pixel is not dyed at all, and wholly: the seam lies inside."""
_FOLD_SHARE = 0.0125
"""Of the longer side: what changes more slowly is fold and shade, what is finer is texture."""
_LEAST_TEXTURE = 0.35
_RIM_SHARE = 0.05
"""Of the longer side: how far into a mask its outline may be wrong."""
_CLEARLY_GROUND = 4.0
"""How much nearer to the ground's colours a pixel of the rim must be to be left alone."""


class NothingToRecolour(PictureError):
    code = "recolour.nothing"
    template = "the mask covers {got} pixels of {path}; at least {least} are needed to recolour"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Main:
    """The main colour of a garment and the pixels that have it."""

    lab: tuple[float, float, float]
    """Median over its pixels."""
    weight: Floats
    """(H, W) in [0, 1]: how much of each pixel it is; 0 outside the mask."""
    folds: Floats
    """(H, W): L without texture, the mean of the cloth around."""
    lowest: float
    highest: float
    """Of `folds`: the deepest and the brightest (1st and 99th percentile)."""
    texture: float
    """By how much L differs from `folds` (98th percentile)."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Recoloured:
    """A picture in another colour, and what was measured on it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    """Main colour in CIELAB, before and after."""
    delta_e: float
    """CIEDE2000 between what was asked for and `after`."""


def find_main(lab: Floats, mask: Floats, path: object = "-") -> Main:
    """The colour that covers most of a garment, light and shade of it together.

    `lab` (H, W, 3), `mask` (H, W) in [0, 1]. Raises `NothingToRecolour`.
    """
    from scipy.cluster.vq import kmeans2

    solid = mask > 0.5
    count = int(solid.sum())
    if count < _LEAST_PIXELS:
        raise NothingToRecolour(got=count, path=path, least=_LEAST_PIXELS)
    scale = np.array([_LIGHTNESS_WEIGHT, 1, 1], np.float32)
    garment = lab[solid]
    sample = garment[:: max(1, count // _SAMPLE)]
    noise = np.random.default_rng(0)
    # Cloth of one flat colour would leave clusters empty; this much noise fills them.
    points = sample * scale + noise.normal(0, 0.01, sample.shape)
    centres, own = kmeans2(points, _CLUSTERS, minit="++", rng=noise)
    shares = np.bincount(own, minlength=_CLUSTERS) / len(own)
    is_main = _largest_group(centres / scale, shares)
    weight = np.zeros(mask.shape, np.float32)
    sure = ((mask - _OUTSIDE) / (_INSIDE - _OUTSIDE)).clip(0, 1)
    touched = sure > 0
    member = _membership(lab[touched] * scale, centres, is_main)
    member = ((member - _DOUBTFUL) / (_SURE - _DOUBTFUL)).clip(0, 1)
    weight[touched] = sure[touched] * member
    weight *= _not_ground(lab * scale, mask, centres[is_main])
    inner = (weight > 0.5) & solid
    core = lab[inner]
    if len(core) < _LEAST_PIXELS:
        raise NothingToRecolour(got=len(core), path=path, least=_LEAST_PIXELS)
    folds = _folds(lab[..., 0], weight)
    low, high = np.percentile(folds[inner], (1, 99))
    texture = np.percentile(np.abs(core[:, 0] - folds[inner]), 98)
    return Main(
        lab=_median(core),
        weight=weight,
        folds=folds,
        lowest=float(low),
        highest=float(high),
        texture=float(texture),
    )


def _folds(lightness: Floats, weight: Floats) -> Floats:
    """(H, W): the mean of L around, over the cloth alone, so that a print does not bleed in."""
    from scipy.ndimage import gaussian_filter

    reach = max(1.0, _FOLD_SHARE * max(weight.shape))
    around = gaussian_filter(weight, reach)
    mean = gaussian_filter(lightness * weight, reach) / around.clip(1e-6)
    return np.asarray(np.where(around > 1e-3, mean, lightness), np.float32)


def _not_ground(scaled: Floats, mask: Floats, own: NDArray[np.floating]) -> Floats:
    """(H, W), 0 where the rim of a mask has the colours of the ground around, else 1.

    A mask may run over the outline; what lies there and looks like the ground, not
    like the cloth, is left alone. The middle of a mask is believed.
    """
    from scipy.cluster.vq import kmeans2
    from scipy.ndimage import distance_transform_edt

    kept = np.ones(mask.shape, np.float32)
    ground = scaled[mask == 0]
    if len(ground) < _LEAST_PIXELS:
        return kept
    noise = np.random.default_rng(0)
    sample = ground[:: max(1, len(ground) // _SAMPLE)]
    centres, _ = kmeans2(
        sample + noise.normal(0, 0.01, sample.shape), _CLUSTERS, minit="++", rng=noise
    )
    depth = distance_transform_edt(mask > 0.5)
    rim = (mask > 0) & (depth < _RIM_SHARE * max(mask.shape))
    lead = _nearest(scaled[rim], centres) - _nearest(scaled[rim], own) + _CLEARLY_GROUND
    kept[rim] = 1 / (1 + np.exp(-lead.clip(-30, 30) / _SOFTNESS * 2))
    return kept


def recolour(
    pixels: NDArray[np.uint8], main: Main, target: ArrayLike, lab: Floats | None = None
) -> Recoloured:
    """The picture with `main` moved to `target` (CIELAB; outside sRGB: as near as it goes).

    `pixels` uint8 (H, W, 3). The first result is measured and the aim corrected
    by what it missed, as a dyer would; the best of a few is given.
    """
    lab = lab_of(pixels) if lab is None else lab
    wanted = np.asarray(target, float)
    touched = main.weight > 0
    weight = main.weight[touched][:, None]
    solid = weight[:, 0] > 0.5
    old, folds = lab[touched], main.folds[touched]
    some = slice(None, None, max(1, len(old) // _SAMPLE))
    aim = into_gamut(wanted.reshape(1, 3))[0]

    def dye(colour: NDArray[np.floating], part: slice) -> NDArray[np.uint8]:
        cloth = _dyed(old[part], folds[part], main, colour)
        return pixels_of(old[part] + weight[part] * (cloth - old[part]))

    tried = []
    for _ in range(_CORRECTIONS):
        # A sample tells as much as all; whether it was right is measured on all.
        after = _median(lab_of(dye(aim, some))[solid[some]])
        tried.append((float(difference(wanted, after)), aim))
        aim = into_gamut((aim + 0.9 * (wanted - np.array(after))).reshape(1, 3))[0]
    new = dye(min(tried, key=lambda each: each[0])[1], slice(None))
    after = _median(lab_of(new)[solid])
    changed = pixels.copy()
    changed[touched] = new
    missed = float(difference(wanted, after))
    return Recoloured(pixels=changed, before=main.lab, after=after, delta_e=missed)


def measure(pixels: NDArray[np.uint8], mask: Floats) -> tuple[float, float, float]:
    """The main colour of the garment under `mask` (H, W), CIELAB, found afresh."""
    return find_main(lab_of(pixels), mask).lab


def _median(lab: Floats) -> tuple[float, float, float]:
    lightness, a, b = np.median(lab, axis=0).tolist()
    return (lightness, a, b)


def _largest_group(
    centres: NDArray[np.floating], shares: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Which clusters are one cloth: linked by small steps, the group of most pixels."""
    best = np.zeros(len(centres), bool)
    for start in np.argsort(-shares):
        group = np.zeros(len(centres), bool)
        group[start] = True
        for _ in centres:
            for index in np.flatnonzero(~group & (shares > _LEAST_SHARE)):
                steps = np.abs(centres[group][:, 0] - centres[index, 0])
                shift = _shift(centres[group][:, 1:], centres[index, 1:])
                is_near = (shift < _SAME_CHROMA) & (steps < _SAME_LIGHTNESS)
                is_shade = abs(centres[index, 0] - centres[start, 0]) < _FARTHEST_LIGHTNESS
                group[index] = is_near.any() and is_shade
        if shares[group].sum() > shares[best].sum() + 1e-9:
            best = group
    return best


def _shift(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.floating]:
    """How far apart (N, 2) and (2,) of a, b are; chroma counts less, for shade lowers it."""
    chroma = np.hypot(one[:, 0], one[:, 1])
    hue_squared = ((one - other) ** 2).sum(1) - (chroma - np.hypot(*other)) ** 2
    radial = _CHROMA_WEIGHT * (chroma - np.hypot(*other))
    return np.asarray(np.sqrt(hue_squared.clip(0) + radial**2))


def _membership(
    scaled: Floats, centres: NDArray[np.floating], is_main: NDArray[np.bool_]
) -> Floats:
    """(N,) in [0, 1]: 1 where a pixel is nearer to the main clusters than to any other.

    What is far from all of them is no cloth of this colour, whatever the mask says.
    """
    own = _nearest(scaled, centres[is_main])
    near, far = _STRANGE
    soft = 1 - ((own - near) / (far - near)).clip(0, 1).astype(np.float32)
    if not is_main.all():
        lead = _nearest(scaled, centres[~is_main]) - own
        soft /= (1 + np.exp(-lead.clip(-60, 60) / _SOFTNESS * 2)).astype(np.float32)
    soft[soft < 0.02] = 0
    return soft


def _nearest(scaled: Floats, centres: NDArray[np.floating]) -> Floats:
    """(N,): how far each colour is from the nearest of `centres`."""
    return np.asarray(np.min([np.linalg.norm(scaled - c, axis=1) for c in centres], axis=0))


def _dyed(
    lab: Floats, folds: Floats, main: Main, target: NDArray[np.floating]
) -> NDArray[np.floating]:
    """(N, 3) CIELAB of the same cloth in the colour `target`."""
    lightness = _relit(lab[:, 0], folds, main, float(target[0]))
    return np.column_stack([lightness, _rehued(lab[:, 1:], lightness, main, target)])


def _relit(lightness: Floats, folds: Floats, main: Main, target: float) -> Floats:
    """Differences of lightness are kept as they are while there is room for them.

    Between folds that would fall below black (or highlights above white) they
    shrink together. Texture lies on top as it was, since flattened to less than
    a step of 8 bits it would be noise.
    """
    low, high = _ROOM
    room = max(0.0, min(target - low, high - target))
    fine = float(np.clip(room / max(1e-3, main.texture), _LEAST_TEXTURE, 1.0))
    spare = min(fine * main.texture, 0.5 * room)
    low, high = low + spare, high - spare
    below = max(1e-3, main.lab[0] - main.lowest)
    above = max(1e-3, main.highest - main.lab[0])
    down = float(np.clip((target - low) / below, 0.05, 1.0))
    up = float(np.clip((high - target) / above, 0.05, 1.0))
    # Nearly one slope, for a kink at the median shows as a contour.
    down, up = min(down, _MOST_UNEQUAL * up), min(up, _MOST_UNEQUAL * down)
    shade = folds - main.lab[0]
    slope = np.where(shade < 0, down, up)
    return np.asarray(target + shade * slope + fine * (lightness - folds)).clip(0, 100)


def _rehued(
    ab: Floats, lightness: Floats, main: Main, target: NDArray[np.floating]
) -> NDArray[np.floating]:
    """a and b: the target's, less in shade, with what varied in the old cloth on top.

    Along the old hue, variation is saturation and becomes that of the new one;
    across it, it is a play of colours (denim, melange) and stays.
    """
    old = np.array(main.lab[1:])
    old_chroma, new = float(np.hypot(*old)), target[1:]
    # A shaded fold keeps its hue and loses chroma in step with its light.
    light = lightness / max(float(target[0]), 1.0)
    shade = np.where(light < 1, light**0.7, 1.0)
    residual = ab - old
    if old_chroma > 1e-6:
        along = old / old_chroma
        saturation = np.clip(ab @ along / old_chroma, 0.3, 1.5)
        across = residual - np.outer(residual @ along, along)
        trust = old_chroma**2 / (old_chroma**2 + 15.0**2)
    else:
        saturation, across, trust = np.ones(len(ab)), residual, 0.0
    factor = (1 - trust) * shade + trust * saturation
    kept = (1 - trust) * 0.5 * residual + trust * 0.7 * across
    return np.asarray(new * factor[:, None] + kept)
