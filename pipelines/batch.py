"""A table of products -> what is to be made of each row, or why it cannot be.

    plan = BatchPlan(open_table(path), BatchOptions(template="{颜色}{面料}{品类}"))
    for row in plan.rows():
        if isinstance(row, PlannedRow):
            store items of row.items(job)

Reading and checking a row draws nothing and loads no model.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmgen import limits, policy
from mmgen.errors import Conflict, Missing, MmgenError, UnknownChoice
from mmgen.files.encode import SUFFIXES, check_format
from mmgen.files.read_picture import PictureReader, sha256_of
from mmgen.jobs.items import NewItem, item_id
from mmgen.seeds import seeds_for
from mmgen.tables.row import BadRow, Row, Table, text_of
from mmgen.typed import size, whole_number
from mmgen.values import ImageRequest, check_prompt, check_whole
from pipelines.row_keys import RowKeys
from pipelines.row_models import RowModels, adapters_of
from pipelines.template import Template

ROLES: Mapping[str, tuple[str, ...]] = {
    "id": ("sku", "id", "编号", "货号", "款号", "商品编号", "商品编码"),
    "prompt": ("prompt", "提示词", "描述"),
    "negative": ("negative", "negative_prompt", "反向提示词"),
    "count": ("count", "张数"),
    "seed": ("seed", "种子", "随机种子"),
    "references": ("references", "reference", "参考图"),
    "adapter": ("adapter", "adapters", "lora"),
    "model": ("model", "模型"),
    "size": ("size", "图片尺寸"),
    "format": ("format", "图片格式"),
}
"""What a column is for -> the names it may have, in any case of letters."""
REJECT_COLUMNS = ("拒绝原因", "原表行号", "原文")
"""What a file of rejected rows holds beside the row; read again, they are left out."""
_SHORT_SEEDS = 2**31
_LARGEST_KEY = 200


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BatchOptions:
    """What holds for every row that does not say otherwise."""

    model: str = "embedded"
    """As typed; rows may name others."""
    adapters: tuple[tuple[Path, float], ...] = ()
    """(LoRA file or folder, weight), for the rows of this model."""
    template: str | None = None
    """`{颜色}{面料}{品类}`: names of columns in braces; without it the prompt column."""
    id_column: str | None = None
    """None: the first column that is called like an id, else the prompt is the id."""
    count: int = 1
    seed: int = 0
    """Of the job: the seed of a row that has none comes from it and the row's key."""
    shares_seed: bool = False
    """Rows of one id start from the same noise, so that they look alike."""
    negative_prompt: str = ""
    size: tuple[int, int] | None = None
    """height, width in pixels; None, here and below: each model's own default."""
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    format: str = "png"
    visible_label: bool = False
    embed_request: bool = False
    keep_best_of: int = 1
    """Candidates for each picture; the best by text-picture score stays."""
    retry_mismatch: int = 0
    """More candidates where the best one shows something else than was asked for."""


class PlannedRow(NamedTuple):
    """A row that can be made; its requests are built when they are wanted."""

    line: int
    key: str
    folder: str
    asked: Mapping[str, Any]
    """Fields of its requests, but for the seed; all have been checked."""
    seeds: Sequence[int]
    """One a picture."""
    pictures: Mapping[str, str]
    values: Mapping[str, Any]
    """The row as it stands in the table."""
    options: Mapping[str, Any]

    @property
    def requests(self) -> tuple[ImageRequest, ...]:
        """One a picture, with seeds s, s+1, ..."""
        return tuple(ImageRequest(**self.asked, seed=seed) for seed in self.seeds)

    def items(self, job: str, position: int) -> Iterator[NewItem]:
        """The row's pictures for the job store; `position` of the first."""
        requests = self.requests
        for number, request in enumerate(requests, 1):
            yield NewItem(
                item_id=item_id(job, self.key, request),
                row_key=self.key,
                position=position + number - 1,
                request=request,
                name=self.key if len(requests) == 1 else f"{self.key}-{number}",
                subfolder=self.folder,
                pictures=self.pictures,
                row=self.values,
                options={**self.options, "number": number},
            )


