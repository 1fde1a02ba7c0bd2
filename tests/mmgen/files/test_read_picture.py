"""Pictures of unknown origin: T28, colours, turns, limits, a child that dies or lies."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import resource
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from mmgen import errors, limits
from mmgen.files import read_picture as module
from mmgen.files.read_picture import PictureReader, read_picture, sha256_of

REFUSALS = (
    errors.PictureMissing,
    errors.PictureUnreadable,
    errors.PictureTooLarge,
    errors.PictureAnimated,
)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def texture(size: tuple[int, int] = (96, 80), mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        parts.append(struct.pack(">I", len(data)) + kind + data)
        parts.append(struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


def header(width: int, height: int, depth: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


END = (b"IEND", b"")


def rows(width: int, height: int, channels: int = 3, depth: int = 1) -> tuple[bytes, bytes]:
    return b"IDAT", zlib.compress(b"\0" * ((width * channels * depth + 1) * height), 1)


def truncated() -> Iterator[tuple[str, bytes]]:
    for kind in ("png", "jpeg", "webp"):
        whole = encoded(texture((192, 256)), kind)
        for percent in range(2, 100, 7):
            yield f"cut at {percent}% {kind}", whole[: len(whole) * percent // 100]


def mutated() -> Iterator[tuple[str, bytes]]:
    rng = random.Random(0)
    sources = {kind: encoded(texture(), kind) for kind in ("png", "jpeg", "webp")}
    sources["progressive"] = encoded(texture(), "jpeg", progressive=True)
    sources["palette"] = encoded(texture(mode="P"), "png")
    sources["lossless"] = encoded(texture(), "webp", lossless=True)
    for kind, whole in sources.items():
        for number in range(11):
            data = bytearray(whole)
            for _ in range(1 + number):
                data[rng.randrange(len(data))] = rng.randrange(256)
            if number % 3 == 0:
                at = rng.randrange(len(data))
                del data[at : at + rng.randrange(40)]
            yield f"mutated {kind} {number}", bytes(data)


def bombs() -> Iterator[tuple[str, bytes]]:
    for width, height in ((9500, 9500), (20000, 20000), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1)):
        yield f"png {width}x{height}", png(header(width, height), rows(10, 10), END)
    yield "png of 90 megapixels, whole", png(header(9000, 10000, 8, 0), rows(9000, 10000, 1), END)
    yield "png one pixel wide", png(header(1, 10**6), rows(1, 10**6), END)
    yield "png one pixel high", png(header(10**6, 1), rows(10**6, 1), END)
    yield "png of 49 megapixels", png(header(7000, 7000, 1, 0), rows(875, 7000, 1), END)
    yield "png with too many rows", png(header(1, 1), (b"IDAT", bytes_bomb(200)), END)
    yield (
        "png with a text bomb",
        png(header(1, 1), (b"iTXt", b"a\0\1\0\0\0" + bytes_bomb(100)), rows(1, 1), END),
    )
    yield "png with a zTXt bomb", png(header(1, 1), (b"zTXt", b"a\0\0" + bytes_bomb(100)), END)
    yield (
        "png with a profile bomb",
        png(header(1, 1), (b"iCCP", b"a\0\0" + bytes_bomb(100)), rows(1, 1), END),
    )
    yield "png of 200,000 chunks", png(header(1, 1), *[(b"teSt", b"")] * 200_000, END)
    large = bytearray(encoded(texture(), "jpeg"))
    at = large.index(b"\xff\xc0")
    large[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    yield "jpeg header of 65500x65500", bytes(large)
    scan = encoded(texture((200, 200)), "jpeg", progressive=True)
    first = scan.index(b"\xff\xda")
    yield "jpeg of 500 scans", scan[:-2] + scan[first:-2] * 500 + b"\xff\xd9"
    huge = bytearray(encoded(texture(), "webp", icc_profile=srgb()))
    huge[24:30] = b"\xff" * 6
    yield "webp canvas of 16 million a side", bytes(huge)
    huge[24:30] = b"\xff\x3f\x00" * 2
    yield "webp canvas of 16384 a side", bytes(huge)
    huge[24:30] = b"\x00\x00\x00" * 2
    yield "webp canvas smaller than its picture", bytes(huge)


def bytes_bomb(megabytes: int) -> bytes:
    return zlib.compress(b"\0" * (megabytes << 20), 1)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def disguised() -> Iterator[tuple[str, bytes]]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("zeros", b"\0" * (10 << 20))
    whole = encoded(texture(), "png")
    comment = b"<?php system($_GET[0]); ?><script>alert(1)</script>"
    yield from {
        "empty": b"",
        "one byte": b"\x89",
        "text": "红色的裙子\n".encode() * 100,
        "html": b"<html><script>alert(1)</script></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run quit\n",
        "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj",
        "elf": b"\x7fELF" + bytes(100),
        "zip": archive.getvalue(),
        "gif": encoded(texture(), "gif"),
        "bmp": encoded(texture(), "bmp"),
        "tiff": encoded(texture(), "tiff"),
        "ico": encoded(texture((32, 32)), "ico"),
        "ppm": encoded(texture(), "ppm"),
        "tga": encoded(texture(), "tga"),
        "jpeg 2000": encoded(texture(), "jpeg2000"),
        "avif": encoded(texture(), "avif"),
        "zeros": bytes(10_000),
        "png then zip": whole + archive.getvalue(),
        "png then php": whole + comment,
        "jpeg with php": encoded(texture(), "jpeg", comment=comment),
        "jpeg named otherwise": encoded(texture(), "jpeg"),
        "riff of another kind": b"RIFF\x24\0\0\0WAVEfmt " + bytes(28),
        "webp that lies about its size": b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(40),
        "webp of nothing": b"RIFF\x04\0\0\0WEBP",
        "only a png signature": whole[:8],
        "only a jpeg start": b"\xff\xd8\xff\xd9",
        "jpeg without a frame": b"\xff\xd8\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + bytes(50),
    }.items()


def broken() -> Iterator[tuple[str, bytes]]:
    good = encoded(texture(), "png")
    yield "png without pixels", png(header(8, 8), END)
    yield "png without end", good[:-12]
    yield "png of size zero", png(header(0, 8), rows(1, 1), END)
    yield "png of bit depth 3", png(header(8, 8, 3), rows(8, 8), END)
    yield "png of colour type 7", png(header(8, 8, 8, 7), rows(8, 8), END)
    yield "png palette without palette", png(header(8, 8, 8, 3), rows(8, 8, 1), END)
    yield "png with garbled pixels", png(header(8, 8), (b"IDAT", b"garbage" * 9), END)
    yield "png with too few rows", png(header(800, 800), rows(8, 8), END)
    yield (
        "png with a wrong checksum",
        good.replace(b"IDAT", b"IDAT", 1)[:-20] + bytes(8) + good[-12:],
    )
    yield "png with a short header", png((b"IHDR", b"\0\0\0\1"), rows(1, 1), END)
    yield "png that starts with pixels", png(rows(1, 1), header(1, 1), END)
    yield "png chunk of 4 GB", good[:33] + b"\xff\xff\xff\xffIDAT" + good[41:]
    yield "png with a chunk of negative size", good[:33] + b"\x80\0\0\0IDAT" + good[41:]
    yield (
        "png of 10,000 frames",
        png(header(8, 8), (b"acTL", struct.pack(">II", 10_000, 0)), rows(8, 8), END),
    )
    yield "png with an empty acTL", png(header(8, 8), (b"acTL", b""), rows(8, 8), END)
    frames = [texture(), texture().rotate(90, expand=False), texture().rotate(180)]
    for kind in ("png", "webp"):
        yield (
            f"animated {kind}",
            encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=40),
        )
    for number in range(6):
        exif = [
            b"Exif\0\0",
            b"Exif\0\0MM\0*\0\0\0\x08",
            b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(30),
            # A directory whose next directory is itself.
            b"Exif\0\0II*\0\x08\0\0\0\x00\x00\x08\0\0\0",
            b"Exif\0\0II*\0\x08\0\0\0\x01\x00\x12\x01\x03\0\xff\xff\xff\xff\0\0\0\0\x08\0\0\0",
            b"Exif\0\0II*\0\x08\0\0\0\x01\x00\x12\x01\x02\0\x01\0\0\0zzzz\0\0\0\0",
        ][number]
        yield f"jpeg with broken exif {number}", encoded(texture(), "jpeg", exif=exif)
    for number, profile in enumerate(
        [b"garbage", srgb()[:200], srgb()[:128] + b"\xff" * 400, bytes(3000), b"\xff" * 60_000]
    ):
        for kind in ("png", "jpeg", "webp"):
            yield (
                f"{kind} with broken profile {number}",
                encoded(texture(), kind, icc_profile=profile),
            )


def unusual() -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        picture = texture(mode="L").convert("I;16") if mode == "I;16" else texture(mode=mode)
        yield f"png {mode}", encoded(picture, "png")
    for colour, channels in ((0, 1), (2, 3), (4, 2), (6, 4)):
        yield f"png 16 bit {colour}", png(header(9, 9, 16, colour), rows(9, 9, channels, 2), END)
    for mode in ("L", "CMYK", "YCbCr"):
        yield f"jpeg {mode}", encoded(texture(mode=mode), "jpeg")
    yield "jpeg CMYK with an RGB profile", encoded(texture(mode="CMYK"), "jpeg", icc_profile=srgb())
    yield "jpeg grey with an RGB profile", encoded(texture(mode="L"), "jpeg", icc_profile=srgb())
    yield "webp with alpha", encoded(texture(mode="RGBA"), "webp")
    yield "png one pixel", encoded(texture((1, 1)), "png")
    yield "png palette with transparency", encoded(texture(mode="P"), "png", transparency=bytes(99))
    for orientation in (0, 1, 6, 9, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"jpeg turned {orientation}", encoded(texture(), "jpeg", exif=exif)


def hostile_files(folder: Path) -> list[tuple[str, Path]]:
    files = []
    for maker in (truncated, mutated, bombs, disguised, broken, unusual):
        for name, data in maker():
            path = folder / f"{len(files)}{('.png', '.jpg', '.webp')[len(files) % 3]}"
            path.write_bytes(data)
            files.append((name, path))
    for name, target in (("a device", "/dev/zero"), ("a loop", folder / "loop.png")):
        path = folder / f"{name.replace(' ', '-')}.png"
        path = folder / "loop.png" if name == "a loop" else path
        path.symlink_to(target)
        files.append((name, path))
    os.mkfifo(folder / "fifo.png")
    (folder / "folder.png").mkdir()
    with open(folder / "sparse.png", "wb") as sparse:
        sparse.truncate(10 << 30)
    files += [
        (f"a {name}", folder / f"{name}.png") for name in ("fifo", "folder", "sparse", "none")
    ]
    return files


def children() -> set[str]:
    own = Path(f"/proc/{os.getpid()}/task")
    return {pid for task in own.iterdir() for pid in (task / "children").read_text().split()}


def test_200_hostile_pictures_are_refused_or_clean(tmp_path: Path) -> None:
    files = hostile_files(tmp_path)
    assert len(files) >= 200
    good = tmp_path / "good.bin"
    good.write_bytes(encoded(texture(), "png"))
    before = children(), len(os.listdir("/proc/self/fd")), set(os.listdir(tempfile.gettempdir()))
    in_folder = set(tmp_path.iterdir())
    clean, slow, said = [], [], []
    with PictureReader() as reader:
        for name, path in files:
            picture, start = None, time.monotonic()
            try:
                picture = reader.read(path)
            except REFUSALS as error:
                said.append(str(error).replace(str(path), "PATH"))
            if picture is not None:
                assert picture.mode == "RGB"
                assert picture.width * picture.height <= limits.PICTURE_PIXELS
                assert not picture.info
                clean.append(name)
            took_s = time.monotonic() - start
            if took_s > 2.0:
                slow.append((name, took_s))
        assert reader.read(good).size == (96, 80)
    assert slow == []
    assert all("PATH" in sentence and len(sentence) < 400 for sentence in said)
    assert len(said) + len(clean) == len(files)
    assert {"png 16 bit 6", "jpeg CMYK", "webp with alpha", "png then zip"} <= set(clean)
    assert not [name for name in clean if name in ("text", "gif", "svg", "a fifo")]
    after = children(), len(os.listdir("/proc/self/fd")), set(os.listdir(tempfile.gettempdir()))
    assert after == before
    assert set(tmp_path.iterdir()) == in_folder


@pytest.mark.slow
def test_hostile_pictures_leave_memory_as_it_was(tmp_path: Path) -> None:
    files = [path for name, path in hostile_files(tmp_path) if "49 megapixels" not in name]
    read_any(files[0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in files[1:]:
        read_any(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def read_any(path: Path) -> None:
    with contextlib.suppress(*REFUSALS):
        read_picture(path)


@pytest.mark.parametrize(
    ("name", "expected", "said"),
    [
        ("png 20000x20000", errors.PictureTooLarge, "20000 x 20000 px"),
        ("png of 90 megapixels, whole", errors.PictureTooLarge, "50 million pixels"),
        ("png of 10,000 frames", errors.PictureAnimated, "10000 frames"),
        ("animated webp", errors.PictureAnimated, "3 frames"),
        ("text", errors.PictureUnreadable, "neither PNG, JPEG nor WebP"),
        ("gif", errors.PictureUnreadable, "neither PNG"),
        ("cut at 51% png", errors.PictureUnreadable, "cut off"),
        ("cut at 51% webp", errors.PictureUnreadable, "cut off"),
        ("cut at 51% jpeg", errors.PictureUnreadable, "truncated"),
        ("jpeg of 500 scans", errors.PictureUnreadable, "too many scans"),
        ("mutated jpeg 7", errors.PictureUnreadable, r"\(damaged\)"),
        ("a none", errors.PictureMissing, "check the path"),
        ("a sparse", errors.PictureTooLarge, "64 MB"),
        ("a fifo", errors.PictureUnreadable, "not a file"),
        ("a device", errors.PictureUnreadable, "not a file"),
    ],
)
def test_each_refusal_says_what_was_got(
    hostile: dict[str, Path], name: str, expected: type[errors.PictureError], said: str
) -> None:
    with pytest.raises(expected, match=said):
        read_picture(hostile[name])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return dict(hostile_files(tmp_path_factory.mktemp("hostile")))


def read_bytes(tmp_path: Path, data: bytes) -> np.ndarray:
    path = tmp_path / "input.bin"
    path.write_bytes(data)
    return np.asarray(read_picture(path)).astype(int)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_every_orientation_comes_upright(tmp_path: Path, orientation: int, kind: str) -> None:
    upright = Image.new("RGB", (48, 32), (255, 255, 255))
    upright.paste((200, 30, 30), (0, 0, 24, 16))
    upright.paste((30, 30, 200), (24, 0, 48, 16))
    undo = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]  # how a camera would have stored it
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = read_bytes(tmp_path, encoded(stored, kind, exif=exif))
    assert got.shape == (32, 48, 3)
    assert np.abs(got - np.asarray(upright).astype(int)).mean() < 12


def test_transparency_falls_on_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    picture.putpixel((1, 1), (0, 0, 0, 128))
    got = read_bytes(tmp_path, encoded(picture, "png"))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert abs(int(got[1, 1, 0]) - 127) <= 1
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((0, 0), 1)
    got = read_bytes(tmp_path, encoded(palette, "png", transparency=0))
    assert got[4, 4].tolist() == [255, 255, 255]
    assert got[0, 0].tolist() == [0, 255, 0]
    grey = encoded(Image.new("LA", (4, 4), (7, 0)), "png")
    assert read_bytes(tmp_path, grey).min() == 255


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :].repeat(4, axis=0)
    got = read_bytes(tmp_path, encoded(Image.fromarray(ramp), "png"))
    assert np.array_equal(got[0, :, 0], np.arange(256))
    assert np.array_equal(got[..., 0], got[..., 2])


def test_cmyk_keeps_its_colours(tmp_path: Path) -> None:
    picture = Image.new("RGB", (32, 32), (220, 60, 40))
    got = read_bytes(tmp_path, encoded(picture.convert("CMYK"), "jpeg", quality=95))
    assert np.abs(got - np.array([220, 60, 40])).max() <= 6


def test_another_profile_is_turned_into_srgb(tmp_path: Path) -> None:
    # The same numbers mean other colours where the red and blue primaries change places.
    profile = bytearray(srgb())
    red, blue = (profile.index(tag, 128) for tag in (b"rXYZ", b"bXYZ"))
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    swapped = bytes(profile).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    picture = Image.new("RGB", (8, 8), (250, 20, 20))
    for kind, options in (("png", {}), ("jpeg", {"quality": 95}), ("webp", {"lossless": True})):
        got = read_bytes(tmp_path, encoded(picture, kind, icc_profile=swapped, **options))
        assert np.abs(got - np.array([20, 20, 250])).max() <= 4


def test_our_own_files_come_back_exactly(save: Callable[..., Any], pixels: np.ndarray) -> None:
    assert np.array_equal(np.asarray(read_picture(save(pixels=pixels).path)), pixels)
    for kind in ("jpeg", "webp"):
        path = save(pixels=pixels, format=kind).path
        with Image.open(path) as plain:
            assert np.array_equal(np.asarray(read_picture(path)), np.asarray(plain.convert("RGB")))


def test_a_phone_picture_of_several_images_is_its_first(tmp_path: Path) -> None:
    first, second = texture(), texture((40, 40))
    data = encoded(first, "mpo", save_all=True, append_images=[second])
    assert read_bytes(tmp_path, data).shape == (80, 96, 3)


def test_nothing_of_the_metadata_comes_through(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("prompt", "secret")
    (tmp_path / "a.png").write_bytes(encoded(texture(), "png", exif=exif, pnginfo=info))
    picture = read_picture(tmp_path / "a.png")
    assert picture.info == {}
    assert not picture.getexif()


CHILD = """
import os, struct, sys, time
source, answers = sys.stdin.buffer, sys.stdout.buffer
while len(head := source.read(8)) == 8:
    data = source.read(struct.unpack(">Q", head)[0])
    if b"CRASH" in data: os.abort()
    if b"HANG" in data: time.sleep(600)
    if b"LONG" in data: answers.write(struct.pack(">BIIQ", 0, 60000, 60000, 3 * 60000**2))
    if b"LIE" in data: answers.write(struct.pack(">BIIQ", 0, 2, 2, 99))
    if b"ODD" in data: answers.write(b"\\xff" * 17)
    if b"SHORT" in data:
        answers.write(struct.pack(">BIIQ", 0, 2, 2, 12) + b"abc"); answers.flush(); os._exit(0)
    if b"FULL" in data: answers.write(struct.pack(">BIIQ", 2, 0, 0, 1) + b"x")
    if b"GOOD" in data: answers.write(struct.pack(">BIIQ", 0, 2, 2, 12) + bytes(12))
    answers.flush()
