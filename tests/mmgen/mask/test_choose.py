"""What is meant by a mask, a box or a part; and what cannot be meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmgen.assets import asset_path
from mmgen.errors import UnknownChoice, WrongType
from mmgen.mask import choose
from mmgen.mask.border import unlike_border
from mmgen.mask.refine import refine

GARMENT = np.zeros((40, 30), np.float32)
GARMENT[8:32, 6:24] = 1


def test_a_box_is_given_from_the_top_left():
    mask = choose.from_box(choose.parse_box(" 3,4, 5,6 "), 40, 30)
    assert mask[4:10, 3:8].min() == 1
    assert mask.sum() == 30


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,x", "-1,0,5,5", "1.5,0,5,5"])
def test_a_box_that_is_none(text):
    with pytest.raises(WrongType, match="x,y,w,h"):
        choose.parse_box(text)


@pytest.mark.parametrize(
    ("box", "error"),
    [
        ((20, 0, 11, 5), choose.BoxOutside),
        ((0, 36, 5, 5), choose.BoxOutside),
        ((0, 0, 0, 5), choose.MaskEmpty),
        ((0, 0, 30, 40), choose.MaskFull),
    ],
)
def test_a_box_that_does_not_fit(box, error):
    with pytest.raises(error):
        choose.from_box(box, 40, 30)


def test_parts_share_out_the_picture():
    parts = {part: choose.from_garment(GARMENT, part) for part in choose.PARTS}
    assert np.array_equal(parts["upper"] + parts["lower"], parts["garment"])
    assert np.array_equal(parts["garment"] + parts["background"], np.ones_like(GARMENT))
    assert np.flatnonzero(parts["upper"].any(1))[-1] < np.flatnonzero(parts["lower"].any(1))[0]


def test_a_part_of_nothing():
    with pytest.raises(choose.MaskEmpty):
        choose.from_garment(np.zeros_like(GARMENT), "upper")
    with pytest.raises(UnknownChoice):
        choose.from_garment(GARMENT, "sleeve")


@pytest.mark.parametrize(
    ("size", "shade", "error"),
    [
        ((30, 41), 128, choose.MaskSize),
        ((40, 30), 128, choose.MaskSize),
        ((30, 40), 0, choose.MaskEmpty),
        ((30, 40), 255, choose.MaskFull),
    ],
)
def test_a_mask_file_that_does_not_fit(size, shade, error):
    with pytest.raises(error):
        choose.from_picture(Image.new("RGB", size, (shade,) * 3), "m.png", 40, 30)


def test_a_feather_lies_inside_and_the_frame_is_no_seam():
    mask = np.zeros((40, 30), np.float32)
    mask[20:] = 1
    soft = choose.feathered(mask, 4)
    assert soft[:20].max() == 0
    assert soft[-1].min() == 1
    assert 0 < soft[20].max() < 1
    assert (np.diff(soft[:, 5]) >= 0).all()


def test_the_edge_of_a_coarse_mask_follows_the_picture():
    picture = np.full((192, 144, 3), 230, np.uint8)
    picture[40:150, 30:110] = (30, 60, 140)
    truth = (picture[..., 2] == 140).astype(np.float32)
    coarse = np.asarray(Image.fromarray(truth).resize((48, 64), Image.Resampling.BOX))
    fine = refine(np.roll(coarse, 1, axis=1), picture)
    assert fine.dtype == np.float32
    blunt = np.roll(coarse, 1, axis=1).repeat(3, 0).repeat(3, 1)
    wrong = [((mask > 0.5) != (truth > 0.5)).mean() for mask in (fine, blunt)]
    assert wrong[0] < 0.75 * wrong[1]


def test_a_garment_is_unlike_the_border():
    lab = np.zeros((40, 30, 3), np.float32)
    lab[GARMENT > 0] = (50, 60, 20)
    unlike = unlike_border(lab)
    assert unlike[GARMENT > 0].min() > 50
    assert unlike[GARMENT == 0].max() < 1


def test_the_outlines_are_of_held_out_photographs():
    outlines = json.loads(Path(__file__).with_name("outlines.json").read_text(encoding="utf-8"))
    rows = asset_path("captions/metadata.jsonl").read_text(encoding="utf-8").splitlines()
    split = {row["source_id"]: row["file_name"].split("/")[0] for row in map(json.loads, rows)}
    assert len(outlines) == 40
    for name, points in outlines.items():
        assert split[name] == "validation"
        assert len(points) >= 12
        assert all(0 <= value <= 1 for point in points for value in point)