class BatchPlan:
    """A table under one set of options; checks what holds for the whole table at once.

    Raises `TemplateBad`, `Missing`, `UnknownChoice` and value errors.
    """

    def __init__(self, table: Table, options: BatchOptions) -> None:
        _check_format(options.format, options)
        check_whole("num_images_per_prompt", options.count, 1, limits.NUM_IMAGES)
        check_whole("seed", options.seed, *limits.SEED)
        check_whole("keep_best_of", options.keep_best_of, 1, limits.BATCH_CANDIDATES)
        check_whole("retry_mismatch", options.retry_mismatch, 0, limits.BATCH_RETRIES)
        self.table, self.options = table, options
        self._names = {name: _find(table.columns, names) for name, names in ROLES.items()}
        if options.id_column:
            if options.id_column not in table.columns:
                allowed = ", ".join(table.columns)
                raise UnknownChoice(name="--id", got=options.id_column, allowed=allowed)
            self._names["id"] = options.id_column
        self._present = [(role, column) for role, column in self._names.items() if column]
        self._changing = self._names.keys() - {"id", "prompt", "count", "seed", "format"}
        self._template = Template(options.template) if options.template else None
        self._grows = self._template is not None and table.kind == "jsonl"
        if self._template and table.kind != "jsonl":
            self._template.check(table.columns)
        if not self._template and not self._names["prompt"]:
            columns = ", ".join(table.columns)
            raise Missing(name="prompt", advice=f"name columns by --template, out of: {columns}")
        self._prompt_column = (
            self._template.fields[0] if self._template else self._names["prompt"] or "-"
        )
        self._item_options = {
            kind: {
                "format": kind,
                "visible_label": options.visible_label,
                "embed_request": options.embed_request,
            }
            for kind in SUFFIXES
        }
        self.models = RowModels()
        self._base_values: dict[str, Any] = {
            "negative_prompt": options.negative_prompt,
            **self._of_model(options.model),
            "adapters": self.models.adapters(options.model, options.adapters),
        }
        self.base = ImageRequest(prompt="-", **self._base_values)
        """What every row asks for that does not say otherwise, but for its words."""

    def _of_model(self, typed: str) -> dict[str, Any]:
        """Name of the model, and its own size, steps and guidance where none are wanted."""
        options = self.options
        name, own = self.models.model(typed)
        height, width = options.size or (own.height, own.width)
        steps, guidance = options.num_inference_steps, options.guidance_scale
        return {
            "height": height,
            "width": width,
            "num_inference_steps": own.num_inference_steps if steps is None else steps,
            "guidance_scale": own.guidance_scale if guidance is None else guidance,
            "model": name,
        }

    def rows(self) -> Iterator[PlannedRow | BadRow]:
        """Every row in order, checked; the table is read anew on each call.

        Raises `TemplateBad` at the end where no row had a column that it names.
        """
        rules = policy.configured_rules()
        keys, known = RowKeys(), set(self.table.columns)
        with _References(self.table.path.parent) as references:
            for row in self.table.rows():
                if isinstance(row, BadRow):
                    yield row
                    continue
                if self._grows:
                    known.update(row.values)
                try:
                    planned = self._plan(row, keys, references)
                    if rules:
                        policy.check(planned.requests[0], rules)
                except _BadCell as bad:
                    yield BadRow(row.line, bad.column, bad.reason, row.values)
                except MmgenError as error:
                    yield BadRow(row.line, self._prompt_column, error, row.values)
                else:
                    yield planned
        if self._template:
            self._template.check(known)

    def _plan(self, row: Row, keys: RowKeys, references: _References) -> PlannedRow:
        options, values = self.options, row.values
        cells = {
            role: text
            for role, column in self._present
            if (text := text_of(values.get(column)).strip())
        }
        prompt = self._template.fill(values) if self._template else cells.get("prompt", "")
        identity = cells.get("id", "") if self._names["id"] else prompt[:_LARGEST_KEY]
        changes = self._changes(cells, references) if self._changing & cells.keys() else {}
        check_prompt(prompt)
        count, kind = self._count_and_format(cells)
        if not identity:
            raise _BadCell(self._names["id"] or "-", "the id is empty")
        if len(identity) > _LARGEST_KEY:
            reason = f"the id is longer than {_LARGEST_KEY} characters"
            raise _BadCell(self._names["id"] or "-", reason)
        # Last, so that a row that is refused takes no key from the one that replaces it.
        key, folder = keys.add(identity)
        seeds = self._seeds(cells, identity if options.shares_seed else key, count)
        if not values.keys().isdisjoint(REJECT_COLUMNS):
            values = {name: cell for name, cell in values.items() if name not in REJECT_COLUMNS}
        return PlannedRow(
            line=row.line,
            key=key,
            folder=folder,
            asked={**self._base_values, "prompt": prompt, **changes},
            seeds=seeds,
            pictures=references.paths_of(changes.get("references", ())),
            values=values,
            options=self._item_options[kind],
        )

    def _count_and_format(self, cells: Mapping[str, str]) -> tuple[int, str]:
        count, kind = self.options.count, self.options.format
        if typed := cells.get("count"):
            with _Column(self._names["count"]):
                count = whole_number("num_images_per_prompt", typed)
                check_whole("num_images_per_prompt", count, 1, limits.NUM_IMAGES)
        if typed := cells.get("format"):
            with _Column(self._names["format"]):
                kind = {"jpg": "jpeg"}.get(typed.lower(), typed.lower())
                _check_format(kind, self.options)
        return count, kind

    def _seeds(self, cells: Mapping[str, str], source: str, count: int) -> Sequence[int]:
        if not (typed := cells.get("seed")):
            first = derived_seed(self.options.seed, source)
            return range(first, first + count)
        with _Column(self._names["seed"]):
            return seeds_for(whole_number("seed", typed), count)

    def _changes(self, cells: Mapping[str, str], references: _References) -> dict[str, Any]:
        """What the row asks for otherwise than the options do."""
        changes: dict[str, Any] = {}
        if typed := cells.get("negative"):
            with _Column(self._names["negative"]):
                check_prompt(typed, "negative_prompt")
            changes["negative_prompt"] = typed
        model = self.options.model
        if (typed := cells.get("model")) and typed not in (model, self.base.model):
            with _Column(self._names["model"]):
                changes |= {**self._of_model(typed), "adapters": ()}
                model = typed
        if typed := cells.get("adapter"):
            with _Column(self._names["adapter"]):
                named = adapters_of(typed, self.table.path.parent)
                changes["adapters"] = self.models.adapters(model, named)
        if typed := cells.get("size"):
            with _Column(self._names["size"]):
                changes["height"], changes["width"] = size(typed)
                dataclasses.replace(self.base, **changes)
        if typed := cells.get("references"):
            with _Column(self._names["references"]):
                found = references.find(typed)
                changes["references"] = tuple((sha256, 1.0) for sha256 in found)
                dataclasses.replace(self.base, references=changes["references"])
        return changes


