"""Saving: one label in every file, the pair, names that are taken, bytes that repeat."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from mmgen import errors
from mmgen.files import container, read, seal
from mmgen.files.label import FIELDS, Label
from mmgen.files.read import State, read_label, verify
from mmgen.files.write import SavedPicture, save_sheet
from mmgen.values import ImageRecord, ImageRequest

FORMATS = ("png", "jpeg", "webp")
ALLOWED = {chr(c) for c in (0x21, *range(0x23, 0x5C), *range(0x5D, 0x7F))}
Save = Callable[..., SavedPicture]
Labels = Callable[[Path], list[dict[str, str]]]


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_300_files_hold_one_label_each_says_a_parser_that_is_not_the_writer(
    save: Save, independent_labels: Labels
) -> None:
    for number in range(300):
        kind = FORMATS[number % 3]
        saved = save(number, name=f"p{number}", format=kind, visible=number % 7 == 0)
        (label,) = independent_labels(saved.path)
        assert list(label) == list(FIELDS)
        assert all(set(value) <= ALLOWED for value in label.values())
        assert label["Label"] == "1"
        assert label["ContentProducer"] == label["ContentPropagator"] == "mmgen-local"
        assert label["ProduceID"] == label["PropagateID"]
        assert len(label["ReservedCode1"]) == len("sha256:") + 64
        assert saved.label is not None
        assert label == saved.label.to_dict()


@pytest.mark.parametrize("kind", FORMATS)
def test_pillow_finds_the_label_and_srgb(save: Save, kind: str) -> None:
    saved = save(format=kind)
    with Image.open(saved.path) as picture:
        assert picture.format == kind.upper()
        if kind == "png":
            assert picture.info["srgb"] == 0
            text = picture.info["XML:com.adobe.xmp"].encode()
        else:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
            assert "sRGB" in ImageCms.getProfileDescription(profile)
            text = picture.info["xmp"]
        assert not picture.getexif()
    assert saved.label is not None
    assert saved.label.produce_id.encode() in text


def test_png_gives_back_the_pixels(save: Save, pixels: np.ndarray) -> None:
    with Image.open(save(pixels=pixels).path) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_lossy_files_stay_close(save: Save, kind: str) -> None:
    pixels = np.zeros((64, 80, 3), np.uint8)
    pixels[..., 0] = np.arange(80) * 3
    pixels[..., 1] = np.arange(64)[:, None] * 3
    with Image.open(save(pixels=pixels, format=kind).path) as picture:
        error = np.asarray(picture.convert("RGB")).astype(float) - pixels
    assert np.sqrt((error**2).mean()) < 4.0


@pytest.mark.parametrize("kind", FORMATS)
def test_same_pixels_and_request_give_the_same_bytes(
    save: Save, tmp_path: Path, pixels: np.ndarray, kind: str
) -> None:
    save(pixels=pixels, format=kind, folder=tmp_path / "one")
    save(pixels=Image.fromarray(pixels), format=kind, folder=tmp_path / "two")
    assert listing(tmp_path / "one") == listing(tmp_path / "two")


def test_the_record_says_what_was_made_with_the_chinese_prompt(
    save: Save, pixels: np.ndarray
) -> None:
    request = ImageRequest(prompt="繁體與简体，emoji 👗", seed=2**63 - 1)
    scores = {"text_image": 0.3, "rank": 1, "candidates": 4}
    saved = save(pixels=pixels, request=request, scores=scores, name="连衣裙")
    assert saved.record_path == saved.path.with_name("连衣裙.png.json")
    text = saved.record_path.read_text(encoding="utf-8")
    assert "繁體與简体，emoji 👗" in text
    record = ImageRecord.from_json(text)
    assert record.file == {
        "name": "连衣裙.png",
        "sha256": hashlib.sha256(saved.path.read_bytes()).hexdigest(),
        "format": "png",
        "width": 80,
        "height": 64,
    }
    assert ImageRequest.from_dict(record.request) == request
    assert record.pixels_sha256 == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert record.scores == scores
    assert saved.label is not None
    assert record.label == saved.label.to_dict()
    assert record.visible_label is False
    assert verify(saved.path).has_record


def test_the_same_picture_again_is_kept(save: Save, tmp_path: Path) -> None:
    first = save()
    before = listing(tmp_path / "out")
    second = save()
    assert (first.kept, second.kept) == (False, True)
    assert (second.path, second.sha256, second.label) == (first.path, first.sha256, first.label)
    assert listing(tmp_path / "out") == before


def test_another_picture_gets_another_name(save: Save, tmp_path: Path) -> None:
    names = [save(seed).path.name for seed in (0, 1, 2)]
    assert names == ["picture.png", "picture-2.png", "picture-3.png"]
    assert [save(seed).kept for seed in (2, 1, 0)] == [True, True, True]
    record = read.read_record(tmp_path / "out" / "picture-2.png.json")
    assert record is not None
    assert record.file["name"] == "picture-2.png"


def test_the_marked_picture_is_not_the_unmarked_one(save: Save) -> None:
    plain, marked = save(), save(visible=True)
    assert marked.path.name == "picture-2.png"
    assert plain.label is not None
    assert marked.label is not None
    assert plain.label.produce_id == marked.label.produce_id
    assert save(visible=True).kept
    assert save().path == plain.path


def test_a_damaged_file_or_record_is_not_taken_for_the_picture(save: Save) -> None:
    first = save()
    data = first.path.read_bytes()
    first.path.write_bytes(data[:-20])
    assert save().path.name == "picture-2.png"
    first.path.write_bytes(data)
    assert save().path.name == "picture.png"
    assert first.record_path is not None
    first.record_path.write_text("{}")
    assert save().path.name == "picture-2.png"


def test_a_file_of_someone_else_is_never_touched(save: Save, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "picture.png").write_bytes(b"mine")
    (folder / "picture-2.png.json").write_bytes(b"mine too")
    (folder / "picture-3.png").mkdir()
    (folder / "picture-4.png").symlink_to("nowhere")
    assert save().path.name == "picture-5.png"
    assert (folder / "picture.png").read_bytes() == b"mine"
    assert (folder / "picture-2.png.json").read_bytes() == b"mine too"
    assert not (folder / "picture-2.png").exists()


def test_a_missing_record_is_completed(save: Save, tmp_path: Path) -> None:
    saved = save()
    before = listing(tmp_path / "out")
    assert saved.record_path is not None
    saved.record_path.unlink()
    again = save()
    assert again.kept
    assert listing(tmp_path / "out") == before


def test_overwrite_replaces_picture_and_record(save: Save, tmp_path: Path) -> None:
    save(0)
    saved = save(1, overwrite=True)
    assert (saved.path.name, saved.kept) == ("picture.png", False)
    assert sorted(listing(tmp_path / "out")) == ["picture.png", "picture.png.json"]
    assert verify(saved.path).has_record
    assert verify(saved.path).label == saved.label


def test_many_writers_of_one_name_lose_nothing(save: Save, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(save, [seed for seed in range(6) for _ in range(4)]))
    pictures = sorted((tmp_path / "out").glob("*.png"))
    ids = {label.produce_id for path in pictures if (label := read_label(path))}
    assert len(ids) == 6
    assert all(verify(path) for path in pictures)
    assert all(Path(f"{path}.json").exists() for path in pictures)
    assert sum(not one.kept for one in saved) == len(pictures)
    assert len(listing(tmp_path / "out")) == 2 * len(pictures)


@pytest.mark.parametrize("bad", ["bmp", "PNG", "", "gif", None])
def test_another_format_is_refused(save: Save, tmp_path: Path, bad: Any) -> None:
    with pytest.raises(errors.UnknownChoice, match="png, jpeg, webp"):
        save(format=bad)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        Image.new("LA", (4, 4)),
        [[1, 2, 3]],
    ],
)
def test_pixels_of_another_kind_are_refused(save: Save, bad: Any) -> None:
    with pytest.raises(errors.WrongType, match="pixels"):
        save(pixels=bad)


def test_parts_without_a_digest_are_refused(save: Save) -> None:
    with pytest.raises(errors.Missing, match="model"):
        save(model={"id": "embedded"})
    with pytest.raises(errors.Missing, match="reference"):
        save(references=[{"catalogue": "mine"}])


def test_references_and_adapters_are_part_of_the_identity(save: Save) -> None:
    plain = save()
    with_reference = save(references=[{"sha256": "cd" * 32, "catalogue": None}])
    assert plain.label is not None
    assert with_reference.label is not None
    assert plain.label.produce_id != with_reference.label.produce_id
    assert verify(with_reference.path)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_packet_of_the_parent_keeps_its_other_properties(
    save: Save, independent_labels: Labels, kind: str
) -> None:
    parent = save(format=kind, name="parent")
    data = parent.path.read_bytes()
    packet = read.read_packet(data)
    assert packet is not None
    packet = packet.replace(
        b"</rdf:RDF>",
        b"<rdf:Description rdf:about='' xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        b"<dc:rights>\xe7\x8e\x8b</dc:rights></rdf:Description></rdf:RDF>",
    )
    child = save(1, format=kind, name="child", packet=packet)
    assert "<dc:rights>王</dc:rights>".encode() in child.path.read_bytes()
    (label,) = independent_labels(child.path)
    assert child.label is not None
    assert label == child.label.to_dict()
    assert verify(child.path)


def test_a_packet_that_is_broken_or_too_large_gives_way_to_the_label(save: Save) -> None:
    assert verify(save(name="broken", packet=b"<nothing").path)
    base = read.read_packet(save(name="base").path.read_bytes())
    assert base is not None
    large = base.replace(b"<rdf:RDF", b"<!--" + b"x" * 70_000 + b"--><rdf:RDF")
    assert verify(save(name="large", format="jpeg", packet=large).path)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_label_that_cannot_be_read_back_costs_the_file(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def forget(image: bytes, label: Label, packet: bytes | None = None) -> tuple[bytes, Label]:
        return image, label

    save(format=kind, name="old")
    before = listing(tmp_path / "out")
    monkeypatch.setattr(seal, "seal", forget)
    for arguments in ({"name": "new"}, {"name": "old", "overwrite": True}):
        with pytest.raises(errors.LabelLost):
            save(1, format=kind, **arguments)
        assert listing(tmp_path / "out") == before


def test_a_label_that_does_not_fit_its_file_costs_the_file(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = seal.seal

    def scratch(image: bytes, label: Label, packet: bytes | None = None) -> tuple[bytes, Label]:
        data, label = original(image, label)
        return data[:-6] + bytes([data[-6] ^ 1]) + data[-5:], label

    monkeypatch.setattr(seal, "seal", scratch)
    with pytest.raises(errors.LabelLost):
        save(format="jpeg")
    assert listing(tmp_path / "out") == {}


def test_what_a_picture_carries_along_is_not_written(save: Save, pixels: np.ndarray) -> None:
    loaded = Image.fromarray(pixels)
    loaded.info.update(
        icc_profile=b"of somebody", exif=b"Exif\0\0secret", dpi=(72, 72), comment=b"secret",
        xmp=b"<secret/>", transparency=(1, 2, 3), quality=3,
    )  # fmt: skip
    for kind in FORMATS:
        plain = save(pixels=pixels, format=kind, name="plain")
        assert save(pixels=loaded, format=kind, name="loaded").sha256 == plain.sha256


def test_two_labels_are_as_bad_as_none(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = seal.seal

    def twice(image: bytes, label: Label, packet: bytes | None = None) -> tuple[bytes, Label]:
        data, label = original(image, label)
        return container.insert_xmp(data, read.read_packet(data) or b""), label

    monkeypatch.setattr(seal, "seal", twice)
    with pytest.raises(errors.LabelLost):
        save()
    assert listing(tmp_path / "out") == {}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sheet_is_labelled_by_its_pictures(
    tmp_path: Path, pixels: np.ndarray, independent_labels: Labels, kind: str
) -> None:
    sheet = save_sheet(pixels, ["a" * 32, "b" * 32], folder=tmp_path, format=kind)
    assert sheet.path.stem == "sheet"
    assert len(independent_labels(sheet.path)) == 1
    assert verify(sheet.path)
    assert save_sheet(pixels, ["a" * 32, "b" * 32], folder=tmp_path, format=kind).kept
    other = save_sheet(pixels, ["c" * 32], folder=tmp_path, format=kind)
    assert other.path.stem == "sheet-2"
    assert sheet.record_path is None


def test_a_sheet_of_photographs_carries_no_label(tmp_path: Path, pixels: np.ndarray) -> None:
    sheet = save_sheet(pixels, [], folder=tmp_path)
    assert sheet.label is None
    assert verify(sheet.path).state is State.NO_LABEL
    assert save_sheet(pixels, [], folder=tmp_path).kept


def test_records_hold_neither_clock_nor_host_nor_path(save: Save, tmp_path: Path) -> None:
    saved = save()
    assert saved.record_path is not None
    text = saved.record_path.read_text()
    assert str(tmp_path) not in text
    assert set(json.loads(text)) == {"schema", *ImageRecord.__dataclass_fields__}
