import json

import numpy as np
import pytest
from PIL import Image

from mmgen.errors import OutputDiskFull, OutputNotWritable, TrainingDataBroken, TrainingDataMissing
from training.rebuild_dataset import rebuild

SIZES = [(400, 600), (640, 480), (320, 320), (1000, 330), (100, 150)]


@pytest.fixture
def copy(tmp_path):
    """A made-up copy of the public data set: five pictures, one of them turned by EXIF."""
    images = tmp_path / "source" / "images"
    images.mkdir(parents=True)
    (tmp_path / "captions").mkdir()
    rows = []
    for index, (width, height) in enumerate(SIZES):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[: height // 2, :, 0] = 220  # the upper half is red
        picture = Image.fromarray(pixels)
        exif = Image.Exif()
        if index == 0:
            # Stored lying on its side; orientation 6 says: turn it 90 degrees clockwise.
            picture = picture.transpose(Image.Transpose.ROTATE_90)
            exif[0x0112] = 6
        picture.save(images / f"id-{index}.jpg", quality=95, exif=exif)
        split = "train" if index < 4 else "validation"
        name = f"{split}/{index:04d}.webp"
        rows.append({"file_name": name, "caption": "红色T恤", "source_id": f"id-{index}"})
    _write_rows(tmp_path, rows)
    return tmp_path


def _write_rows(folder, rows):
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "captions" / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rebuild(copy, **options):
    metadata = copy / "captions" / "metadata.jsonl"
    return rebuild(copy / "source", copy / "out", metadata=metadata, **options)


def test_pictures_are_upright_and_320_px_at_the_shorter_side(copy):
    report = _rebuild(copy)
    assert (report.total, report.written, report.kept, report.exit_code) == (5, 5, 0, 0)
    for index, (width, height) in enumerate(SIZES):
        split = "train" if index < 4 else "validation"
        with Image.open(copy / "out" / split / f"{index:04d}.webp") as picture:
            assert picture.format == "WEBP"
            assert picture.mode == "RGB"
            scale = 320 / min(width, height)
            assert picture.size == (round(width * scale), round(height * scale))
            red = np.asarray(picture)[:, :, 0]
            assert red[: picture.height // 3].mean() > 190
            assert red[-picture.height // 3 :].mean() < 30
            assert not picture.getexif()


def test_metadata_is_copied_and_nothing_else_is_left(copy):
    _rebuild(copy)
    metadata = (copy / "captions" / "metadata.jsonl").read_bytes()
    assert (copy / "out" / "metadata.jsonl").read_bytes() == metadata
    files = {path.name for path in (copy / "out").rglob("*") if path.is_file()}
    assert files == {"metadata.jsonl", *(f"{index:04d}.webp" for index in range(5))}


def test_a_second_run_keeps_whole_files_and_mends_cut_ones(copy):
    _rebuild(copy)
    cut = copy / "out" / "train" / "0001.webp"
    whole = cut.read_bytes()
    cut.write_bytes(whole[:200])
    before = {path: path.stat().st_mtime_ns for path in (copy / "out").rglob("*.webp")}
    report = _rebuild(copy)
    assert (report.written, report.kept) == (1, 4)
    assert cut.read_bytes() == whole
    changed = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {cut}


def test_missing_and_broken_pictures_are_listed_and_the_rest_goes_on(copy):
    images = copy / "source" / "images"
    (images / "id-1.jpg").unlink()
    (images / "id-2.jpg").write_text("no picture")
    whole = (images / "id-3.jpg").read_bytes()
    (images / "id-3.jpg").write_bytes(whole[: len(whole) // 2])
    steps = []
    report = _rebuild(copy, on_progress=lambda done, total: steps.append((done, total)))
    assert report.missing == ("images/id-1.jpg",)
    assert [name for name, _ in report.broken] == ["images/id-2.jpg", "images/id-3.jpg"]
    assert all(reason for _, reason in report.broken)
    assert (report.written, report.exit_code) == (2, 3)
    assert steps == [(done, 5) for done in range(1, 6)]
    assert len(list((copy / "out").rglob("*.webp"))) == 2
    (images / "id-3.jpg").write_bytes(whole)
    assert _rebuild(copy).written == 1


def test_a_folder_that_is_not_the_data_set(tmp_path):
    with pytest.raises(TrainingDataMissing, match="images/<source_id>"):
        rebuild(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil.webp", "/tmp/evil.webp", "a/../../evil.webp"])
def test_names_cannot_leave_the_folder(copy, name):
    _write_rows(copy, [{"file_name": name, "caption": "红裙", "source_id": "id-0"}])
    with pytest.raises(TrainingDataBroken, match="line 1"):
        _rebuild(copy)
    assert not (copy / "out").exists()


def test_an_output_folder_that_cannot_be_written(copy):
    (copy / "out").write_text("a file in the way")
    with pytest.raises(OutputNotWritable):
        _rebuild(copy)


def test_a_full_disk_leaves_no_part(copy, monkeypatch):
    def fill(self, part, *args, **options):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fill)
    with pytest.raises(OutputDiskFull):
        _rebuild(copy)
    assert [path for path in (copy / "out").rglob("*") if path.is_file()] == []
