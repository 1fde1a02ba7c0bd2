"""A blind look: 48 drawn pictures, shuffled; which garment and colour is each?

    .venv/bin/python -m tests.benchmarks.look make evaluation look   from mmgen evaluate's folder
    (look at look/01.png ... and fill in look/answers.tsv: garment and main colour)
    .venv/bin/python -m tests.benchmarks.look open look              counts what was named right

The captions lie in look/sealed.txt, compressed, so that nobody reads them by
accident; `open` refuses while an answer is missing, writes result.json and
keeps the hash of the answers it counted.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
import random
import shutil
import zlib
from pathlib import Path

from mmgen.errors import UnknownChoice
from mmgen.files.read import read_record
from mmgen.text.garment_words import find_attributes
from mmgen.text.vocabulary import colour_family

COUNT = 48
ANSWERS, SEALED, RESULT = "answers.tsv", "sealed.txt", "result.json"


def make(evaluation: Path, folder: Path, round_name: str, data: Path) -> None:
    """Copy 48 pictures under numbers; seal what each should be."""
    rows = {
        Path(row["file_name"]).with_suffix("").as_posix().replace("/", "-"): row
        for row in map(json.loads, (data / "metadata.jsonl").read_text("utf-8-sig").splitlines())
    }
    drawn = sorted((evaluation / round_name).glob("*.png"))
    chosen = random.Random(0).sample(drawn, min(COUNT, len(drawn)))
    folder.mkdir(parents=True)
    wanted = {}
    for number, file in enumerate(chosen, 1):
        shutil.copyfile(file, folder / f"{number:02d}.png")
        row, record = rows[file.stem], read_record(file.with_name(f"{file.name}.json"))
        assert record is not None
        assert record.request["prompt"] == row["caption"]
        wanted[number] = {
            "caption": row["caption"],
            "category": row["category"],
            "family": colour_family(row["colors"][0]),
        }
    text = json.dumps(wanted, ensure_ascii=False).encode()
    (folder / SEALED).write_bytes(base64.b64encode(zlib.compress(text)))
    lines = ["number\tgarment\tcolour", *(f"{number:02d}\t\t" for number in wanted)]
    (folder / ANSWERS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def open_sealed(folder: Path) -> dict[str, object]:
    """Answers against captions: a garment by any of its words, a colour by its family."""
    text = (folder / ANSWERS).read_text(encoding="utf-8")
    answers = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    empty = [row["number"] for row in answers if not (row["garment"] and row["colour"])]
    if empty:
        raise SystemExit(f"no answer yet for {', '.join(empty)}")
    wanted = json.loads(zlib.decompress(base64.b64decode((folder / SEALED).read_bytes())))
    garments = colours = both = 0
    for row in answers:
        asked = wanted[str(int(row["number"]))]
        is_garment = asked["category"] in kinds_of(row["garment"])
        is_colour = family_of(row["colour"]) == asked["family"]
        garments, colours = garments + is_garment, colours + is_colour
        both += is_garment and is_colour
    result: dict[str, object] = {
        "answers_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "pictures": len(answers),
        "garment": garments,
        "colour": colours,
        "both": both,
        "wanted": wanted,
    }
    (folder / RESULT).write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return result


def kinds_of(answer: str) -> set[str]:
    """Every category that an answer may mean: 裙子 is 连衣裙 or 半身裙."""
    return {answer.strip(), *find_attributes(answer).get("category", ())}


def family_of(answer: str) -> str | None:
    """The family of the first colour of an answer; None for no colour at all."""
    named = find_attributes(answer).get("colors", ())
    try:
        return colour_family(named[0] if named else answer.strip())
    except UnknownChoice:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("make", "open"))
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--round", default="plain", choices=("plain", "references"))
    parser.add_argument("--data", type=Path, default=Path("data/garments"))
    options = parser.parse_args()
    if options.what == "make":
        make(*options.folders, options.round, options.data)
        return
    (folder,) = options.folders
    result = open_sealed(folder)
    print({name: result[name] for name in ("pictures", "garment", "colour", "both")})


if __name__ == "__main__":
    main()
