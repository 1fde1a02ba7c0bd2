"""A model from Hugging Face or ModelScope into the home folder: whole, checked, pinned.

Each file is written beside its place, resumed where it broke off, and moved there
once its size and sha256 are right; the folder gets its name last. Only safetensors,
configurations and texts are fetched: a repository's pickles never reach the disk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urljoin
from urllib.request import getproxies

from mmgen.errors import MmgenError, ModelError, OutputDiskFull, OutputError, OutputNotWritable
from mmgen.home import private_folder
from mmgen.hub.addresses import Rules, guarded_backend, host_of
from mmgen.hub.families import HubModel
from mmgen.hub.folders import MANIFEST, Manifest, fetched_path, read_manifest
from mmgen.model_folder import check_model_folder
from mmgen.strict_json import NotJson, parse_json

if TYPE_CHECKING:
    import httpx2

OnBytes = Callable[[str, int, int], None]
"""(file, bytes here of all files, bytes of all files)."""

_PLAIN = (".json", ".txt", ".md", ".model", ".jinja")
_SKIPPED = re.compile(r"(^|/)\.|\.(fp16|fp32|bf16|non_ema)\.|\.(fp16|bf16)-\d+", re.IGNORECASE)
_SAFE_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,3}")
_MOST_LISTING = 32 * 2**20
_MOST_REDIRECTS = 5


class FetchOffline(ModelError):
    code = "fetch.offline"
    template = (
        "{model} is not fetched: mmgen is set to work offline ({source});"
        " copy its folder here and give --model FOLDER"
    )


class FetchUnreachable(ModelError):
    code = "fetch.unreachable"
    template = (
        "{host} cannot be reached ({reason}); check the network, name a mirror with"
        " --endpoint, or copy the model's folder here and give --model FOLDER."
        " What is here is kept: the same command goes on"
    )


class FetchRefused(ModelError):
    code = "fetch.refused"
    template = (
        "{host} answered {status} for {what}; check its name and revision, and for a"
        " model that asks for consent set HF_TOKEN"
    )


class FetchBroken(ModelError):
    code = "fetch.broken"
    template = "{what} from {host} is not as it should be ({reason}); fetch it again"


class FetchNowhere(ModelError):
    code = "fetch.nowhere"
    template = "{model} is not known at {source}; known are {allowed}"


class FetchNoSpace(OutputError):
    code = "fetch.no_space"
    template = (
        "{model} needs {needed} GB in {path}, {free} GB are free; make room or set MMGEN_HOME"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteFile:
    """One file of a repository."""

    path: str
    size: int
    sha256: str | None
    """Where the source says it: of large files at huggingface.co, of all at modelscope.cn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A place that models are fetched from."""

    name: str
    endpoint: str
    hosts: tuple[str, ...]
    """Where it keeps its files; a redirect elsewhere is not followed."""

    def listing(self, repository: str, revision: str) -> str:
        """The address of the list of files."""
        if self.name == "modelscope":
            return (
                f"{self.endpoint}/api/v1/models/{repository}/repo/files"
                f"?Revision={quote(revision, safe='')}&Recursive=true"
            )
        return f"{self.endpoint}/api/models/{repository}/revision/{quote(revision)}?blobs=true"

    def file(self, repository: str, revision: str, path: str) -> str:
        """The address of one file."""
        if self.name == "modelscope":
            return (
                f"{self.endpoint}/api/v1/models/{repository}/repo"
                f"?Revision={quote(revision, safe='')}&FilePath={quote(path, safe='')}"
            )
        return f"{self.endpoint}/{repository}/resolve/{quote(revision)}/{quote(path)}"


SOURCES = {
    "hub": Source(
        name="hub",
        endpoint="https://huggingface.co",
        hosts=("huggingface.co", ".huggingface.co", ".hf.co", "hf-mirror.com", ".hf-mirror.com"),
    ),
    "modelscope": Source(
        name="modelscope",
        endpoint="https://modelscope.cn",
        hosts=("modelscope.cn", ".modelscope.cn", ".aliyuncs.com"),
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """What to fetch, and from where."""

    row: HubModel
    source: str = "hub"
    endpoint: str | None = None
    """A mirror that speaks as the source does."""
    revision: str | None = None
    """A commit, tag or branch; default: the newest."""
    token: str | None = None
    private: bool = False
    """The endpoint is a mirror in one's own network."""

    def place(self) -> tuple[Source, str, Rules]:
        """Source, repository and the addresses it may ask; raises `FetchNowhere`."""
        source = SOURCES[self.source]
        repository = self.row.hub if self.source == "hub" else self.row.modelscope
        if not repository:
            allowed = ", ".join(name for name in SOURCES if name != self.source)
            raise FetchNowhere(model=self.row.id, source=self.source, allowed=allowed)
        endpoint = (self.endpoint or source.endpoint).rstrip("/")
        host = host_of(endpoint)
        rules = Rules(
            hosts=(*source.hosts, host), private=host if self.private and self.endpoint else ""
        )
        rules.check(endpoint)
        return Source(name=source.name, endpoint=endpoint, hosts=source.hosts), repository, rules