"""


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PictureReader]:
    """A reader whose child misbehaves on request, allowed one second."""
    (tmp_path / "child.py").write_text(CHILD)
    monkeypatch.setattr(module, "_CHILD", tmp_path / "child.py")
    monkeypatch.setattr(limits, "PICTURE_DECODE_S", 1.0)
    monkeypatch.setattr(limits, "PICTURE_CHILD_START_S", 0.0)
    before = children()
    with PictureReader() as opened:
        yield opened
    assert children() == before


@pytest.mark.parametrize(
    ("deed", "expected", "said"),
    [
        ("CRASH", errors.PictureUnreadable, "decoder stopped with -6"),
        ("HANG", errors.PictureUnreadable, "more than 1 s"),
        ("LONG", errors.PictureUnreadable, "decoder stopped"),
        ("LIE", errors.PictureUnreadable, "decoder stopped"),
        ("ODD", errors.PictureUnreadable, "decoder stopped"),
        ("SHORT", errors.PictureUnreadable, "decoder stopped"),
        ("FULL", errors.PictureTooLarge, "1024 MB"),
    ],
)
def test_a_child_that_dies_hangs_or_lies_costs_one_picture(
    reader: PictureReader, tmp_path: Path, deed: str, expected: type[Exception], said: str
) -> None:
    def picture(word: str) -> Path:
        path = tmp_path / f"{word}.png"
        path.write_bytes(encoded(texture(), "png") + word.encode())
        return path

    assert reader.read(picture("GOOD")).size == (2, 2)
    start = time.monotonic()
    with pytest.raises(expected, match=said):
        reader.read(picture(deed))
    assert time.monotonic() - start < 2.0
    assert reader.read(picture("GOOD")).size == (2, 2)


def test_the_child_is_reused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(texture(), "png"))
    before = children()
    with PictureReader() as reader:
        reader.read(tmp_path / "a.png")
        first = children() - before
        for _ in range(5):
            reader.read(tmp_path / "a.png")
        assert children() - before == first
        assert len(first) == 1
    assert children() == before


def test_ctrl_c_ends_the_child_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    (tmp_path / "a.png").write_bytes(encoded(texture(), "png"))
    before = children()
    with PictureReader() as reader:
        reader.read(tmp_path / "a.png")
        with monkeypatch.context() as patch:
            patch.setattr(module, "_exchange", interrupt)
            with pytest.raises(KeyboardInterrupt):
                reader.read(tmp_path / "a.png")
        assert children() == before
        assert reader.read(tmp_path / "a.png").size == (96, 80)


def test_memory_of_the_child_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PICTURE_DECODE_BYTES", 200 << 20)
    (tmp_path / "a.png").write_bytes(png(header(7000, 7000), rows(7000, 7000), END))
    with pytest.raises(errors.PictureTooLarge, match="200 MB"):
        read_picture(tmp_path / "a.png")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
def test_fifty_megapixels_fit_into_the_limits(tmp_path: Path, mode: str) -> None:
    picture = texture((7000, 7140), mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = ("jpeg",) if mode == "CMYK" else ("webp",) if mode == "RGBA" else ("jpeg", "webp")
    with PictureReader() as reader:
        for kind in kinds:
            (tmp_path / "a").write_bytes(encoded(picture, kind, exif=exif, quality=50))
            for _ in range(2):
                assert reader.read(tmp_path / "a").size == (7140, 7000)


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    with pytest.raises(errors.PictureMissing):
        sha256_of(tmp_path / "none")
    with pytest.raises(errors.PictureMissing):
        sha256_of(tmp_path)
