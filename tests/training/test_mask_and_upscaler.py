"""The garment mask and the upscaler train end to end on made-up garments, and resume."""

from __future__ import annotations

import numpy as np
import pytest

from mmgen.text.vocabulary import load_vocabulary
from pipelines.garment_mask import GarmentMask
from pipelines.upscale import Upscaler
from training import recipes, run
from training.dataset import pack, read_rows
from training.mask_labels import label_one


def test_a_rough_mask_covers_the_garment(garments, tmp_path):
    pytest.importorskip("cv2")
    rows = read_rows(garments, "train")
    pixels, boxes = pack(garments, rows, tmp_path, height=128, width=96)
    lab = load_vocabulary().lab_of
    # The made-up landscape pictures cut their garment off at the border.
    whole = [index for index, box in enumerate(boxes) if box.tolist() == [0, 0, 1, 1]]
    assert len(whole) > 6
    for row, picture, box in ((rows[i], pixels[i], boxes[i]) for i in whole):
        mask, _ = label_one(picture, box, [lab[name] for name in row["colors"]])
        truth = np.abs(picture.astype(int) - picture[2, 2]).max(-1) > 60
        assert (mask > 0)[truth].mean() > 0.9
        assert (mask > 0)[~truth].mean() < 0.1


def test_the_mask_learns_and_its_export_loads(garments, tmp_path):
    pytest.importorskip("cv2")
    figures = []
    done = run.train_mask(
        recipes.MASK["tiny"](), garments, tmp_path / "run", on_log=lambda _, f: figures.append(f)
    )
    assert done == 4
    assert 0 <= figures[-1]["iou_rough"] <= 1
    found = GarmentMask.from_pretrained(tmp_path / "run/export/mask")(
        np.full((70, 50, 3), 120, np.uint8)
    )
    assert found.shape == (70, 50)
    assert found.min() >= 0
    assert found.max() <= 1


def test_the_upscaler_learns_and_its_export_loads(garments, tmp_path):
    figures = []
    done = run.train_upscaler(
        recipes.UPSCALER["tiny"](),
        garments,
        tmp_path / "run",
        on_log=lambda _, f: figures.append(f),
    )
    assert done == 4
    assert np.isfinite(figures[-1]["psnr_over_lanczos"])
    net = Upscaler.from_pretrained(tmp_path / "run/export/upscaler")
    assert net.enlarge(np.zeros((20, 30, 3), np.uint8), 4).shape == (80, 120, 3)