def fetch(errand: Errand, on_bytes: OnBytes | None = None) -> Manifest:
    """Bring the model into the home folder; what is there already is not fetched again.

    Raises `AddressRefused`, `FetchUnreachable`, `FetchRefused`, `FetchBroken`,
    `FetchNoSpace`, `FetchNowhere`, `OutputNotWritable`, and `ModelError` leaves when the
    folder is not safe to load. Half a model never stands under the model's name.
    """
    row = errand.row
    source, repository, rules = errand.place()
    target = fetched_path(row)
    private_folder(target.parent)
    partial = target.with_name(f"{row.id}.part")
    with _client(rules, errand.token) as client:
        commit, files = _list(client, source, rules, repository, errand.revision)
        known = read_manifest(target)
        if known and known.revision == commit and known.repository == repository:
            return known
        wanted = select(files)
        _check_room(row, wanted, partial)
        _fetch_all(client, source, rules, repository, commit, wanted, partial, on_bytes)
    _sweep(partial, wanted)
    folder = check_model_folder(partial, allowed_classes=row.family.classes)
    manifest = Manifest(
        model=row.id,
        source=source.name,
        repository=repository,
        revision=commit,
        files={name: digest for name, digest in folder.files.items() if name != MANIFEST},
    )
    (partial / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)
    return manifest


