"""The program that decodes pictures of unknown origin; runs alone, in its own process.

Started by `read_picture.py` as `python -I -S decode_child.py PIL_FOLDER BYTES SECONDS`.
It imports nothing of mmgen, limits its own memory and time before it reads a
byte, opens no file that was named by anyone, and talks in fixed headers:

    in    length u64                                   then the file
    out   status u8, width u32, height u32, length u64 then RGB rows or a reason

All numbers are big-endian. Status 0 is a picture; 1 refuses bytes that no decoder
takes, 2 a picture that does not fit into the memory allowed. A bomb or an
exploit costs this process, not the one that asked.
"""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import warnings
from typing import Any, BinaryIO

_BAND_ROWS = 256
_MOST_SCANS = 100
_LARGEST_REASON_BYTES = 500
PICTURE, UNREADABLE, TOO_LARGE = 0, 1, 2
_ORIENTATION_TAG = 0x0112
# EXIF orientation -> PIL's Transpose: mirror, 180, flip, transpose, 270, transverse, 90.
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}


def main(pil_folder: str, memory_bytes: int, seconds: float) -> None:
    """Decode one file after another until the input ends."""
    sys.path.append(pil_folder)
    # What follows needs PIL, which is only now on the path.
    from PIL import Image, ImageFile

    Image.preinit()  # the common decoders, before memory is limited
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = None  # the parent has read the header and holds the real limit
    warnings.simplefilter("ignore")
    _limit_memory(memory_bytes)
    while len(header := sys.stdin.buffer.read(8)) == 8:
        _limit_time(seconds)
        _serve(struct.unpack(">Q", header)[0], sys.stdin.buffer, sys.stdout.buffer)


def _serve(length: int, source: BinaryIO, answers: BinaryIO) -> None:
    """One file, one answer; a function, so that nothing of it outlives the answer."""
    data = source.read(length)
    try:
        picture = decode(data)
    except MemoryError:
        _refuse(answers, TOO_LARGE, "out of memory")
    except Exception as error:  # whatever a decoder raises is a refusal
        _refuse(answers, UNREADABLE, _reason(error))
    else:
        del data
        _answer(answers, picture)
    answers.flush()


def _reason(error: Exception) -> str:
    """What to say of it; PIL's word for a header it cannot read names an address."""
    is_unknown = type(error).__name__ == "UnidentifiedImageError"
    return "damaged" if is_unknown else str(error) or type(error).__name__


def decode(data: bytes) -> Any:
    """A PIL RGB picture, upright, in sRGB, on white; raises whatever the decoder does."""
    from PIL import Image

    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > _MOST_SCANS:
        # Hundreds of progressive scans cost seconds each over and carry nothing.
        raise ValueError("too many scans")
    picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
    picture.load()
    turn = _TURNS.get(_orientation(picture))
    profile = picture.info.get("icc_profile")
    upright = picture if turn is None else picture.transpose(Image.Transpose(turn))
    del picture  # fifty million pixels twice would not fit
    return _to_srgb(_to_eight_bits(upright), profile)


def _orientation(picture: Any) -> int:
    """The EXIF orientation, 1 to 8; broken EXIF turns nothing."""
    try:
        return int(picture.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # hostile EXIF is no reason to refuse good pixels
        return 1


def _to_eight_bits(picture: Any) -> Any:
    """One of the modes RGB, RGBA, L, LA, CMYK; 16-bit grey is scaled, not clipped."""
    if picture.mode.startswith("I"):
        return picture.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if picture.mode in ("P", "PA") or "transparency" in picture.info:
        return picture.convert("RGBA")
    if picture.mode in ("RGB", "RGBA", "L", "LA", "CMYK"):
        return picture
    return picture.convert("RGB")


def _to_srgb(picture: Any, profile: bytes | None) -> Any:
    """Colours through the embedded profile, transparency onto white."""
    from PIL import Image

    alpha = picture.getchannel("A") if picture.mode in ("RGBA", "LA") else None
    if alpha is not None:
        picture = picture.convert(picture.mode[:-1])
    picture = _through_profile(picture, profile).convert("RGB")
    if alpha is None:
        return picture
    ground = Image.new("RGB", picture.size, (255, 255, 255))
    ground.paste(picture, mask=alpha)
    return ground


def _through_profile(picture: Any, profile: bytes | None) -> Any:
    """The picture in sRGB where the profile is usable, else as it is."""
    if not profile:
        return picture
    from PIL import ImageCms

    spaces = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != spaces[picture.mode]:
            return picture
        name = ImageCms.getProfileDescription(source)
        if name.lower().startswith("srgb"):
            return picture  # nothing to convert, and rounding would move pixels
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(
            picture, source, target, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, KeyError):
        return picture  # a broken profile leaves the numbers as they are


def _answer(answers: BinaryIO, picture: Any) -> None:
    """Header and rows in bands, so that no second copy of the picture is held."""
    width, height = picture.size
    answers.write(struct.pack(">BIIQ", PICTURE, width, height, width * height * 3))
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        answers.write(picture.crop((0, top, width, bottom)).tobytes())


def _refuse(answers: BinaryIO, status: int, reason: str) -> None:
    text = reason.encode("utf-8", "replace")[:_LARGEST_REASON_BYTES]
    answers.write(struct.pack(">BIIQ", status, 0, 0, len(text)) + text)


def _limit_memory(memory_bytes: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # absent on some systems
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _limit_time(seconds: float) -> None:
    """Allow so much processor time from here on; the counter runs over all files."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = usage.ru_utime + usage.ru_stime
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 1, hard))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
