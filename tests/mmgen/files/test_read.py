"""Verification: every changed byte is found, no intact file is accused."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from mmgen import errors
from mmgen.files import container, read, xmp
from mmgen.files.label import Label
from mmgen.files.read import State, find_labels, read_label, verify
from mmgen.files.read_picture import PictureReader
from mmgen.files.write import SavedPicture

FORMATS = ("png", "jpeg", "webp")
Save = Callable[..., SavedPicture]


def change_bytes(save: Save, count: int) -> int:
    """Change one byte at a time in `count` places; returns how many were found."""
    rng = random.Random(0)
    found = 0
    files = [save(seed, name=f"f{seed}", format=FORMATS[seed % 3]) for seed in range(30)]
    for one in files:
        assert one.record_path is not None
        one.record_path.unlink()  # the file alone must tell
    for number in range(count):
        path = files[number % len(files)].path
        data = path.read_bytes()
        at = rng.randrange(len(data))
        if number % 2:  # half of the changes hit the label, which is the smaller part
            packet = read.read_packet(data)
            assert packet is not None
            at = data.index(packet) + rng.randrange(len(packet))
        changed = bytearray(data)
        changed[at] ^= rng.randrange(1, 256)
        path.write_bytes(changed)
        found += not verify(path)
        path.write_bytes(data)
    assert all(verify(one.path) for one in files)
    return found


def test_200_changed_bytes_are_found(save: Save) -> None:
    assert change_bytes(save, 200) == 200


@pytest.mark.slow
def test_1000_changed_bytes_are_found(save: Save) -> None:
    assert change_bytes(save, 1000) == 1000


@pytest.mark.slow
def test_1000_intact_files_are_not_accused(save: Save) -> None:
    with PictureReader() as reader:
        for seed in range(1000):
            saved = save(seed, name=str(seed), format=FORMATS[seed % 3], visible=seed % 5 == 0)
            verdict = verify(saved.path, reader)
            assert verdict.has_record
            assert verdict, verdict


@pytest.mark.parametrize("kind", FORMATS)
def test_every_byte_of_a_file_is_guarded(
    save: Save, picture_of: Callable[..., np.ndarray], kind: str
) -> None:
    saved = save(pixels=picture_of(0, 8, 8), format=kind)
    data = saved.path.read_bytes()
    missed = []
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        if read.examine(bytes(changed), saved.path):
            missed.append(at)
    assert missed == []


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("extra", [b"x", b"\0", b"trailing zip"])
def test_bytes_added_or_lost_are_found(save: Save, kind: str, extra: bytes) -> None:
    path = save(format=kind).path
    data = path.read_bytes()
    assert not read.examine(data + extra, path)
    assert not read.examine(data[:-1], path)
    middle = len(data) // 2
    assert not read.examine(data[:middle] + extra + data[middle:], path)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "field", ["Label", "ContentProducer", "ProduceID", "ContentPropagator", "PropagateID"]
)
def test_a_changed_field_is_a_changed_label(save: Save, kind: str, field: str) -> None:
    saved = save(format=kind)
    data = saved.path.read_bytes()
    assert saved.label is not None
    old = f'"{field}":"{saved.label.to_dict()[field]}"'.encode()
    new = old[:-2] + (b"2" if old[-2:-1] != b"2" else b"3") + old[-1:]
    saved.path.write_bytes(data.replace(old, new))
    verdict = verify(saved.path)
    assert verdict.state is State.LABEL_CHANGED
    assert verdict.differs == ("label",)
    assert verdict.label is not None
    assert verdict.label != saved.label


def test_changed_pixels_are_told_from_a_changed_label(save: Save) -> None:
    saved = save()
    data = saved.path.read_bytes()
    at = data.index(b"IDAT") + 20
    saved.path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    verdict = verify(saved.path)
    assert verdict.state is State.PIXELS_CHANGED
    assert verdict.differs == ("pixels",)
    assert verdict.label == saved.label


@pytest.mark.parametrize("kind", FORMATS)
def test_a_label_moved_to_another_picture_is_found(save: Save, kind: str) -> None:
    one, other = (save(seed, name=str(seed), format=kind) for seed in (0, 1))
    packets = [read.read_packet(each.path.read_bytes()) or b"" for each in (one, other)]
    moved = one.path.read_bytes().replace(packets[0], packets[1])
    if kind == "png":  # a forger would mend the checksum too
        (start,) = (c for c in container.chunks_of(moved) if c.kind == b"iTXt")
        chunk = container.xmp_chunk("png", packets[1])
        moved = moved[: start.start] + chunk + moved[start.stop :]
    one.path.write_bytes(moved)
    assert verify(one.path).state is State.PIXELS_CHANGED


@pytest.mark.parametrize("kind", FORMATS)
def test_a_plain_resave_loses_the_label(save: Save, kind: str) -> None:
    saved = save(format=kind)
    with Image.open(saved.path) as picture:
        bare = Image.frombytes("RGB", picture.size, picture.convert("RGB").tobytes())
    bare.save(saved.path)
    assert verify(saved.path).state is State.NO_LABEL
    assert read_label(saved.path) is None


def test_two_labels_are_too_many(save: Save) -> None:
    saved = save()
    data = saved.path.read_bytes()
    saved.path.write_bytes(container.insert_xmp(data, read.read_packet(data) or b""))
    assert verify(saved.path).state is State.SEVERAL_LABELS
    assert read_label(saved.path) is None


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (lambda record: record["file"].update(sha256="0" * 64), "record.file"),
        (lambda record: record.update(pixels_sha256="0" * 64), "record.pixels"),
        (lambda record: record["label"].update(ContentProducer="other"), "record.label"),
        (lambda record: record["request"].update(prompt="别的"), "record.request"),
        (lambda record: record["request"].update(unknown=1), "record.request"),
        (lambda record: record["model"].update(sha256="cd" * 32), "record.request"),
        (lambda record: record.update(model=None), "record.request"),
        (lambda record: record.update(schema="mmgen.image/9"), "record.schema"),
        (lambda record: record.update(extra=1), "record.schema"),
    ],
)
def test_a_record_that_tells_another_story_is_found(
    save: Save, change: Callable[[dict[str, Any]], None], differs: str
) -> None:
    saved = save()
    assert saved.record_path is not None
    record = json.loads(saved.record_path.read_text())
    change(record)
    saved.record_path.write_text(json.dumps(record))
    verdict = verify(saved.path)
    assert verdict.state is State.RECORD_MISMATCH
    assert verdict.differs == (differs,)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"schema": 1}'])
def test_a_broken_record_is_a_mismatch(save: Save, text: str) -> None:
    saved = save()
    assert saved.record_path is not None
    saved.record_path.write_text(text)
    assert verify(saved.path).differs == ("record.schema",)


def test_a_renamed_pair_is_intact(save: Save, tmp_path: Path) -> None:
    saved = save()
    assert saved.record_path is not None
    saved.path.rename(tmp_path / "new.png")
    assert verify(tmp_path / "new.png").has_record is False
    saved.record_path.rename(tmp_path / "new.png.json")
    assert verify(tmp_path / "new.png").has_record


def foreign_label(save: Save, text: str, kind: str = "png") -> bytes:
    """A picture whose label is `text`, as another producer could write it."""
    data = save(format=kind, name="foreign").path.read_bytes()
    (found,) = find_labels(data)
    packet = xmp.build_packet(Label.first("ab" * 16)).replace(
        Label.first("ab" * 16).to_json().encode(), text.encode()
    )
    chunk = container.xmp_chunk(kind, packet)
    return data[: found.chunk.start] + chunk + data[found.chunk.stop :]


def test_a_label_of_another_producer_is_read_but_not_judged(save: Save, tmp_path: Path) -> None:
    label = Label.first("abc-123", "001191440300")
    for number, text in enumerate((label.to_json(), f'{{"AIGC": {label.to_json()}}}')):
        path = tmp_path / f"{number}.png"
        path.write_bytes(foreign_label(save, text))
        assert read_label(path) == label
        assert verify(path).state is State.FOREIGN
        assert not verify(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"Label":"1"}', "[" * 50_000, '"x"'])
def test_a_label_that_is_none_is_a_changed_one(save: Save, tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.png"
    path.write_bytes(foreign_label(save, text))
    assert verify(path).state is State.LABEL_CHANGED
    assert read_label(path) is None


def test_labels_in_png_text_and_in_exif_are_seen(tmp_path: Path, pixels: np.ndarray) -> None:
    picture = Image.fromarray(pixels)
    wrapped = f'{{"AIGC":{Label.first("abc").to_json()}}}'
    plain, long, zipped = (PngImagePlugin.PngInfo() for _ in range(3))
    plain.add_text("AIGC", wrapped)
    long.add_itxt("AIGC", wrapped)
    zipped.add_itxt("AIGC", wrapped, zip=True)
    for info in (plain, long, zipped):
        picture.save(tmp_path / "text.png", pnginfo=info)
        assert read_label(tmp_path / "text.png") == Label.first("abc")
    comments = (b"ASCII\0\0\0" + wrapped.encode(), b"UNICODE\0" + wrapped.encode("utf-16-le"))
    for comment in comments:
        exif = Image.Exif()
        exif[0x0131] = "camera"
        exif.get_ifd(0x8769)[0x9286] = comment
        for suffix in ("png", "jpg", "webp"):
            path = tmp_path / f"exif.{suffix}"
            picture.save(path, exif=exif)
            assert [found.where for found in find_labels(path.read_bytes())] == ["exif"]
            assert read_label(path) == Label.first("abc")


def test_a_missing_file_is_an_error_and_a_foreign_one_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(errors.PictureMissing):
            verify(path)
        with pytest.raises(errors.PictureMissing):
            read_label(path)
    for content in (b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\4\0\0\0WEBP"):
        (tmp_path / "odd.png").write_bytes(content)
        verdict = verify(tmp_path / "odd.png")
        assert verdict.state in (State.UNREADABLE, State.NO_LABEL)
        assert read_label(tmp_path / "odd.png") is None


@settings(deadline=None)
@given(st.binary(max_size=120), st.sampled_from(FORMATS))
def test_any_bytes_are_measured_or_refused(tail: bytes, kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, kind)
    whole = buffer.getvalue()
    for cut in (3, 12, 20, 30, len(whole) // 2):
        try:
            container.measure(whole[:cut] + tail)
            find_labels(whole[:cut] + tail)
        except container.BadContainer:
            pass
    found = container.measure(whole)
    assert (found.format, found.width, found.height, found.frames) == (kind, 3, 2, 1)
