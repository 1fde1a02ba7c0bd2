"""`mmgen catalogue`: collections of pictures, made searchable."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen.errors import AssetMissing, Cancelled, Missing, ModelUnsupported, UnknownChoice
from ui.interrupt import StopOnRequest
from ui.show_errors import INTERRUPTED
from ui.words import duration, say, sentence

if TYPE_CHECKING:
    from pipelines.catalogue import Catalogue, CheckReport
    from pipelines.catalogue_import import AddReport, Tagger

SOME_FAILED = 3
_MOST_LISTED = 20
_QUIET_S = 2.0


def add(
    sources: Sequence[Path],
    name: str | None,
    *,
    licence: str | None,
    towers: str | None,
    index: str = "",
    as_json: bool,
) -> int:
    """Bring folders and tables into a catalogue; 3 when some pictures could not be read."""
    from pipelines.catalogue import DEFAULT, Catalogue
    from pipelines.catalogue_source import read_source

    for source in sources:
        read_source(source)  # what cannot be used at all is said before anything slow
    _tell_loading()
    catalogue = Catalogue.create(name or DEFAULT, retriever=towers, index=index)
    tagger = _tagger(catalogue)
    code = 0
    with StopOnRequest() as stop:
        for source in sources:
            began = time.monotonic()
            report = catalogue.add(
                source,
                licence=licence,
                tagger=tagger,
                on_progress=Counting(stop),
            )
            _tell_added(catalogue, source, report, time.monotonic() - began, as_json=as_json)
            code = max(code, SOME_FAILED if report.bad else 0)
            if report.stopped:
                return INTERRUPTED
    return code


def list_all(*, as_json: bool) -> None:
    """Every catalogue with its size and retrieval model."""
    from pipelines.catalogue import list_catalogues
    from ui.table import print_table

    found = list_catalogues()
    if as_json:
        for each in found:
            error = sentence(each.error) if each.error else None
            _print_json(
                {"name": each.name, "items": each.items, "model": each.model, "error": error}
            )
        return
    rows = [
        (each.name, "-" if each.error else str(each.items), each.model, each.model_sha256[:12])
        for each in found
    ]
    heads = ("catalogue.head_name", "catalogue.head_items", "catalogue.head_model")
    print_table([*map(say, heads), "sha256"], rows)
    for each in found:
        if each.error:
            print(f"{each.name}: {sentence(each.error)}", file=sys.stderr)
    if not found:
        print(say("catalogue.none"))


def check(name: str | None, *, rebuild: bool, towers: str | None, as_json: bool) -> int:
    """Compare a catalogue with its index and files; 3 when something is amiss."""
    from pipelines.catalogue import DEFAULT, Catalogue

    catalogue = Catalogue.open(name or DEFAULT, retriever=towers)
    with StopOnRequest() as stop:
        report = catalogue.check(rebuild=rebuild, on_progress=Counting(stop))
    if as_json:
        _print_json({"catalogue": catalogue.name, **_facts(report)})
    else:
        _tell_checked(catalogue, report)
    return 0 if report else SOME_FAILED


def remove(
    items: Sequence[str],
    name: str | None,
    *,
    missing: bool,
    whole: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Take items, those without a file, or everything out of a catalogue."""
    from pipelines.catalogue import DEFAULT, Catalogue, delete_catalogue

    if not items and not missing and not whole:
        raise Missing(name="ID", advice="give ids, --missing or --all")
    if whole:
        if not yes:
            raise Missing(name="--yes", advice="it confirms that a whole catalogue is deleted")
        removed = delete_catalogue(name or DEFAULT)
    else:
        catalogue = Catalogue.open(name or DEFAULT)
        removed = catalogue.remove(items) if items else 0
        removed += len(catalogue.remove_missing()) if missing else 0
    if as_json:
        _print_json({"catalogue": name or DEFAULT, "removed": removed})
    else:
        print(say("catalogue.removed", count=removed, name=name or DEFAULT))


