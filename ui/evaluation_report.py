"""An evaluation -> report.html with its figures, and sheets of photographs beside drawings."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmgen.errors import OutputNotWritable
from mmgen.files.read import read_label
from mmgen.files.sheet import Tile, contact_sheet
from mmgen.files.write import save_sheet
from pipelines.evaluate import Evaluation
from ui.evaluate import ROUNDS, share, spread
from ui.words import say

_SHOWN = 24
"""Pairs on a sheet, evenly over all rows: chosen by nobody."""
_COLUMNS = 8

_PAGE = """<!doctype html>
<html lang="{lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.6 system-ui, "Noto Sans CJK SC", sans-serif; color: #26262a;
  background: #faf9f7; max-width: 62rem; margin: 2.5rem auto; padding: 0 1.5rem }}
h1 {{ font-size: 1.5rem; font-weight: 600 }} h2 {{ font-size: 1.1rem; margin-top: 2.2rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ padding: .45rem .8rem; border-bottom: 1px solid #e2dfda; text-align: right }}
th:first-child, td:first-child {{ text-align: left }}
th {{ font-weight: 600 }} td {{ font-variant-numeric: tabular-nums }}
p, small {{ color: #7a7874 }} code {{ word-break: break-all }}
img {{ width: 100%; border: 1px solid #e2dfda }}
</style>
<h1>{title}</h1>
<p>{about}</p>
{body}
<p><small>{source}</small></p>
</html>
"""


def write_report(done: Evaluation, folder: Path, producer: str) -> Path:
    """Write report.html and a sheet a round; returns the path of the page.

    Raises `OutputNotWritable`, `OutputDiskFull`, `LabelLost`.
    """
    sheets = {name: _sheet(done, name, folder, producer) for name in done.files}
    path = folder / "report.html"
    part = path.with_suffix(".part")
    try:
        part.write_text(_page(done.figures, sheets), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputNotWritable(path=path, reason=error.strerror or error) from error
    return path


def _sheet(done: Evaluation, name: str, folder: Path, producer: str) -> Path:
    """Photograph, drawing, photograph, drawing ... with what the judge recognised."""
    count = len(done.rows)
    chosen = np.linspace(0, count - 1, min(count, _SHOWN)).astype(int)
    tiles, ids = [], []
    for index in chosen:
        file = done.files[name][index]
        photograph = Image.fromarray(done.photographs[index])
        tiles.append(Tile(picture=photograph, caption=done.rows[index]["caption"]))
        with Image.open(file, formats=("PNG",)) as drawn:
            picture = drawn.convert("RGB")
        tiles.append(Tile(picture=picture, caption=_verdict(done.right[name][index])))
        label = read_label(file)
        if label is not None:
            ids.append(label.produce_id)
    sheet = contact_sheet(tiles, columns=_COLUMNS, heading=say("evaluate.sheet"))
    saved = save_sheet(
        sheet,
        ids,
        folder=folder,
        name=f"sheet-{name}",
        format="webp",
        producer=producer,
        overwrite=True,
    )
    return saved.path


def _verdict(right: dict[str, bool | None]) -> str:
    """Each thing asked for, with a mark: recognised or not."""
    marks = {True: "✓", False: "×", None: "-"}
    return "  ".join(f"{say(_SHORT[name])} {marks[is_right]}" for name, is_right in right.items())


_SHORT = {
    "caption": "evaluate.caption",
    "category": "evaluate.category",
    "colour_family": "evaluate.colour",
}


def _page(figures: dict[str, Any], sheets: dict[str, Path]) -> str:
    question, data = figures["question"], figures["data"]
    about = say(
        "evaluate.asked",
        count=data["pictures"],
        of=data["held_out"],
        steps=question["num_inference_steps"],
    )
    body = [_table(say("evaluate.drawn_title"), _drawn_rows(figures))]
    body.append(_table(say("evaluate.recall_title"), _recall_rows(figures)))
    if coded := figures["autoencoder"]:
        body.append(
            _table(
                say("evaluate.autoencoder_title"),
                [["", "PSNR", "SSIM"], ["", f"{coded['psnr']:.2f} dB", f"{coded['ssim']:.3f}"]],
            )
        )
    body += [
        f'<h2>{html.escape(say(_TITLES[name]))}</h2><img src="{path.name}" alt="">'
        for name, path in sheets.items()
    ]
    source = say(
        "evaluate.source",
        model=figures["model"]["id"],
        model_sha256=figures["model"]["sha256"][:16],
        evaluator_sha256=figures["evaluator"]["sha256"][:16],
        guidance=question["guidance_scale"],
        version=figures["mmgen"],
    )
    return _PAGE.format(
        lang=say("evaluate.html_lang"),
        title=html.escape(say("evaluate.title")),
        about=html.escape(about),
        body="\n".join(body),
        source=html.escape(source),
    )


_TITLES = {"plain": "evaluate.plain_title", "references": "evaluate.references_title"}


_COLUMNS_OF_DRAWN = (
    "evaluate.r_precision",
    "evaluate.category",
    "evaluate.colour",
    "evaluate.frechet",
    "evaluate.near_copies",
)


def _drawn_rows(figures: dict[str, Any]) -> list[list[str]]:
    """One row for the photographs, one a round; what is relative stands in brackets."""
    rows = [["", *map(say, _COLUMNS_OF_DRAWN)]]
    names = ("r_precision", "category", "colour_family")
    photographs = figures["photographs"]
    shares = [share(photographs[name]) for name in names]
    rows.append([say("evaluate.photographs_row"), *shares, "1.00", "-"])
    for name in ROUNDS:
        if name not in figures:
            continue
        drawn = figures[name]
        both = [f"{share(drawn[key])} ({share(drawn['relative'][key])})" for key in names]
        rows.append([say(_TITLES[name]), *both, *spread(drawn).values()])
    return rows


def _recall_rows(figures: dict[str, Any]) -> list[list[str]]:
    keys = [f"{way}_r{k}" for way in ("t2i", "i2t") for k in (1, 5, 10)]
    ways = {"t2i": say("evaluate.t_to_i"), "i2t": say("evaluate.i_to_t")}
    head = ["", *(f"{ways[key[:3]]} R@{key[5:]}" for key in keys)]
    rows = [head]
    for title, name in (("evaluate.towers_row", "towers"), ("evaluate.judge_row", "photographs")):
        rows.append([say(title), *(share(figures[name][key]) for key in keys)])
    return rows


def _table(title: str, rows: list[list[str]]) -> str:
    head, *rest = [[html.escape(cell) for cell in row] for row in rows]
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rest]
    return f"<h2>{html.escape(title)}</h2>\n<table>\n" + "\n".join(lines) + "\n</table>"
