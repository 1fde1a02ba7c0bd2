"""The collision check: copies are found, strangers are not, lost files are no obstacle."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmgen.errors import PictureMissing
from mmgen.files.read_picture import read_picture
from pipelines.catalogue import Catalogue
from pipelines.retrievers import load_retriever
from pipelines.similar import find_similar

NEVER = 2.0


def garment(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (120, 160), tuple(rng.integers(150, 255, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(14):
        x, y, w, h = (*rng.integers(10, 90, 1), *rng.integers(10, 120, 1), *rng.integers(8, 50, 2))
        draw.rectangle((x, y, x + w, y + h), fill=tuple(rng.integers(0, 255, 3).tolist()))
    return picture


@pytest.fixture(scope="module")
def retriever(tiny_model):
    return load_retriever(str(tiny_model))


@pytest.fixture
def catalogue(retriever, tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    for seed in range(6):
        garment(seed).save(folder / f"{seed}.png")
    made = Catalogue.create("shop", retriever=retriever)
    assert made.add(folder).added == 6
    return made, folder


def check(catalogue, picture, **options):
    options = {"near": NEVER, "read": read_picture, **options}
    return find_similar(catalogue, catalogue.retriever, picture, **options)


def copy_of(picture):
    data = io.BytesIO()
    changed = picture.crop((8, 6, 112, 150)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed.save(data, "JPEG", quality=50)
    return Image.open(data).convert("RGB")


def test_a_mirrored_cropped_recompressed_copy_is_found_first(catalogue):
    made, _ = catalogue
    report = check(made, copy_of(garment(3)))
    assert report.is_collision
    assert report.items[0].item.path.endswith("3.png")
    assert report.items[0].is_same
    assert not any(one.is_same for one in report.items[1:])


def test_a_stranger_is_no_collision(catalogue):
    report = check(catalogue[0], garment(77), n=4)
    assert len(report.items) == 4
    assert not report.is_collision
    likeness = [one.likeness for one in report.items]
    assert likeness == sorted(likeness, reverse=True)


def test_likeness_alone_decides_where_the_file_is_gone(catalogue):
    made, folder = catalogue
    (folder / "3.png").unlink()
    lost = next(
        one for one in check(made, garment(3)).items if (one.item.path or "").endswith("3.png")
    )
    assert (lost.alignment, lost.is_same, lost.is_near) == (None, False, False)
    near = check(made, garment(3), near=0.999)
    assert near.is_collision


def test_a_mirror_image_is_as_like_as_the_picture(catalogue):
    made, _ = catalogue
    straight = check(made, garment(2)).items
    mirror = check(made, garment(2).transpose(Image.Transpose.FLIP_LEFT_RIGHT)).items
    assert [one.likeness for one in straight] == pytest.approx(
        [one.likeness for one in mirror], abs=1e-4
    )


def test_reading_may_fail_only_as_pictures_fail(catalogue):
    def refuse(path):
        raise PictureMissing(path=path)

    report = check(catalogue[0], garment(1), read=refuse)
    assert all(one.alignment is None for one in report.items)
    assert report.items[0].to_dict()["alignment"] is None
