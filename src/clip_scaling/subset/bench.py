"""Throughput of drawing a subset at scale, on metadata generated for the purpose and removed afterwards."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

PROJECTED_ROWS = 2_000_000_000
_ROWS_PER_FILE = 10_000  # as img2dataset writes

_CHILD = """
import json, resource, sys, time
from pathlib import Path
from clip_scaling.subset.at_scale import select
from clip_scaling.subset.at_scale_metadata import Filters
folder, samples, filtered = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1"
filters = Filters(min_width=200, min_height=200, max_aspect=3.0, min_similarity=0.28, languages=("en",))
start = time.perf_counter()
drawn = select(f"{folder}/*.parquet", name="drawn", family="LAION", samples=samples, output=folder / "out",
               filters=filters if filtered else Filters())
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"samples": drawn.samples, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime,
                  "gib": used.ru_maxrss / 2**20}))
"""


@dataclass(frozen=True)
class Throughput:
    """One draw: `rows` of metadata, `samples` drawn, wall and processor seconds (all cores), peak memory in GiB.

    Projections to 2 billion rows are linear: hours as on this machine at this load, and hours of one processor.
    """

    what: str
    rows: int
    samples: int
    seconds: float
    cpu_seconds: float
    rows_per_second: float
    peak_gib: float
    hours_for_2_billion: float
    core_hours_for_2_billion: float


def bench_subset(rows: int = 20_000_000) -> list[Throughput]:
    """Draw a fifth of `rows` generated rows by key, without and with all filters, each in a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="clip-metadata-"))
    try:
        started = time.perf_counter()
        generate(folder, rows)
        print(f"generated {rows:,} rows in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        return [_measure(folder, rows, rows // 5, False), _measure(folder, rows, rows // 20, True)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def generate(folder: Path, rows: int) -> None:
    """Parquet files of 10,000 rows with img2dataset's columns; a twelfth of the downloads failed."""
    import duckdb

    connection = duckdb.connect(config={"memory_limit": "2GB"})
    connection.execute("SET enable_progress_bar = false")
    for number in range(-(-rows // _ROWS_PER_FILE)):
        size = min(_ROWS_PER_FILE, rows - number * _ROWS_PER_FILE)
        connection.execute(f"""
            COPY (SELECT printf('%05d%04d', {number}, i) AS key,
                         'https://example.org/' || hash({number} * 10000 + i) || '.jpg' AS url,
                         'a picture of thing ' || (hash(i + {number}) % 100000) || ' on a table' AS caption,
                         CASE WHEN hash(i, {number}) % 12 = 0 THEN 'failed_to_download' ELSE 'success' END AS status,
                         256 AS width, 256 AS height,
                         CAST(100 + hash(i, {number}, 1) % 1400 AS INTEGER) AS original_width,
                         CAST(100 + hash(i, {number}, 2) % 1400 AS INTEGER) AS original_height,
                         0.25 + (hash(i, {number}, 3) % 1000) / 5000.0 AS similarity,
                         CASE WHEN hash(i, {number}, 4) % 5 < 4 THEN 'en' ELSE 'de' END AS LANGUAGE
                  FROM range({size}) AS r(i))
            TO '{folder}/{number:05d}.parquet' (FORMAT parquet, COMPRESSION snappy)""")


def _measure(folder: Path, rows: int, samples: int, filtered: bool) -> Throughput:
    command = [sys.executable, "-c", _CHILD, str(folder), str(samples), "1" if filtered else "0"]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    speed = rows / told["seconds"]
    return Throughput(
        what="all filters" if filtered else "no filter", rows=rows, samples=told["samples"],
        seconds=round(told["seconds"], 1), cpu_seconds=round(told["cpu"], 1), rows_per_second=round(speed),
        peak_gib=round(told["gib"], 2), hours_for_2_billion=round(PROJECTED_ROWS / speed / 3600, 2),
        core_hours_for_2_billion=round(PROJECTED_ROWS * told["cpu"] / rows / 3600, 2),
    )


def add_arguments(parser) -> None:
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows of metadata to generate (1.3 GB in /tmp)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args) -> None:
    """Print rows per second, peak memory and the projection to 2 billion rows."""
    measured = bench_subset(args.rows)
    if args.json:
        print(json.dumps([asdict(one) for one in measured], indent=1))
        return
    for one in measured:
        print(f"{one.what}: {one.samples:,} of {one.rows:,} rows in {one.seconds:g} s ({one.cpu_seconds:g} s of "
              f"processor time), {one.rows_per_second:,} rows/s, "
              f"peak {one.peak_gib:g} GiB; 2 billion rows: {one.hours_for_2_billion:g} h, "
              f"{one.core_hours_for_2_billion:g} processor-hours")