def _check_format(kind: str, options: BatchOptions) -> None:
    check_format(kind)
    if options.embed_request and kind != "png":
        raise Conflict(first="--embed-request", second=f"--format {kind}")


def derived_seed(job_seed: int, row_key: str) -> int:
    """The seed of a row that names none: the same on every run and machine."""
    key = f"{job_seed}\n{row_key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) % _SHORT_SEEDS


class _BadCell(Exception):
    """What is wrong with a row, and in which column."""

    def __init__(self, column: str, reason: str | MmgenError) -> None:
        super().__init__(column, reason)
        self.column, self.reason = column, reason


class _Column:
    """Ties what the body raises to the column that it is about."""

    def __init__(self, name: str | None) -> None:
        self._name = name or "-"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MmgenError):
            raise _BadCell(self._name, error) from None


class _References:
    """Reference pictures named in a table, each looked at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader = PictureReader()
        self._known: dict[str, str | MmgenError] = {}
        self._paths: dict[str, str] = {}

    def __enter__(self) -> _References:
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.close()

    def find(self, typed: str) -> list[str]:
        """sha256 of each picture in `a.jpg|b.jpg`, relative to the table; raises for one."""
        found = []
        for name in filter(None, (part.strip() for part in typed.split("|"))):
            path = str((self._folder / name).absolute())
            if path not in self._known:
                self._known[path] = self._look(Path(path))
            answer = self._known[path]
            if isinstance(answer, MmgenError):
                raise answer
            self._paths[answer] = path
            found.append(answer)
        return found

    def paths_of(self, weighted: Iterable[tuple[str, float]]) -> dict[str, str]:
        """sha256 -> absolute path of the references of a request."""
        return {sha256: self._paths[sha256] for sha256, _ in weighted}

    def _look(self, path: Path) -> str | MmgenError:
        try:
            self._reader.read(path)
            return sha256_of(path)
        except MmgenError as error:
            return error


def _find(columns: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    """The first of `names` that is a column, in any case of letters."""
    folded = {column.casefold(): column for column in reversed(columns)}
    return next((folded[name] for name in names if name in folded), None)
