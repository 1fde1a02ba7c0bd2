"""`mmgen models fetch`: a model into the home folder, with its progress on stderr."""

from __future__ import annotations

import json
import sys
import time
import warnings

from mmgen.errors import UnknownChoice
from mmgen.hub.fetch import SOURCES, Errand, FetchOffline, fetch
from mmgen.hub.folders import fetched_path
from mmgen.hub.licences import check_licence
from mmgen.settings import load_settings
from ui.models import row_called
from ui.words import duration, say

_QUIET_S = 2.0


def fetch_model(
    name: str,
    *,
    source: str,
    revision: str | None,
    endpoint: str | None,
    private: bool,
    accept: bool,
    as_json: bool,
) -> None:
    """Fetch the model called `name`; its licence comes before the first byte.

    The mirror is `--endpoint`, else for Hugging Face HF_ENDPOINT or `hf.endpoint`.
    """
    row = row_called(name)
    if source not in SOURCES:
        raise UnknownChoice(name="--source", got=source, allowed=", ".join(SOURCES))
    settings = load_settings({})
    if settings.offline:
        raise FetchOffline(model=row.id, source=settings.sources.get("offline", "default"))
    if said := check_licence(row.id, row.licence, accept=accept):
        warnings.warn(said, stacklevel=2)
    if endpoint is None and source == "hub":
        endpoint = settings.hf_endpoint
    began = time.monotonic()
    manifest = fetch(
        Errand(
            row=row,
            source=source,
            endpoint=endpoint,
            revision=revision,
            token=settings.hf_token if source == "hub" else None,
            private=private,
        ),
        _Told(),
    )
    path = fetched_path(row)
    if as_json:
        facts = {"id": row.id, "path": str(path), "revision": manifest.revision}
        print(json.dumps(facts, ensure_ascii=False))
    else:
        elapsed = duration(time.monotonic() - began)
        print(say("models.fetched", model=row.id, path=path, elapsed=elapsed))


class _Told:
    """A line on stderr now and then; on a terminal always the same line."""

    def __init__(self) -> None:
        self._began = self._told = time.monotonic()
        self._first: int | None = None

    def __call__(self, file: str, here: int, total: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = here
        on_terminal = sys.stderr.isatty()
        if here < total and now - self._told < (0.2 if on_terminal else _QUIET_S):
            return
        self._told = now
        rate = (here - self._first) / max(now - self._began, 1e-3)
        left = duration((total - here) / rate) if rate > 0 else "-"
        line = say(
            "models.fetching",
            done=f"{here / 1e9:.2f}",
            total=f"{total / 1e9:.2f}",
            rate=f"{rate / 1e6:.1f}",
            left=left,
            file=file,
        )
        end = "\r" if on_terminal and here < total else "\n"
        print(line, end=end, file=sys.stderr, flush=True)
