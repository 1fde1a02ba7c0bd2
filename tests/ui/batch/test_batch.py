"""`mmgen batch` from a table to labelled pictures, manifest and report, by real workers."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mmgen.files.read import read_record, verify
from ui.command_line import main

HERE = Path(__file__).resolve().parent
JOBS = HERE.parent.parent / "pipelines" / "jobs"
TABLE = (
    "sku,颜色,品类,张数,备注\n"
    "A-1001,红,连衣裙,2,=1+1\n"
    "B-1002,黑,长裤,,</script><script>alert(1)</script>\n"
    "A-1001,白,连衣裙,,背面\n"
)
QUICK = ("--template", "{颜色}色{品类}", "--steps", "2", "--size", "64x96")


@pytest.fixture
def batch(monkeypatch, tmp_path, capsys):
    """Run `mmgen batch` on a table given as text; gives code, stdout and stderr."""
    monkeypatch.setenv("PYTHONPATH", f"{HERE}:{JOBS}")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setitem(
        __import__("pipelines.run_job", fromlist=["MAKERS"]).MAKERS, "batch", "batch_makers:maker"
    )

    def run(text: str, *arguments: str, name: str = "products.csv"):
        table = tmp_path / name
        table.write_text(text, encoding="utf-8")
        code = main(["batch", str(table), "-o", str(tmp_path / "out"), *QUICK, *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def manifest(out):
    lines = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_table_becomes_pictures_a_manifest_and_a_report(batch, out):
    code, said, err = batch(TABLE)
    assert code == 0, err
    rows = manifest(out)
    assert [row["row_key"] for row in rows] == ["A-1001", "A-1001", "B-1002", "A-1001#2"]
    assert [row["picture"] for row in rows] == [
        "A-1001/A-1001-1.png",
        "A-1001/A-1001-2.png",
        "B-1002/B-1002.png",
        "A-1001/A-1001#2.png",
    ]
    assert rows[1]["seed"] == rows[0]["seed"] + 1
    assert rows[0]["备注"] == "=1+1"
    for row in rows:
        assert verify(out / row["picture"])
        record = read_record(out / (row["picture"] + ".json"))
        assert record.job["row_key"] == row["row_key"]
        assert record.scores["text_image"] == row["text_image"]
        assert record.checks["background"]["border_share"] == row["background"]
    with (out / "manifest.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert table[0]["备注"] == "'=1+1"
    assert list(table[0])[-5:] == ["sku", "颜色", "品类", "张数", "备注"]
    columns = pq.read_table(out / "manifest.parquet").to_pydict()
    assert columns["seed"] == [row["seed"] for row in rows]
    assert columns["备注"][0] == "=1+1"
    assert "report.html" in said
    assert not list(out.rglob(".part-*"))


@pytest.mark.slow
def test_the_report_runs_no_script_but_its_own_and_asks_for_nothing(batch, out):
    batch(TABLE)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert "alert(1)" in page
    assert "</script><script>alert" not in page
    assert "innerHTML" not in page
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["rows"]) == 4
    assert data["words"]["search"].startswith("搜索")


def test_run_again_it_keeps_makes_and_lists(batch, out):
    batch(TABLE)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    code, _, err = batch(TABLE)
    assert code == 0
    assert "新增 0 张，原有 4 张，表里已没有 0 张" in err
    assert forecast(batch, TABLE) == {"unchanged": 3}
    # B is gone, the back of A is another colour, C is new; A's first row has moved down.
    lines = [
        "sku,颜色,品类,张数,备注",
        "C-1003,绿,衬衫,,",
        "A-1001,红,连衣裙,2,",
        "A-1001,灰,连衣裙,,",
    ]
    foreseen = {"new": 1, "changed": 1, "unchanged": 1, "vanished": 1, "drawn": 2}
    assert forecast(batch, "\n".join(lines)) == foreseen
    code, _, err = batch("\n".join(lines) + "\n")
    assert code == 0
    assert "新增 2 张，原有 2 张，表里已没有 2 张" in err
    assert "B-1002/B-1002.png" in err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [row["row_key"] for row in manifest(out)] == ["C-1003", "A-1001", "A-1001", "A-1001#2"]
    # All that the first table asks for has been drawn once and is still there.
    assert forecast(batch, TABLE) == {"new": 1, "changed": 1, "unchanged": 1, "vanished": 1}


def forecast(batch, text):
    """What a dry run counts, but for what is 0."""
    code, said, _ = batch(text, "--dry-run", "--json")
    assert code == 0
    plan = json.loads(said)
    counts = ("new", "changed", "unchanged", "vanished", "drawn")
    return {name: plan[name] for name in counts if plan[name]}


def test_nothing_starts_while_rows_are_wrong(batch, out):
    bad = TABLE + "D,,,,\nE,蓝,裤子,999,\n"
    code, said, err = batch(bad)
    assert code == 2
    assert "第 5 行" in err
    assert "第 6 行，列 张数" in err
    assert "--skip-bad" in err
    assert said == ""
    assert not out.exists()


@pytest.mark.slow
def test_rejects_can_be_corrected_and_fed_in_again(batch, out, tmp_path):
    code, _, err = batch(TABLE + "D,,,,=坏\nE,蓝,裤子,999,\n", "--skip-bad")
    assert code == 3, err
    rejects = (out / "rejects.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(rejects.splitlines()))
    assert [row["sku"] for row in rows] == ["D", "E"]
    assert [row["原表行号"] for row in rows] == ["5", "6"]
    assert "999" in rows[1]["拒绝原因"]
    corrected = rejects.replace(",999,", ",1,").replace("D,,,", "D,黄,帽衫,")
    code = main(["batch", str(write(tmp_path, corrected)), "-o", str(tmp_path / "more"), *QUICK])
    assert code == 0
    again = manifest(tmp_path / "more")
    assert [row["row_key"] for row in again] == ["D", "E"]
    assert again[0]["备注"] == "=坏"
    assert "拒绝原因" not in again[0]


def write(folder, text):
    path = folder / "rejects.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_a_dry_run_writes_nothing(batch, out, empty_home):
    code, said, _ = batch(TABLE, "--dry-run")
    assert code == 0
    assert "3 行，4 张图片" in said
    assert "新行 3，改过的 0，不变的 0，任务里有而表里已没有的 0" in said
    assert "GPU" not in said
    assert not out.exists()
    assert not list(empty_home.iterdir())


@pytest.mark.slow
def test_a_dry_run_knows_the_time_from_earlier_jobs(batch):
    batch(TABLE)
    other = TABLE.replace("红", "绿")
    code, said, _ = batch(other, "--dry-run", "--json")
    assert code == 0
    plan = json.loads(said)
    assert plan["seconds"] > 0
    assert plan["gpu_hours"] is None
    cluster = ("--engine", "ray", "--workers", "2", "--gpus", "0.5")
    code, said, _ = batch(other, "--dry-run", *cluster)
    assert code == 0
    assert "GPU 小时" in said


@pytest.mark.slow
def test_a_row_that_fails_is_told_and_the_others_are_made(batch, out):
    code, _, err = batch(TABLE + "X-9,抛错,裤子,,\n")
    assert code == 3
    assert "X-9" in err
    states = {row["row_key"]: row["state"] for row in manifest(out)}
    assert states["X-9"] == "failed"
    assert states["A-1001#2"] == "done"
    assert "cannot draw this" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_best_of_several_is_kept(batch, out):
    batch(TABLE, "--keep-best-of", "4")
    best = {row["picture"]: row["text_image"] for row in manifest(out)}
    assert {row["candidates"] for row in manifest(out)} == {4}
    assert len(list(out.rglob("*.png"))) == 4
    for path, score in best.items():
        assert read_record(out / f"{path}.json").scores["text_image"] == score
    assert main(["jobs", "check", str(out)]) == 0


def test_events_are_objects_and_metrics_are_prometheus(batch, tmp_path):
    metrics = tmp_path / "mmgen.prom"
    code, said, _ = batch(TABLE, "--json", "--metrics", str(metrics))
    assert code == 0
    events = [json.loads(line) for line in said.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds.count("done") == 4
    assert {"planned", "ended", "results"} <= set(kinds)
    done = [event["row_key"] for event in events if event["event"] == "done"]
    assert sorted(done) == ["A-1001", "A-1001", "A-1001#2", "B-1002"]
    text = metrics.read_text(encoding="ascii")
    assert re.search(r'mmgen_batch_pictures\{job="[0-9a-f]{32}",state="done"\} 4', text)
    sample = re.compile(r"(#.*|[a-z_]+\{[^}]*\} [-+0-9.e]+)")
    assert all(sample.fullmatch(line) for line in text.splitlines())


@pytest.mark.slow
def test_the_request_travels_in_the_file(batch, out):
    batch(TABLE, "--embed-request")
    from mmgen.files.embedded_request import embedded_request

    for row in manifest(out):
        path = out / row["picture"]
        assert verify(path)
        assert embedded_request(path.read_bytes())["request"]["prompt"] == row["prompt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--template", "{没有}{颜色}"], "没有 没有 这一列"),
        (["--template", "{颜色"], "花括号没有成对"),
        (["--template", "红裙"], "没有写明任何一列"),
        (["--id", "货"], "--id"),
        (["--format", "webp", "--embed-request"], "只能给一个"),
        (["--keep-best-of", "99"], "1 到 8"),
        (["--keep-best-of", "2", "--no-scores"], "只能给一个"),
        (["-n", "0"], "1 到 64"),
        (["--sheet", "x", "--size", "65x96"], "16 的倍数"),
    ],
)
def test_a_wrong_option_is_said_before_anything_starts(batch, out, arguments, said):
    code, _, err = batch(TABLE, *arguments)
    assert code == 2
    assert said in err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", "ray", "--address", "10.0.0.5:6379"], "RAY_AUTH_MODE=token"),
        (["--engine", "ray", "--address", "ray://studio.example:10001"], "RAY_AUTH_MODE=token"),
        (["--engine", "slurm"], "可以选的是 local, ray"),
        (["--store-url", "s3://bucket/summer"], "要和它一起用"),
        (["--workers", "65"], "允许的范围是 1 到 64"),
    ],
)
def test_a_wrong_place_to_run_is_said_before_anything_starts(
    batch, out, empty_home, arguments, said, monkeypatch
):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    code, _, err = batch(TABLE, *arguments)
    assert code == 2
    assert said in err
    assert not out.exists()
    assert not list(empty_home.iterdir())


def test_a_table_without_words_says_what_to_do(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("sku,颜色\nA,红\n", encoding="utf-8")
    assert main(["batch", str(path), "-o", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "--template" in err
    assert "颜色" in err
