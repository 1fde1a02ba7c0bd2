"""How fast a table of products is read and checked, and in how much memory.

    python tests/benchmarks/tables.py            # a million rows of each kind
    python tests/benchmarks/tables.py 40000

Processor time of one core, so that other work on the machine counts less; the
loop of additions timed beside it says how fast this machine is just now.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COLUMNS = ("sku", "prompt", "颜色", "面料", "品类")
KINDS = ("csv", "jsonl", "parquet")


def write_tables(folder: Path, count: int) -> None:
    """The same rows as CSV, JSONL and Parquet."""
    import pyarrow.csv
    import pyarrow.parquet

    with (folder / "t.csv").open("w") as text, (folder / "t.jsonl").open("w") as lines:
        text.write(",".join(COLUMNS) + "\n")
        for number in range(count):
            row = (f"SKU-{number:07d}", "藏青色羊毛大衣，挂在白墙前", "藏青", "羊毛", "大衣")
            text.write(",".join(row) + "\n")
            lines.write(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n")
    table = pyarrow.csv.read_csv(folder / "t.csv")
    pyarrow.parquet.write_table(table, folder / "t.parquet")


def memory_mb() -> float:
    """The most that this program has held; what getrusage tells counts its parent too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def check(path: Path) -> None:
    """Check one table in this process and print the figures."""
    from mmgen.tables.open import open_table
    from pipelines.batch import BatchOptions, BatchPlan, PlannedRow

    before, began = memory_mb(), time.process_time()
    plan = BatchPlan(open_table(path), BatchOptions(template="{颜色}{面料}{品类}"))
    good = sum(isinstance(row, PlannedRow) for row in plan.rows())
    spent, grown = time.process_time() - began, memory_mb() - before
    began = time.process_time()
    total = 0
    for number in range(3_000_000):
        total += number
    loop = time.process_time() - began
    rate = f"{good / spent:,.0f} rows/s"
    print(
        f"{path.suffix[1:]:8} {good:,} rows  {rate}  +{grown:.0f} MB  (3 M additions {loop:.2f} s)"
    )


def main() -> None:
    if len(sys.argv) > 2:
        check(Path(sys.argv[2]))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), count)
        for kind in KINDS:
            path = str(Path(folder) / f"t.{kind}")
            subprocess.run([sys.executable, __file__, str(count), path], check=True, cwd=ROOT)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
