"""How well garments are found, recoloured and enlarged, on held-out photographs.

    python tests/benchmarks/edit.py DATA [--only mask recolour colourways upscale] [--sheets DIR]

DATA is the training folder. The 40 garments outlined by hand in
`tests/mmgen/mask/outlines.json` are the truth; recolouring is measured inside and
outside of those outlines, not of the mask that was used.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from mmgen.colour.lab import difference, lab_of
from mmgen.colour.names import parse_colour
from mmgen.colour.recolour import find_main, recolour
from training.dataset import read_rows

OUTLINES = Path(__file__).resolve().parent.parent / "mmgen/mask/outlines.json"
BRIGHT = ("白", "黄", "粉", "天蓝", "薄荷绿")
DARK = ("黑", "藏青", "酒红", "墨绿", "深棕")
OTHER = ("红", "宝蓝", "军绿", "紫", "驼", "米白", "深灰")
COLOURWAY_ROUNDS = 4
SEAM_PX = 3
"""Left out on both sides of an outline, which is drawn to about that."""


def outlined(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray, dict[str, Any]]]:
    """source id, uint8 (H, W, 3), outline bool (H, W), row."""
    outlines = json.loads(OUTLINES.read_text(encoding="utf-8"))
    for row in read_rows(data, "validation"):
        if points := outlines.get(row["source_id"]):
            picture = Image.open(data / row["file_name"]).convert("RGB")
            mask = Image.new("1", picture.size)
            corners = [(x * picture.width, y * picture.height) for x, y in points]
            ImageDraw.Draw(mask).polygon(corners, fill=1)
            yield row["source_id"], np.asarray(picture), np.asarray(mask), row


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def measure_masks(data: Path, sheets: Path | None) -> None:
    from mmgen.text.vocabulary import load_vocabulary
    from pipelines.garment_mask import GarmentMask
    from training import mask_labels

    finder = GarmentMask.from_pretrained()
    ours, cuts, plain, tiles = [], [], [], []
    for name, pixels, truth, row in outlined(data):
        found = finder(pixels) > 0.5
        small = Image.fromarray(pixels).resize((96, round(96 * pixels.shape[0] / pixels.shape[1])))
        whole = np.array([0.0, 0.0, 1.0, 1.0])
        lab = load_vocabulary().lab_of
        for colours, scores in (
            ([lab[each] for each in row["colors"] if each in lab], cuts),
            ([], plain),
        ):
            cut, _ = mask_labels.label_one(np.asarray(small), whole, colours)
            large = Image.fromarray(cut).resize(pixels.shape[1::-1], Image.Resampling.NEAREST)
            scores.append(iou(np.asarray(large) > 0, truth))
        ours.append(iou(found, truth))
        tiles.append((ours[-1], name, pixels, found))
    print(f"mask IoU, {len(ours)} outlined photographs: mean {np.mean(ours):.3f}")
    print(f"  median {np.median(ours):.3f}, lowest {min(ours):.3f}, under 0.75: ", end="")
    print(sum(value < 0.75 for value in ours))
    print(f"  GrabCut told the colours {np.mean(cuts):.3f}, told nothing {np.mean(plain):.3f}")
    tiles.sort(key=lambda tile: tile[0])
    print("  worst ten:", ", ".join(f"{name[:8]} {value:.2f}" for value, name, *_ in tiles[:10]))
    if sheets:
        save_masks(sheets / "masks-worst.png", tiles[:10])
        save_masks(sheets / "masks-best.png", tiles[10:])


def save_masks(path: Path, tiles: list[Any]) -> None:
    from mmgen.files.sheet import Tile, contact_sheet

    shown = []
    for value, name, pixels, found in tiles:
        ground = np.where(found[..., None], pixels, (0.2 * pixels + [180, 0, 140]).astype(np.uint8))
        both = np.concatenate([pixels, ground.astype(np.uint8)], axis=1)
        shown.append(Tile(picture=Image.fromarray(both), note=f"{name[:8]}  {value:.2f}"))
    contact_sheet(shown).save(path)


def pairs(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray, str, str]]:
    """kind, pixels, outline, name, target: 100 in all."""
    kinds: dict[str, list[Any]] = {"black": [], "white": [], "other": []}
    for name, pixels, truth, _ in outlined(data):
        lightness = find_main(lab_of(pixels), truth.astype(np.float32)).lab[0]
        kind = "black" if lightness < 35 else "white" if lightness > 65 else "other"
        kinds[kind].append((name, pixels, truth))
    for kind, targets, count in (("black", BRIGHT, 30), ("white", DARK, 30), ("other", OTHER, 40)):
        several = kinds[kind]
        for index in range(count):
            name, pixels, truth = several[index % len(several)]
            yield kind, pixels, truth, name, targets[(index // len(several) + index) % len(targets)]


def measure_recolouring(data: Path, sheets: Path | None) -> None:
    from mmgen.files.sheet import Tile, contact_sheet
    from pipelines.garment_mask import GarmentMask

    finder = GarmentMask.from_pretrained()
    figures: dict[str, list[tuple[float, ...]]] = {}
    tiles = []
    for kind, pixels, truth, name, target in pairs(data):
        colour = parse_colour(target)
        lab = lab_of(pixels)
        main = find_main(lab, finder(pixels))
        made = recolour(pixels, main, colour.lab, lab)
        after = lab_of(made.pixels)
        inner = binary_erosion(truth, iterations=SEAM_PX)
        outer = ~binary_dilation(truth, iterations=SEAM_PX)
        region = inner & (main.weight > 0.5)
        reached = difference(colour.lab, np.median(after[region], axis=0))
        ground = difference(lab[outer], after[outer]).mean()
        detail = detail_kept(lab, after, inner & (main.weight > 0.95))
        figures.setdefault(kind, []).append((reached, ground, detail))
        tiles.append(Tile(picture=Image.fromarray(np.concatenate([pixels, made.pixels], axis=1)),
                          caption=target, note=f"{name[:6]} ΔE {reached:.1f}"))  # fmt: skip
    for kind, rows in [
        *figures.items(),
        ("all", [row for several in figures.values() for row in several]),
    ]:
        errors, grounds, details = np.array(rows).T
        print(
            f"recolour {kind}, {len(rows)} pairs: ΔE2000 median {np.median(errors):.2f},"
            f" 95th {np.percentile(errors, 95):.2f}; ground changed {grounds.mean():.2f}"
            f" (95th {np.percentile(grounds, 95):.2f}, over 1: {(grounds > 1).sum()});"
            f" detail correlation median {np.median(details):.3f}, lowest {details.min():.3f},"
            f" under 0.95: {(details < 0.95).sum()}"
        )
    if sheets:
        contact_sheet(tiles, columns=10).save(sheets / "recolour.png")


def detail_kept(before: np.ndarray, after: np.ndarray, region: np.ndarray) -> float:
    """Correlation of L less its mean around, before and after, over pixels of `region`.

    The mean is taken over `region` too: beside a print that keeps its colour, the
    step from cloth to print is no detail of the cloth.
    """
    kept = region.astype(np.float32)
    around = gaussian_filter(kept, 4).clip(1e-6)
    high = [
        lab[..., 0] - gaussian_filter(lab[..., 0] * kept, 4) / around for lab in (before, after)
    ]
    return float(np.corrcoef(high[0][region], high[1][region])[0, 1])


def measure_colourways(data: Path, sheets: Path | None) -> None:
    """One design in eight colours against drawing one picture, both loaded, in one run."""
    from pipelines.recolour import RecolourPipeline
    from pipelines.text_to_image import TextToImagePipeline

    draw, dye = (
        TextToImagePipeline.from_pretrained(device="cpu"),
        RecolourPipeline.from_pretrained(),
    )
    colours = [parse_colour(each) for each in (*BRIGHT, *DARK)][:8]
    drawing, dyeing = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(COLOURWAY_ROUNDS):
            began = time.perf_counter()
            made = draw("藏青色羊毛大衣", seed=seed).pictures[0]
            between = time.perf_counter()
            parent = made.save(folder, name=str(seed)).path
            for way in dye.colourways(parent, colours):
                way.picture.save(folder, name=f"{seed}-{way.colour.name}")
            drawing.append(between - began)
            dyeing.append(time.perf_counter() - between)
    # The first round warms both up.
    one, eight = np.median(drawing[1:]), np.median(dyeing[1:])
    print(f"colourways: one picture {one:.2f} s, eight colours of it saved {eight:.2f} s,", end=" ")
    print(f"together {(one + eight) / one:.2f} times one picture")


def edge_energy(pixels: np.ndarray) -> float:
    """Mean squared gradient of L: how much there is of sharp edges."""
    down, right = np.gradient(lab_of(pixels)[..., 0])
    return float((down**2 + right**2).mean())


def measure_upscaling(data: Path, sheets: Path | None) -> None:
    from pipelines.upscale import Upscaler
    from training.upscaler import lanczos, psnr, shrunk

    net = Upscaler.from_pretrained()
    gains: dict[int, list[tuple[float, float]]] = {2: [], 4: []}
    edges: dict[int, list[tuple[float, float]]] = {2: [], 4: []}
    for row in read_rows(data, "validation")[:100]:
        picture = np.asarray(Image.open(data / row["file_name"]).convert("RGB"))
        picture = picture[: picture.shape[0] // 4 * 4, : picture.shape[1] // 4 * 4]
        small = picture
        for by in (2, 4):
            small = shrunk(small)
            made = net.enlarge(small, by)
            plain = lanczos(small, by)
            gains[by].append((psnr(made, picture), psnr(plain, picture)))
            true = edge_energy(picture)
            edges[by].append((edge_energy(made) / true, edge_energy(plain) / true))
        if sheets and len(gains[2]) <= 6:
            both = np.concatenate([lanczos(small, 4), made, picture], axis=1)
            Image.fromarray(both).save(sheets / f"upscale-{len(gains[2])}.png")
    for by, rows in gains.items():
        ours, theirs = np.array(rows).mean(0)
        print(f"upscale x{by}: {ours:.2f} dB, Lanczos {theirs:.2f} dB, {ours - theirs:+.2f} dB")
        sharp, soft = np.median(edges[by], axis=0)
        print(f"  edge energy of the original kept: {sharp:.0%}, Lanczos {soft:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="*", default=("mask", "recolour", "colourways", "upscale"))
    parser.add_argument("--sheets", type=Path)
    options = parser.parse_args()
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
    measures = {
        "mask": measure_masks,
        "recolour": measure_recolouring,
        "colourways": measure_colourways,
        "upscale": measure_upscaling,
    }
    for name in options.only:
        measures[name](options.data, options.sheets)


if __name__ == "__main__":
    main()