def build_builtin(data: Path, output: Path, *, model: str | None) -> None:
    """Make the catalogue that ships with mmgen, for the generator `model`."""
    from mmgen.retrieval.retriever import TowerRetriever
    from pipelines.components import EMBEDDED, load_retriever
    from training.builtin_catalogue import build_builtin_catalogue

    _tell_loading()
    retriever = load_retriever(model or EMBEDDED)
    if not isinstance(retriever, TowerRetriever):
        raise UnknownChoice(name="model", got=model, allowed=EMBEDDED)
    with StopOnRequest() as stop:
        counting = Counting(stop)

        def advance(done: int, of: int) -> None:
            if not counting(done, of):
                raise Cancelled(done=done, total=of)

        items = build_builtin_catalogue(data, output, retriever, on_progress=advance)
    size = sum(path.stat().st_size for path in output.iterdir()) / 2**20
    print(say("catalogue.built", count=items, folder=output.absolute(), size=size))


class Counting:
    """`done/of` with the time left, a line now and then on stderr; False after a stop."""

    def __init__(self, stop: StopOnRequest) -> None:
        self._stop = stop
        self._began = self._told = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, of: int) -> bool:
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = done, now
        made = done - self._first
        if now - self._told > _QUIET_S and made and done < of:
            self._told = now
            left = duration((now - self._began) * (of - done) / made)
            is_terminal = sys.stderr.isatty()
            text = say("progress", done=done, total=of, left=left)
            end = "\r" if is_terminal else "\n"
            print(text + (" " * 8 if is_terminal else ""), end=end, file=sys.stderr, flush=True)
        return not self._stop.asked


def _tagger(catalogue: Catalogue) -> Tagger | None:
    """What sees attributes in a picture; None for towers that no tag heads were trained on."""
    from pipelines.tag import HeadsOfOtherTowers
    from pipelines.tag import Tagger as Heads

    try:
        return Heads.from_pretrained(retriever=catalogue.retriever)
    except (AssetMissing, ModelUnsupported, HeadsOfOtherTowers):
        return None


def _tell_loading() -> None:
    print(say("loading"), file=sys.stderr, flush=True)


def _tell_added(
    catalogue: Catalogue, source: Path, report: AddReport, elapsed: float, *, as_json: bool
) -> None:
    for bad in report.bad[: None if as_json else _MOST_LISTED]:
        print(say("catalogue.bad", sentence=sentence(bad.error)), file=sys.stderr)
    if as_json:
        facts = {
            "catalogue": catalogue.name,
            "source": str(source),
            "added": report.added,
            "updated": report.updated,
            "moved": report.moved,
            "unchanged": report.unchanged,
            "gone": report.gone,
            "repeated": report.repeated,
            "failed": [{"place": bad.place, "code": bad.error.code} for bad in report.bad],
            "stopped": report.stopped,
        }
        _print_json(facts)
        return
    if len(report.bad) > _MOST_LISTED:
        print(say("catalogue.more", count=len(report.bad) - _MOST_LISTED), file=sys.stderr)
    if report.repeated:
        shown = _some(report.repeated)
        print(say("catalogue.repeated", items=shown), file=sys.stderr)
    if report.gone:
        print(say("catalogue.gone", count=len(report.gone), items=_some(report.gone)))
    print(
        say(
            "catalogue.added",
            name=catalogue.name,
            added=report.added,
            updated=report.updated,
            moved=report.moved,
            unchanged=report.unchanged,
            failed=len(report.bad),
            elapsed=duration(elapsed),
        )
    )
    if report.stopped:
        print(say("catalogue.stopped"), file=sys.stderr)


def _tell_checked(catalogue: Catalogue, report: CheckReport) -> None:
    for line in report.damage:
        print(say("catalogue.damage", line=line))
    if report.index_damage:
        print(say("catalogue.index", reason=report.index_damage))
    if report.encoded:
        print(say("catalogue.encoded", count=report.encoded))
    if report.lost:
        print(say("catalogue.lost", count=report.lost))
    lists = {"catalogue.missing": report.missing, "catalogue.changed": report.changed}
    for key, items in lists.items():
        if items:
            print(say(key, count=len(items), items=_some(items)))
    key = "catalogue.fine" if report else "catalogue.not_fine"
    print(say(key, name=catalogue.name, items=report.items))


def _facts(report: CheckReport) -> dict[str, Any]:
    import dataclasses

    return {**dataclasses.asdict(report), "ok": bool(report)}


def _some(items: Sequence[str]) -> str:
    shown = ", ".join(items[:5])
    return f"{shown} …" if len(items) > 5 else shown


def _print_json(facts: dict[str, Any]) -> None:
    print(json.dumps(facts, ensure_ascii=False), flush=True)