def select(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The files that a pipeline folder needs: of parts their weights and configurations.

    Whole checkpoints beside the folder, other number formats, pickles, pictures and
    program code stay where they are.
    """
    wanted = []
    for file in files:
        name = PurePosixPath(file.path)
        is_licence = len(name.parts) == 1 and name.stem.lower() in ("license", "notice")
        is_weights = name.suffix == ".safetensors" and len(name.parts) > 1
        if not _SAFE_PATH.fullmatch(file.path) or ".." in name.parts:
            continue
        if _SKIPPED.search(file.path) or name.name == MANIFEST:
            continue
        if is_licence or is_weights or name.suffix in _PLAIN:
            wanted.append(file)
    return wanted


def _check_room(row: HubModel, files: Sequence[RemoteFile], partial: Path) -> None:
    here = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
    needed = sum(file.size for file in files) - here
    free = shutil.disk_usage(partial.parent).free
    if needed > free:
        raise FetchNoSpace(
            model=row.id,
            needed=f"{needed / 1e9:.1f}",
            path=partial.parent,
            free=f"{free / 1e9:.1f}",
        )


# --- over the network ------------------------------------------------------------------------


@contextlib.contextmanager
def _client(rules: Rules, token: str | None) -> Iterator[httpx2.Client]:
    import httpcore2
    import httpx2

    plain = httpcore2.SyncBackend()
    transport = httpx2.HTTPTransport(retries=2)
    proxy = getproxies().get("https")
    if proxy and not rules.private:
        transport = httpx2.HTTPTransport(proxy=proxy)
    else:
        # httpx has no public way to say how a name becomes an address.
        transport._pool._network_backend = guarded_backend(rules, plain.connect_tcp)
    headers = {"User-Agent": "mmgen"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    timeout = httpx2.Timeout(30.0, connect=10.0)
    with httpx2.Client(transport=transport, headers=headers, timeout=timeout) as client:
        yield client


@contextlib.contextmanager
def _ask(
    client: httpx2.Client, rules: Rules, url: str, what: str, start: int = 0
) -> Iterator[httpx2.Response]:
    """The answer to one question, after at most five redirects to allowed hosts."""
    import httpx2

    first = host_of(url)
    for _ in range(_MOST_REDIRECTS):
        rules.check(url)
        host = host_of(url)
        # As it stands on the server: ranges and sizes are those of the file itself.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        if host != first:
            # The token is for the source alone.
            headers["Authorization"] = ""
        try:
            with client.stream("GET", url, headers=headers) as answer:
                if answer.is_redirect:
                    url = urljoin(url, answer.headers.get("location", ""))
                    continue
                if answer.status_code not in (200, 206, 416):
                    raise FetchRefused(host=host, status=answer.status_code, what=what)
                yield answer
                return
        except MmgenError:
            raise
        except (httpx2.HTTPError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise FetchUnreachable(host=host, reason=reason[:200]) from error
    raise FetchBroken(what=what, host=first, reason="it is redirected in a circle")


def _list(
    client: httpx2.Client, source: Source, rules: Rules, repository: str, revision: str | None
) -> tuple[str, list[RemoteFile]]:
    """(commit, files) of a repository."""
    host = host_of(source.endpoint)
    asked = revision or ("master" if source.name == "modelscope" else "main")
    with _ask(client, rules, source.listing(repository, asked), repository) as answer:
        data = bytearray()
        for piece in answer.iter_bytes():
            data += piece
            if len(data) > _MOST_LISTING:
                raise FetchBroken(what=repository, host=host, reason="the file is too long")
    try:
        told = parse_json(bytes(data))
        if source.name == "modelscope":
            return asked, [_from_modelscope(one) for one in told["Data"]["Files"] if _is_file(one)]
        return str(told["sha"]), [_from_hub(one) for one in told["siblings"]]
    except (NotJson, KeyError, TypeError, ValueError) as error:
        raise FetchBroken(what=repository, host=host, reason="its list cannot be read") from error


def _is_file(entry: Any) -> bool:
    return bool(entry["Type"] != "tree")


def _from_modelscope(entry: Any) -> RemoteFile:
    return RemoteFile(
        path=str(entry["Path"]), size=int(entry["Size"]), sha256=entry.get("Sha256") or None
    )


def _from_hub(entry: Any) -> RemoteFile:
    large = entry.get("lfs") or {}
    return RemoteFile(
        path=str(entry["rfilename"]),
        size=int(entry.get("size") or 0),
        sha256=large.get("sha256") or large.get("oid"),
    )


def _fetch_all(
    client: httpx2.Client,
    source: Source,
    rules: Rules,
    repository: str,
    commit: str,
    files: Sequence[RemoteFile],
    folder: Path,
    on_bytes: OnBytes | None,
) -> None:
    total, before = sum(file.size for file in files), 0
    for file in files:
        path = folder / file.path
        url = source.file(repository, commit, file.path)

        def tell(here: int, name: str = file.path, before: int = before) -> None:
            if on_bytes is not None:
                on_bytes(name, before + here, total)

        if not _is_right(path, file):
            _fetch_one(client, rules, url, path, file, tell)
        before += file.size
        tell(0, before=before)


def _fetch_one(
    client: httpx2.Client,
    rules: Rules,
    url: str,
    path: Path,
    file: RemoteFile,
    tell: Callable[[int], None],
) -> None:
    """One file, going on where it broke off; raises `FetchBroken` when it is not the one listed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    start = partial.stat().st_size if partial.exists() else 0
    if start > file.size:
        start = 0
    if start < file.size or file.size == 0:
        with _ask(client, rules, url, file.path, start) as answer:
            if answer.status_code != 206:
                start = 0
            with partial.open("ab" if start else "wb") as out:
                for piece in answer.iter_raw():
                    _write(out, piece, partial)
                    start += len(piece)
                    tell(start)
                    if start > file.size:
                        break
                out.flush()
                os.fsync(out.fileno())
    if not _is_right(partial, file):
        partial.unlink(missing_ok=True)
        raise FetchBroken(what=file.path, host=host_of(url), reason="size or sha256 differs")
    partial.replace(path)


def _write(out: BinaryIO, piece: bytes, path: Path) -> None:
    try:
        out.write(piece)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputDiskFull(path=path) from error
        raise OutputNotWritable(path=path, reason=error.strerror or error) from error


def _sweep(folder: Path, files: Sequence[RemoteFile]) -> None:
    """Remove what an earlier try at another revision left."""
    wanted = {folder / file.path for file in files}
    for path in folder.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()


def _is_right(path: Path, file: RemoteFile) -> bool:
    """Whether `path` has the size and, where it is known, the sha256 of `file`."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    if file.sha256 is None:
        return True
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest() == file.sha256.lower()
