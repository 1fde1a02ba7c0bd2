"""A picture of unknown origin -> upright RGB pixels in sRGB, decoded at arm's length.

The header is read here, in plain Python, and everything too large, animated or
of another format is refused before any decoder sees it. The decoder itself runs
in a child process with limits (`decode_child.py`), because its flaws are the
ones that pictures are crafted for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from mmgen import errors, limits
from mmgen.files import container

if TYPE_CHECKING:
    from PIL.Image import Image

_CHILD = Path(__file__).with_name("decode_child.py")
_PICTURE, _UNREADABLE, _TOO_LARGE = 0, 1, 2
"""The child's answers; written twice, because the child imports nothing of mmgen."""
_HEADER = struct.Struct(">BIIQ")
_NEEDED_ENVIRONMENT = ("LD_LIBRARY_PATH", "SYSTEMROOT")
_PIPE_BYTES = 2**18
_LARGEST_REASON_BYTES = 4096


def read_picture(path: Path | str) -> Image:
    """The picture as PIL RGB without metadata; a `PictureReader` for one file."""
    with PictureReader() as reader:
        return reader.read(path)


def sha256_of(path: Path | str) -> str:
    """sha256 of a file, 64 hex. Raises `PictureMissing` or `PictureUnreadable`."""
    path = Path(path)
    with _readable(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class PictureReader:
    """Decodes pictures one after another in one child process.

    A picture that crashes or stalls the child is refused and costs only itself:
    the next one gets a new child. Use as a context manager; nothing runs after.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PictureReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, if one runs; the reader can be used again."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        child.wait()

    def read(self, path: Path | str) -> Image:
        """PIL RGB: orientation applied, colours in sRGB, transparency on white.

        Raises `PictureMissing`, `PictureTooLarge`, `PictureAnimated`, and
        `PictureUnreadable` for all else that is not a whole PNG, JPEG or WebP.
        """
        from PIL import Image

        path = Path(path)
        data = _bytes_of(path)
        _check_header(path, data)
        try:
            status, width, height, body = self._ask(data)
        except BaseException:
            self.close()  # a child in an unknown state is not asked again
            raise
        if status is None:
            self.close()
            raise errors.PictureUnreadable(path=path, reason=body.decode())
        if status == _TOO_LARGE:
            memory = f"{limits.PICTURE_DECODE_BYTES >> 20} MB"
            raise errors.PictureTooLarge(path=path, got=f"> {memory} RAM", limit=memory)
        if status != _PICTURE:
            raise errors.PictureUnreadable(path=path, reason=_plain(body))
        return Image.frombytes("RGB", (width, height), body)

    def _ask(self, data: bytes) -> tuple[int | None, int, int, bytearray]:
        """The child's answer; status None and a reason where it gave none."""
        # A busy machine may take seconds to start Python: no fault of the picture's.
        allowance = 0.0 if self._child else limits.PICTURE_CHILD_START_S
        child = self._child = self._child or _start()
        assert child.stdin is not None
        assert child.stdout is not None
        deadline = time.monotonic() + limits.PICTURE_DECODE_S + allowance
        try:
            return _exchange(child.stdin, child.stdout, data, deadline)
        except TimeoutError:
            reason = f"decoding took more than {limits.PICTURE_DECODE_S:g} s"
        except (EOFError, BrokenPipeError):
            child.kill()
            reason = f"the decoder stopped with {child.wait()}"
        return None, 0, 0, bytearray(reason.encode())


def _start() -> subprocess.Popen[bytes]:
    import PIL

    pil_folder = str(Path(PIL.__path__[0]).resolve().parent)
    arguments = [str(limits.PICTURE_DECODE_BYTES), str(limits.PICTURE_DECODE_S)]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", str(_CHILD), pil_folder, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        cwd="/",
        env={name: os.environ[name] for name in _NEEDED_ENVIRONMENT if name in os.environ},
        close_fds=True,
        start_new_session=True,  # Ctrl-C goes to us, and we end the child
    )


def _exchange(
    to_child: IO[bytes], from_child: IO[bytes], data: bytes, deadline: float
) -> tuple[int, int, int, bytearray]:
    """Send one file, receive one answer; neither side can make the other wait.

    Raises `TimeoutError`, or `EOFError` and `BrokenPipeError` for a dead child.
    """
    unsent = memoryview(struct.pack(">Q", len(data)) + data)
    received = bytearray()
    wanted = _HEADER.size
    answer: tuple[int, int, int, int] | None = None
    os.set_blocking(to_child.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(from_child, selectors.EVENT_READ)
        selector.register(to_child, selectors.EVENT_WRITE)
        while len(received) < wanted:
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if key.fileobj is to_child:
                    unsent = unsent[os.write(to_child.fileno(), unsent[:_PIPE_BYTES]) :]
                    if not unsent:
                        selector.unregister(to_child)
                    continue
                piece = os.read(from_child.fileno(), min(_PIPE_BYTES, wanted - len(received)))
                if not piece:
                    raise EOFError
                received += piece
            if answer is None and len(received) == _HEADER.size:
                answer = _checked(_HEADER.unpack(received))
                received, wanted = bytearray(), answer[3]
    if answer is None or unsent:  # an answer to half a question
        raise EOFError
    return answer[0], answer[1], answer[2], received


def _checked(answer: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """A header that promises what it may; a child that was taken over may lie."""
    status, width, height, length = answer
    is_picture = (
        status == _PICTURE
        and width > 0
        and 0 < width * height <= limits.PICTURE_PIXELS
        and length == width * height * 3
    )
    is_refusal = status in (_UNREADABLE, _TOO_LARGE) and 0 < length <= _LARGEST_REASON_BYTES
    if not is_picture and not is_refusal:
        raise EOFError
    return answer


def _bytes_of(path: Path) -> bytes:
    with _readable(path):
        # A pipe or a device would be read for ever.
        if path.exists() and not path.is_file():
            raise errors.PictureUnreadable(path=path, reason="not a file")
        size = path.stat().st_size
        if size > limits.PICTURE_BYTES:
            raise errors.PictureTooLarge(
                path=path, got=f"{size / 2**20:.0f} MB", limit=f"{limits.PICTURE_BYTES >> 20} MB"
            )
        with open(path, "rb") as file:
            return file.read(limits.PICTURE_BYTES + 1)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except errors.PictureError:
        raise
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise errors.PictureMissing(path=path) from error
    except (OSError, ValueError) as error:
        raise errors.PictureUnreadable(path=path, reason=_reason(error)) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _check_header(path: Path, data: bytes) -> None:
    """Refuse by header what would cost too much or is not one picture."""
    try:
        found = container.measure(data)
    except container.BadContainer as error:
        raise errors.PictureUnreadable(path=path, reason=str(error)) from error
    if found.width * found.height > limits.PICTURE_PIXELS:
        raise errors.PictureTooLarge(
            path=path,
            got=f"{found.width} x {found.height} px",
            limit=f"{limits.PICTURE_PIXELS // 10**6} million pixels",
        )
    if found.frames > 1:
        raise errors.PictureAnimated(path=path, frames=found.frames)


def _plain(reason: bytes | bytearray) -> str:
    """One printable line, whatever the child said."""
    text = bytes(reason).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]
